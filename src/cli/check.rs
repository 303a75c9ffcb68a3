//! `callbox check`: prints every error of a configuration, or what the station will do with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::check_interfaces::{certificates_of, print_interfaces};
use super::output::{say, say_error};
use super::{Exit, complain, environment};
use crate::audio::{self, SoundBank};
use crate::config::{
    AccessConfig, Action, Again, AnswerAction, AnswerRule, Assurance, CallAction, CallMode, Code, Config, Confirm,
    Credentials, DoorConfig, DtmfRule, GpioBackend, HangupTarget, IceServers, InCall, InputPin, LineChoice, Mode,
    ModeChange, NumberPattern, Order, OutputKind, OutputPin, PlayAction, PlayTo, Prompt, ProxyScope, Reader,
    ReaderIndex, ReaderKind, Rule, Schedule, SecondCall, Trigger, load_reviewed,
};
use crate::core::{IceServerCounts, OutputChange};
use crate::gpio::{self, PinError};
use crate::secret::PhoneNumber;
use crate::signaling::{Connector, Endpoint};

/// The longest time until systemd has killed a daemon that hangs: `WatchdogSec=` plus `TimeoutAbortSec=` of
/// systemd/callbox.service.
const HANG_TO_REST: Duration = Duration::from_secs(6);

pub(super) fn check(path: &Path) -> Exit {
    let (config, warnings) = match load_reviewed(path, &environment()) {
        Ok(reviewed) => reviewed,
        Err(errors) => {
            say_error!("{errors}");
            return Exit::Usage;
        }
    };
    for warning in warnings {
        say_error!("{warning}");
    }
    if let Err(error) = Connector::to_core(&config.core) {
        complain(error);
        return Exit::Usage;
    }
    if let Err(error) = SoundBank::new(config.audio.rate_hz, &config.sounds, &config.prompts) {
        complain(error);
        return Exit::Usage;
    }
    if let Err(problem) = certificates_of(&config) {
        complain(problem);
        return Exit::Usage;
    }
    print_summary(path, &config);
    check_pins(&config)
}

/// Prints the GPIO line of every pin, or the reason why the pin cannot be used.
fn check_pins(config: &Config) -> Exit {
    if config.gpio.backend == GpioBackend::Simulated {
        say!("pins      simulated: no pin of this configuration is a real one");
        return Exit::Done;
    }
    if config.gpio.backend == GpioBackend::Rppal {
        match gpio::raspberry_pi_model() {
            Some(model) => say!("pins      registers of the {model}"),
            None => say!("pins      not available: this is not a Raspberry Pi; write backend = \"cdev\""),
        }
        return Exit::Done;
    }
    if config.gpio.backend == GpioBackend::Auto && gpio::chips().is_empty() {
        say!("pins      not available now: {} (the station keeps looking)", PinError::NoChips);
        return Exit::Done;
    }
    let input = |wiring: &InputPin, name: &String| gpio::inspect_input(&config.gpio, wiring, name);
    let buttons = config.buttons.iter().map(|one| ("button", &one.name, input(&one.input, &one.name)));
    let sensors = config.sensors.iter().map(|one| ("sensor", &one.name, input(&one.input, &one.name)));
    let output = |one: &OutputPin| gpio::inspect(&config.gpio, &one.pin, &one.name);
    let outputs = config.outputs.iter().map(|one| ("output", &one.name, output(one)));
    let mut result = Exit::Done;
    for (kind, name, line) in buttons.chain(sensors).chain(outputs) {
        match line {
            Ok(line) => say!("pin       of {kind} {name}: {line}"),
            Err(error) => {
                complain(format!("the pin of {kind} \"{name}\": {error}"));
                result = Exit::Usage;
            }
        }
    }
    result
}

fn print_summary(path: &Path, config: &Config) {
    say!("{}: valid", path.display());
    print_session(config);
    print_sound(config);
    print_inputs(config);
    config.outputs.iter().for_each(|output| print_output(config, output));
    config.doors.iter().for_each(|door| print_door(config, door));
    config.schedules.iter().for_each(|schedule| print_schedule(config, schedule));
    config.modes.iter().for_each(print_mode);
    print_prompts(config);
    print_calendar(config);
    print_calls(config);
    print_interfaces(config);
}

