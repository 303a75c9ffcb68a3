//! `[gpio]`, `[[button]]`, `[[sensor]]`, `[[output]]`.

use std::time::Duration;

use super::names::{NAME_REMEDY, name_problem, read_name};
use super::section::Section;
use super::trigger::{RuleContext, read_trigger};
use crate::config::model::Trigger;
use crate::config::model::*;

pub(in crate::config) fn read_gpio(section: Section<'_>) -> GpioConfig {
    const BACKENDS: [(&str, GpioBackend); 4] = [
        ("auto", GpioBackend::Auto),
        ("cdev", GpioBackend::Cdev),
        ("rppal", GpioBackend::Rppal),
        ("simulated", GpioBackend::Simulated),
    ];
    let backend = section.choice("backend", &BACKENDS).unwrap_or(GpioBackend::Auto);
    let chip = section.filled_string("chip").filter(|chip| chip != "gpiochip0");
    if chip.is_some() && backend == GpioBackend::Rppal {
        section.error("chip", "rppal has one chip: the Raspberry Pi's", "leave it out, or write backend = \"cdev\"");
    }
    section.finish();
    GpioConfig { backend, chip }
}

/// Reads the name of a sensor or an output. Their names were free at first, and other ones are still taken.
fn read_free_name(section: &Section<'_>, what: &str) -> Option<String> {
    let name = section.filled_string("name");
    if name.is_none() {
        section.error("name", "is missing", format!("give the {what} a name"));
    }
    if let Some(problem) = name.as_deref().and_then(name_problem) {
        section.warning("name", format!("{problem}, and will be refused one day; {NAME_REMEDY}"));
    }
    name
}

fn read_pin(section: &Section<'_>) -> Option<PinName> {
    let Some(value) = section.value("pin") else {
        section.error("pin", "is missing", "write the pin's offset on the chip (BCM number on a Pi) or its name");
        return None;
    };
    if let config::ValueKind::String(name) = &value.kind
        && !section.reader.origins.is_variable(&section.path_of("pin"))
    {
        return Some(PinName::Name(name.clone()));
    }
    section.integer("pin", 0, 1023).and_then(|offset| u32::try_from(offset).ok()).map(PinName::Offset)
}

const LEVELS: [(&str, Active); 2] = [("low", Active::Low), ("high", Active::High)];

fn read_input(section: &Section<'_>) -> Option<InputPin> {
    let pin = read_pin(section);
    let active = section.choice("active", &LEVELS).unwrap_or(Active::Low);
    let pull =
        section.choice("pull", &[("up", Pull::Up), ("down", Pull::Down), ("off", Pull::Off)]).unwrap_or(Pull::Up);
    let debounce = section.duration_ms("debounce_ms", 0, 1_000).unwrap_or(Duration::from_millis(20));
    let min_pulse = section.duration_ms("min_pulse_ms", 0, 1_000).unwrap_or_default();
    Some(InputPin { pin: pin?, active, pull, debounce, min_pulse })
}

/// `exits`: the names of buttons that open a door.
pub(in crate::config) fn read_button(
    section: Section<'_>,
    exits: &[String],
    context: RuleContext<'_>,
) -> Option<Button> {
    let name = read_name(&section, "button");
    let input = read_input(&section);
    let press = read_trigger(&section, "press", context);
    let long_press = read_trigger(&section, "long_press", context);
    let double_press = read_trigger(&section, "double_press", context);
    let opens_a_door = name.as_ref().is_some_and(|name| exits.contains(name));
    if press.is_none() && !opens_a_door && long_press.is_none() && double_press.is_none() && !section.has("press") {
        section.error("press", "is missing: the button would do nothing", "write press = { call = \"100\" }");
    }
    if section.is_empty_table("press") {
        match (&long_press, &double_press) {
            (None, None) => {
                section.error("press", "is empty: the button would do nothing", "write press = { call = \"100\" }")
            }
            _ => section.warning("press", "is empty: a short press does nothing, and no sign is given for it"),
        }
    }
    for key in ["long_press", "double_press"] {
        if section.is_empty_table(key) {
            section.warning(key, "is empty: it does nothing, and no sign is given for it");
        }
    }
    let button = Button {
        name: name.unwrap_or_default(),
        input: input?,
        press: press.unwrap_or_default(),
        long_press,
        long: section.duration_ms("long_ms", 100, 10_000).unwrap_or(Duration::from_millis(800)),
        double_press,
        double: section.duration_ms("double_ms", 100, 2_000).unwrap_or(Duration::from_millis(350)),
        again: section
            .choice("again", &[("ignore", Again::Ignore), ("hangup", Again::Hangup)])
            .unwrap_or(Again::Ignore),
    };
    section.finish();
    Some(button)
}

