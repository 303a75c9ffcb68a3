//! `[[door]]`: a contact that knows who may open it.

use std::time::Duration;

use config::{Value, ValueKind};

use super::names::{place, read_name};
use super::section::Section;
use super::trigger::{RuleContext, read_trigger};
use crate::config::model::*;

/// What a door may name.
pub(in crate::config) struct Names<'a> {
    pub(in crate::config) buttons: &'a [Button],
    pub(in crate::config) sensors: &'a [Sensor],
    pub(in crate::config) outputs: &'a [OutputPin],
}

pub(in crate::config) fn read_door(
    section: Section<'_>,
    names: &Names<'_>,
    context: RuleContext<'_>,
) -> Option<DoorConfig> {
    let name = read_name(&section, "door");
    let sensors: Vec<&str> = names.sensors.iter().map(|sensor| sensor.name.as_str()).collect();
    let buttons: Vec<&str> = names.buttons.iter().map(|button| button.name.as_str()).collect();
    let outputs: Vec<&str> = names.outputs.iter().map(|output| output.name.as_str()).collect();
    let contact = section.filled_string("contact");
    if !section.has("contact") {
        section.error("contact", "is missing", "name the [[sensor]] that is active while the door is open");
    }
    let contact = contact.and_then(|contact| one(&section, "contact", "sensor", &contact, &sensors)).map(SensorIndex);
    let opened_by = places(&section, "opened_by", "output", &outputs);
    for index in &opened_by {
        if let Some(output) = names.outputs.get(*index).filter(|output| !output.kind.is_relay()) {
            section.error("opened_by", format!("{} is a lamp", output.name), "name relays that open the door");
        }
    }
    let exit = places(&section, "exit", "button", &buttons);
    let held_after = section.duration_s("held_s", 1, 86_400);
    let grace = section.duration_s("grace_s", 0, 600).unwrap_or(Duration::from_secs(5));
    let forced = read_trigger(&section, "forced", context).unwrap_or_default();
    let held = read_trigger(&section, "held", context).unwrap_or_default();
    let restored = read_trigger(&section, "restored", context).unwrap_or_default();
    section.finish();
    if opened_by.is_empty() && exit.is_empty() {
        section.warning("opened_by", "is empty, and so is exit: every opening counts as forced");
    }
    Some(DoorConfig {
        name: name?,
        contact: contact?,
        opened_by: opened_by.into_iter().map(OutputIndex).collect(),
        exit: exit.into_iter().map(ButtonIndex).collect(),
        grace,
        held_after: held_after.unwrap_or(Duration::from_secs(60)),
        forced,
        held,
        restored,
    })
}

fn places(section: &Section<'_>, key: &'static str, what: &str, names: &[&str]) -> Vec<usize> {
    let wanted = section.strings(key).unwrap_or_default();
    wanted.iter().filter_map(|name| one(section, key, what, name, names)).collect()
}

fn one(section: &Section<'_>, key: &str, what: &str, name: &str, names: &[&str]) -> Option<usize> {
    place(section, key, what, name, names.iter().copied(), &format!("add a [[{what}]] of this name"))
}

/// The names in `exit` of all doors. Such buttons need no `press`.
pub(in crate::config) fn exit_buttons(root: &Section<'_>) -> Vec<String> {
    let text = |value: &Value| match &value.kind {
        ValueKind::String(text) => Some(text.clone()),
        _ => None,
    };
    let exit = |door: &Value| match &door.kind {
        ValueKind::Table(door) => door.get("exit").cloned(),
        _ => None,
    };
    let doors = match root.value("door").map(|value| &value.kind) {
        Some(ValueKind::Array(doors)) => doors.iter().filter_map(exit).collect(),
        _ => Vec::new(),
    };
    let names = doors.iter().flat_map(|exit| match &exit.kind {
        ValueKind::Array(names) => names.iter().filter_map(text).collect(),
        _ => text(exit).into_iter().collect::<Vec<_>>(),
    });
    names.collect()
}