fn print_session(config: &Config) {
    let endpoints: Vec<Endpoint> =
        config.core.urls.iter().map(|url| Endpoint::new(url.clone(), config.core.tenant.clone())).collect();
    let servers: Vec<String> = endpoints.iter().map(Endpoint::shown).collect();
    let credentials = match &config.core.credentials {
        Credentials::Token(_) => "a token in the configuration".to_owned(),
        Credentials::TokenFile(path) => format!("the token in {}", path.display()),
        Credentials::Login { login, .. } => format!("the login {login}"),
        Credentials::ConfigTokenFile(path) => format!("the config token in {}", path.display()),
    };
    let lines = config.core.lines;
    say!("session   {} with {credentials}, {lines} line{}", servers.join(", then "), if lines == 1 { "" } else { "s" });
    if !endpoints.iter().all(Endpoint::is_secure) {
        say!("          NOT ENCRYPTED: everybody on the network can listen");
    }
    if !config.core.trust.pins.is_empty() {
        say!("          the server is known by its key (core.pin)");
    }
    match config.core.proxy.as_ref().map(|proxy| (proxy, &proxy.scope)) {
        Some((proxy, ProxyScope::Everything)) => say!("          through the proxy {proxy}"),
        Some((proxy, ProxyScope::Tls { .. })) => {
            say!("          through the proxy {proxy} (https_proxy), what uses TLS")
        }
        None => {}
    }
    match &config.media.ice_servers {
        IceServers::FromServer => say!("          STUN and TURN servers: those that the server hands out"),
        IceServers::Listed(servers) => say!("          STUN and TURN servers: {}", IceServerCounts::of(servers)),
    }
    say!("          callers of {} are identified by their number alone", config.core.sip_domains.join(", "));
}

fn print_sound(config: &Config) {
    let audio = &config.audio;
    say!("sound     capture {}, playback {}, {} Hz", audio.capture, audio.playback, audio.rate_hz);
    match audio::probe(&audio.capture, &audio.playback, audio.rate_hz) {
        Ok(timing) => {
            say!("          both can be opened");
            if let Some(remark) = timing.remark() {
                say!("          warning: {remark}");
            }
        }
        Err(error) => say!("          not available now: {error} (the station keeps trying)"),
    }
}

fn print_inputs(config: &Config) {
    for button in &config.buttons {
        say!("button    {}: {}", button.name, trigger(config, &button.press));
        for (what, found) in [("long", &button.long_press), ("double", &button.double_press)] {
            if let Some(found) = found {
                say!("          {what}: {}", trigger(config, found));
            }
        }
        if button.again == Again::Hangup {
            say!("          a press while its call is up: hang up");
        }
    }
    for sensor in &config.sensors {
        let (opened, closed) = (trigger(config, &sensor.opened), trigger(config, &sensor.closed));
        say!("sensor    {}: opened: {opened}; closed: {closed}", sensor.name);
    }
}

fn print_output(config: &Config, output: &OutputPin) {
    let name = &output.name;
    let max_on = match &output.kind {
        OutputKind::Relay { max_on } => *max_on,
        OutputKind::Led { show } => {
            let shown: Vec<String> =
                show.iter().map(|(state, drive)| format!("{} {}", state.key(), drive.word())).collect();
            let shown = if shown.is_empty() { "shows no state".to_owned() } else { shown.join(", ") };
            return say!("led       {name}: {shown}");
        }
    };
    let pulse = output.pulse.as_millis();
    say!("relay     {name}: on for {} ms at most, {pulse} ms where nobody says how long", max_on.as_millis());
    let others = config.outputs.iter().filter(|other| other.name != *name && output.excludes(other));
    let others: Vec<&str> = others.map(|other| other.name.as_str()).collect();
    if !others.is_empty() {
        say!("          stays off while {} is on, whatever asks for it", others.join(" or "));
    }
    if max_on < HANG_TO_REST {
        let seconds = HANG_TO_REST.as_secs();
        say!("          a daemon that hangs is killed after {seconds} s: {name} may stay on until then");
    }
}