pub(in crate::config) fn read_sensor(section: Section<'_>, context: RuleContext<'_>) -> Option<Sensor> {
    let name = read_free_name(&section, "sensor");
    let input = read_input(&section);
    let context = RuleContext { of_sensor: true, ..context };
    let opened: Trigger = read_trigger(&section, "opened", context).unwrap_or_default();
    let closed: Trigger = read_trigger(&section, "closed", context).unwrap_or_default();
    let device_class = section.choice("device_class", &DeviceClass::WORDS).unwrap_or_default();
    section.finish();
    Some(Sensor { name: name?, input: input?, opened, closed, device_class })
}

pub(in crate::config) fn read_output(section: Section<'_>) -> Option<OutputPin> {
    let name = read_free_name(&section, "output");
    let pin = read_pin(&section);
    let active = section.choice("active", &LEVELS).unwrap_or(Active::High);
    let is_relay = section.choice("kind", &[("relay", true), ("led", false)]);
    if !section.has("kind") {
        section.error("kind", "is missing", "write kind = \"relay\" or kind = \"led\"");
    }
    let kind = if is_relay.unwrap_or(false) {
        OutputKind::Relay { max_on: section.duration_ms("max_on_ms", 100, 600_000).unwrap_or(Duration::from_secs(8)) }
    } else {
        OutputKind::Led { show: if section.has("show") { read_show(section.section("show")) } else { Vec::new() } }
    };
    // A key of the other kind gets a message of its own: "unknown key" would mislead.
    if is_relay == Some(true) && section.value("show").is_some() {
        section.error("show", "a relay shows no states", "leave it out, or write kind = \"led\"");
    }
    if is_relay == Some(false) && section.value("max_on_ms").is_some() {
        section.error("max_on_ms", "is for relays", "leave it out, or write kind = \"relay\"");
    }
    let exclusive = section.filled_string("exclusive");
    if is_relay == Some(false) && exclusive.is_some() {
        section.error("exclusive", "is for relays", "leave it out, or write kind = \"relay\"");
    }
    let (pulse, momentary) = read_pulse(&section, &kind);
    section.value("show");
    section.value("max_on_ms");
    section.finish();
    Some(OutputPin { name: name?, pin: pin?, active, kind, exclusive, pulse, momentary })
}

/// Reads how the systems of the house drive a relay: the length of its pulse, and whether it pulses.
fn read_pulse(section: &Section<'_>, kind: &OutputKind) -> (Duration, bool) {
    let pulse = section.duration_ms("pulse_ms", 1, 600_000);
    let momentary = section.boolean("momentary");
    let OutputKind::Relay { max_on } = kind else {
        for key in ["pulse_ms", "momentary"] {
            if section.has(key) {
                section.error(key, "is for relays", "leave it out, or write kind = \"relay\"");
            }
        }
        return (DEFAULT_PULSE, false);
    };
    if let Some(pulse) = pulse.filter(|pulse| pulse > max_on) {
        let problem = format!("{} is longer than the output may be on", pulse.as_millis());
        section.error("pulse_ms", problem, format!("write at most {} (max_on_ms)", max_on.as_millis()));
    }
    (pulse.unwrap_or(DEFAULT_PULSE).min(*max_on), momentary.unwrap_or(true))
}

fn read_show(section: Section<'_>) -> Vec<(ShownState, Drive)> {
    let show = ShownState::KEYS.into_iter();
    let show = show.filter_map(|(key, state)| Some((state, section.choice(key, &Drive::WORDS)?))).collect();
    section.finish();
    show
}