fn print_door(config: &Config, door: &DoorConfig) {
    let contact = config.sensors.get(door.contact.0).map(|sensor| sensor.name.as_str()).unwrap_or_default();
    let relays = door.opened_by.iter().filter_map(|index| config.outputs.get(index.0)).map(|output| &output.name);
    let buttons = door.exit.iter().filter_map(|index| config.buttons.get(index.0)).map(|button| &button.name);
    let ways: Vec<&str> = relays.chain(buttons).map(String::as_str).collect();
    let ways = if ways.is_empty() { "nothing".to_owned() } else { ways.join(" or ") };
    say!(
        "door      {}: contact {contact}; opened rightfully by {ways} and {} s after it",
        door.name,
        door.grace.as_secs()
    );
    say!("          forced: {}", trigger(config, &door.forced));
    say!("          open for {} s: {}", door.held_after.as_secs(), trigger(config, &door.held));
    say!("          closed after either: {}", trigger(config, &door.restored));
}

fn print_schedule(config: &Config, schedule: &Schedule) {
    let jitter = match schedule.jitter.as_secs() {
        0 => String::new(),
        seconds => format!(", up to {seconds} s later"),
    };
    say!("schedule  {}: {}{jitter}: {}", schedule.name, schedule.when, trigger(config, &schedule.run));
}

fn print_mode(mode: &Mode) {
    let hours = match &mode.hours {
        Some(hours) => format!("on {}, unless somebody switches it", hours.text()),
        None => "switched by hand alone".to_owned(),
    };
    let volume = mode.volume.map(|volume| format!("; volume {volume}")).unwrap_or_default();
    say!("mode      {}: {hours}{volume}", mode.name);
}

fn print_reader(config: &Config, index: usize, reader: &Reader) {
    let kind = match reader.kind {
        ReaderKind::Keypad => "keypad",
        ReaderKind::Card => "cards",
    };
    let dial = if reader.dial.is_empty() { String::new() } else { format!("; calls {}", patterns(&reader.dial)) };
    say!("reader    {}: {kind}, {}{dial}", reader.name, reader.device);
    for code in config.codes.iter().filter(|code| code.readers.contains(&ReaderIndex(index))) {
        let conditions = code_conditions(config, code);
        let conditions = if conditions.is_empty() { conditions } else { format!("{conditions}: ") };
        say!("          {}: {conditions}{}", code.name, trigger(config, &code.run));
    }
}

/// When a code counts; empty if it always does.
pub(super) fn code_conditions(config: &Config, code: &Code) -> String {
    let until = code.valid_until.map(|date| format!("until {date}"));
    let conditions = Some(code.conditions.text(&config.modes)).filter(|text| !text.is_empty());
    conditions.into_iter().chain(until).collect::<Vec<_>>().join(", ")
}

/// What wrong codes cost.
fn print_access(config: &Config) {
    if config.dtmf.is_empty() && config.codes.is_empty() {
        return;
    }
    let AccessConfig { wrong_codes, window, lock } = config.access;
    say!(
        "access    {wrong_codes} wrong codes within {} s lock a far end's codes for {} s, each time twice as long",
        window.as_secs(),
        lock.as_secs()
    );
    if !config.readers.is_empty() {
        say!("          the same holds for the codes of a reader");
    }
}

fn print_prompts(config: &Config) {
    let prompt = |prompt: &Prompt| format!("{} {:.1} s", prompt.name, prompt.length.as_secs_f32());
    let prompts: Vec<String> = config.prompts.iter().map(prompt).collect();
    if !prompts.is_empty() {
        say!("prompts   {}", prompts.join(", "));
    }
}

/// The public holidays, where hours ask for them.
fn print_calendar(config: &Config) {
    let days: Vec<String> = config.calendar.holidays.iter().map(ToString::to_string).collect();
    if !days.is_empty() {
        say!("holidays  {} (PH in hours)", days.join(", "));
    }
}

fn print_calls(config: &Config) {
    for rule in &config.answers {
        say!("call from {}", answer_rule(config, rule));
    }
    let calls = config.triggers().flat_map(|(_, trigger)| trigger.calls_in_it()).filter(|call| call.assurance.alarm);
    let numbers: BTreeSet<&str> = calls.flat_map(|call| &call.numbers).map(PhoneNumber::as_str).collect();
    if !numbers.is_empty() {
        let numbers = numbers.into_iter().collect::<Vec<_>>().join(", ");
        say!(
            "call from {numbers}: while an alarm of theirs is on, answered at once, sound both ways, whatever else says"
        );
    }
    say!("call from anybody else: declined");
    let calls = &config.calls;
    let second = match calls.second_call {
        SecondCall::Reject => "declined",
        SecondCall::Hold => "accepted, and the first one is held",
        SecondCall::Mix => "accepted, and all hear each other",
        SecondCall::Replace => "accepted, and the first one ends",
    };
    say!("calls     a second call is {second}; a call ends after {} s of talk", calls.max_talk.as_secs());
    for rule in &config.dtmf {
        say!("code      {}", code(config, rule));
    }
    for (index, reader) in config.readers.iter().enumerate() {
        print_reader(config, index, reader);
    }
    print_access(config);
}

/// An answer rule as text, such as `100, 2*: answered after 500 ms, sound both ways`.
pub(super) fn answer_rule(config: &Config, rule: &AnswerRule) -> String {
    let what = match rule.action {
        AnswerAction::Answer if rule.after.is_zero() => "answered at once".to_owned(),
        AnswerAction::Answer => format!("answered after {} ms", rule.after.as_millis()),
        AnswerAction::Ring => "rings here".to_owned(),
        AnswerAction::Decline => "declined".to_owned(),
    };
    let mode = match (rule.action, rule.mode) {
        (AnswerAction::Decline, _) => "",
        (_, CallMode::Talk) => ", sound both ways",
        (_, CallMode::Listen) => ", the caller hears this place and is not heard here",
        (_, CallMode::Announce) => ", the caller is heard here and hears nothing",
    };
    let conditions = rule.conditions.text(&config.modes);
    let conditions = if conditions.is_empty() { conditions } else { format!(", {conditions}") };
    let who = if rule.from.is_empty() { "anybody".to_owned() } else { patterns(&rule.from) };
    format!("{who}: {what}{mode}{conditions}")
}

fn patterns(patterns: &[NumberPattern]) -> String {
    patterns.iter().map(NumberPattern::text).collect::<Vec<_>>().join(", ")
}

/// A code rule as text, without the digits, which are a secret.
fn code(config: &Config, rule: &DtmfRule) -> String {
    let who = match &rule.from {
        Some(from) => format!("from {}, in calls of either direction", patterns(from)),
        None => "from anybody whom the station called".to_owned(),
    };
    let tones = if rule.in_band { ", also as tones in the sound" } else { "" };
    format!("of {} digits {who}{tones}: {}", rule.digits.len(), trigger(config, &rule.run))
}

fn trigger(config: &Config, trigger: &Trigger) -> String {
    if trigger.rules.is_empty() {
        return "nothing".into();
    }
    trigger.rules.iter().map(|one| rule(config, one)).collect::<Vec<_>>().join("; else ")
}

pub(super) fn rule(config: &Config, rule: &Rule) -> String {
    let steps: Vec<String> = rule
        .steps
        .iter()
        .map(|step| {
            let (after, lasting, pause) = (step.after.as_millis(), step.lasting.as_millis(), step.cooldown.as_secs());
            let wait = if after == 0 { String::new() } else { format!(" after {after} ms in any case") };
            let still = if lasting == 0 { String::new() } else { format!(" if the state lasts for {lasting} ms") };
            let pause = if pause == 0 { String::new() } else { format!(", then not again for {pause} s") };
            format!("{}{wait}{still}{pause}", action(config, &step.action))
        })
        .collect();
    let conditions = rule.conditions.text(&config.modes);
    let conditions = if conditions.is_empty() { conditions } else { format!("{conditions}: ") };
    let steps = if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") };
    format!("{conditions}{steps}")
}

fn assurance(config: &Config, Assurance { alarm, confirm, say }: &Assurance) -> String {
    let alarm = if *alarm { ", again and again until somebody takes it" } else { "" };
    let confirm = confirm
        .map(|Confirm { digit, within }| format!(", to be confirmed with {digit} within {} s", within.as_secs()));
    let say = say.map(|what| format!(", who hears {}", config.name_of(what)));
    format!("{alarm}{}{}", confirm.unwrap_or_default(), say.unwrap_or_default())
}

fn play(config: &Config, PlayAction { what, to, repeat, in_call }: &PlayAction) -> String {
    let to = match to {
        PlayTo::Near => "",
        PlayTo::Far => " to the far end",
        PlayTo::Both => " here and to the far end",
    };
    let times = if *repeat == 1 { String::new() } else { format!(", {repeat} times") };
    let in_call = match in_call {
        InCall::Yield => "",
        InCall::Wait => ", after a call",
        InCall::Play => ", also when a call begins",
    };
    format!("play {}{to}{times}{in_call}", config.name_of(*what))
}

fn call(config: &Config, CallAction { numbers, line, ring, order, outcomes, assurance: sure }: &CallAction) -> String {
    let at_once = usize::try_from(config.core.lines).unwrap_or(usize::MAX);
    let all = |numbers: &[PhoneNumber]| numbers.iter().map(PhoneNumber::as_str).collect::<Vec<_>>().join(", ");
    let who = match (numbers.split_at_checked(at_once), order) {
        _ if numbers.len() == 1 => all(numbers),
        (_, Order::Serial) => format!("{} in turn", all(numbers)),
        (Some((first, others)), Order::Parallel) if !others.is_empty() => {
            format!("{} at once, then {} as lines become free", all(first), all(others))
        }
        (_, Order::Parallel) => format!("{} at once", all(numbers)),
    };
    let ring = ring.unwrap_or(config.calls.ring_timeout).as_secs();
    let outcomes = outcomes.all().into_iter().filter(|(_, outcome)| !outcome.is_empty());
    let outcomes: Vec<String> =
        outcomes.map(|(name, outcome)| format!("{}: {}", name.replace('_', " "), trigger(config, outcome))).collect();
    let outcomes = if outcomes.is_empty() { String::new() } else { format!(" ({})", outcomes.join("; ")) };
    let line = match line {
        LineChoice::Any => String::new(),
        LineChoice::Number(line) => format!(" on line {line}"),
    };
    format!("call {who}{line}, ringing for {ring} s{}{outcomes}", assurance(config, sure))
}

fn action(config: &Config, action: &Action) -> String {
    match action {
        Action::Call(one) => call(config, one),
        Action::Answer => "answer a call that rings (then nothing else)".into(),
        Action::Hangup(HangupTarget::All) => "hang up".into(),
        Action::Hangup(HangupTarget::Line(line)) => format!("hang up line {line}"),
        Action::Output { output, change } => {
            let output = config.outputs.get(output.0);
            let name = output.map(|output| output.name.as_str()).unwrap_or_default();
            match change {
                OutputChange::On => format!("{name} on"),
                OutputChange::Off => format!("{name} off"),
                OutputChange::Pulse(length) => match output.map(|output| &output.kind) {
                    Some(OutputKind::Relay { max_on }) if length > max_on => {
                        format!("{name} on for {} ms, its max_on_ms", max_on.as_millis())
                    }
                    _ => format!("{name} on for {} ms", length.as_millis()),
                },
            }
        }
        Action::Play(one) => play(config, one),
        Action::Talk(CallMode::Talk) => "open the call in both directions".into(),
        Action::Talk(CallMode::Listen) => "let the far end only hear".into(),
        Action::Talk(CallMode::Announce) => "let the far end only speak".into(),
        Action::EndAlarm => "end all alarms".into(),
        Action::Hook(text) => format!("report \"{text}\""),
        Action::Volume(volume) => format!("volume {volume} until the end of the call, or for 60 s where there is none"),
        Action::Mute(true) => "microphone off until the end of the call, or for 60 s where there is none".into(),
        Action::Mute(false) => "microphone on".into(),
        Action::Mode { mode, change } => {
            let name = config.modes.get(mode.0).map(|mode| mode.name.as_str()).unwrap_or_default();
            let change = match change {
                ModeChange::On => "on",
                ModeChange::Off => "off",
                ModeChange::Toggle => "the other way round",
                ModeChange::Auto => "as its hours say",
            };
            format!("mode {name} {change}")
        }
    }
}
