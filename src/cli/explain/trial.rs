//! A trial: something that may happen, and the rules that apply to it.

use std::path::Path;
use std::sync::Arc;

use super::rehearsal::Rehearsal;
use crate::cli::output::say;
use crate::cli::{Exit, check, complain, load};
use crate::config::{Config, Hours, Trigger};
use crate::core::{
    ButtonIndex, By, Command, CommandId, Direction, Gesture, Input, LocalTime, MediaEvent, Pin, SensorIndex, Weekday,
    called, code_of,
};
use crate::secret::DtmfDigit;
use crate::sip_address::caller;

/// Something that may happen, to be rehearsed.
#[derive(Debug, Clone)]
pub(in crate::cli) enum Trial {
    Press {
        button: String,
        gesture: Gesture,
    },
    Sensor {
        sensor: String,
        opened: bool,
    },
    /// A far end types a code, in a call of either direction.
    Code {
        digits: String,
        from: String,
    },
    Incoming {
        from: String,
    },
}

/// Prints what a trial would lead to, decision by decision, without doing anything.
pub(in crate::cli) fn rehearse(config: &Path, trial: &Trial, at: Option<LocalTime>, offline: bool) -> Exit {
    let config = match load(config) {
        Ok(config) => Arc::new(config),
        Err(exit) => return exit,
    };
    let local = at.or_else(crate::station::local_time);
    let time = match local {
        Some(local) => format!("it is {}", shown_time(local)),
        None => "the clock is not set, so no rule with hours matches".to_owned(),
    };
    let result = match trial {
        Trial::Press { button, gesture } => press(&config, button, *gesture, &time, local, offline),
        Trial::Sensor { sensor, opened } => move_sensor(&config, sensor, *opened, &time, local, offline),
        Trial::Code { digits, from } => type_code(&config, digits, from, &time, local),
        Trial::Incoming { from } => receive_call(&config, from, &time, local),
    };
    result.unwrap_or_else(|problem| {
        complain(problem);
        Exit::Usage
    })
}

fn no_such<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    let there =
        if names.is_empty() { "none is configured".to_owned() } else { format!("there are: {}", names.join(", ")) };
    format!("there is no {what} \"{name}\"; {there}")
}

fn press(
    config: &Arc<Config>,
    name: &str,
    gesture: Gesture,
    time: &str,
    local: Option<LocalTime>,
    offline: bool,
) -> Result<Exit, String> {
    let names = config.buttons.iter().map(|button| &button.name);
    let index = config.buttons.iter().position(|button| button.name == name);
    let index = index.ok_or_else(|| no_such("button", name, names))?;
    say!("{name}: {time}");
    if let Some(button) = config.buttons.get(index) {
        let trigger = match gesture {
            Gesture::Press => Some(&button.press),
            Gesture::Long => button.long_press.as_ref(),
            Gesture::Double => button.double_press.as_ref(),
        };
        match trigger {
            Some(trigger) => print_rules(config, trigger, local),
            None => say!("  this button has no actions for a {}", shown_gesture(gesture)),
        }
    }
    let command = Command::Press { button: ButtonIndex(index), gesture };
    Rehearsal::new(Arc::clone(config), local, offline).run(vec![Input::Command(CommandId(1), By::Station, command)]);
    Ok(Exit::Done)
}

fn shown_gesture(gesture: Gesture) -> &'static str {
    match gesture {
        Gesture::Press => "press",
        Gesture::Long => "long press",
        Gesture::Double => "double press",
    }
}

fn move_sensor(
    config: &Arc<Config>,
    name: &str,
    opened: bool,
    time: &str,
    local: Option<LocalTime>,
    offline: bool,
) -> Result<Exit, String> {
    let names = config.sensors.iter().map(|sensor| &sensor.name);
    let index = config.sensors.iter().position(|sensor| sensor.name == name);
    let index = index.ok_or_else(|| no_such("sensor", name, names))?;
    say!("{name} {} and stays like that: {time}", if opened { "opens" } else { "closes" });
    if let Some(sensor) = config.sensors.get(index) {
        print_rules(config, if opened { &sensor.opened } else { &sensor.closed }, local);
    }
    let pin = Pin::Sensor(SensorIndex(index));
    let mut rehearsal = Rehearsal::new(Arc::clone(config), local, offline);
    rehearsal.feed(Input::Level { pin, active: !opened, debounced: false });
    rehearsal.run(vec![Input::Edge { pin, active: opened }]);
    Ok(Exit::Done)
}

fn type_code(
    config: &Arc<Config>,
    digits: &str,
    from: &str,
    time: &str,
    local: Option<LocalTime>,
) -> Result<Exit, String> {
    let (digits, from) = (digits.to_ascii_uppercase(), &caller(from, &config.core.sip_domains));
    if digits.is_empty() || !digits.chars().all(|digit| "0123456789*#ABCD".contains(digit)) {
        return Err(format!("\"{digits}\" has characters that are not DTMF digits (0-9, *, #, A-D)"));
    }
    // A code may be typed in calls of both directions, and different rules may apply to them.
    for direction in [Direction::Outgoing, Direction::Incoming] {
        let whose = if direction == Direction::Outgoing { "whom the station called" } else { "who called the station" };
        say!("{from}, {whose}, types these {} digits: {time}", digits.len());
        let admitted: Vec<&crate::config::DtmfRule> =
            config.dtmf.iter().filter(|rule| rule.admits(from, direction == Direction::Outgoing)).collect();
        let codes: Vec<&str> = admitted.iter().map(|rule| rule.digits.as_str()).collect();
        match code_of(&digits, &codes).and_then(|index| admitted.get(index)) {
            _ if admitted.is_empty() => say!("  no [[dtmf]] rule admits them: nothing happens"),
            Some(rule) => {
                say!("  that is one of their codes");
                print_rules(config, &rule.run, local);
            }
            None => say!("  that is not one of their codes: a wrong code"),
        }
        let mut rehearsal = Rehearsal::new(Arc::clone(config), local, false);
        if !rehearsal.connect_to(from, direction) {
            say!("  but no [[answer]] rule accepts their call now: it is declined");
            continue;
        }
        let typed =
            digits.chars().map(|digit| Input::Media(rehearsal.media, MediaEvent::Digit(DtmfDigit(digit)))).collect();
        rehearsal.run_for(typed, 15_000);
    }
    Ok(Exit::Done)
}

fn receive_call(config: &Arc<Config>, from: &str, time: &str, local: Option<LocalTime>) -> Result<Exit, String> {
    let from = &caller(from, &config.core.sip_domains);
    say!("{} calls: {time}", called(from));
    let mut matched = false;
    for (number, rule) in (1..).zip(&config.answers) {
        let word = match rule {
            _ if matched => "is skipped, because an earlier rule matches",
            rule if !rule.is_for(from) => "is for other callers",
            rule if !Hours::hold(rule.hours.as_ref(), local) => "does not match at this hour",
            _ => {
                matched = true;
                "matches"
            }
        };
        say!("  rule {number} {word}: {}", check::answer_rule(rule));
    }
    if !matched {
        say!("  no rule matches: the call is declined");
    }
    let mut rehearsal = Rehearsal::new(Arc::clone(config), local, false);
    let invitation = rehearsal.invitation(from);
    rehearsal.run_for(vec![invitation], 90_000);
    Ok(Exit::Done)
}

fn print_rules(config: &Config, trigger: &Trigger, local: Option<LocalTime>) {
    let mut matched = false;
    for (number, rule) in (1..).zip(&trigger.rules) {
        let word = match rule {
            _ if matched => "is skipped, because an earlier rule matches",
            rule if !Hours::hold(rule.hours.as_ref(), local) => "does not match",
            _ => {
                matched = true;
                "matches"
            }
        };
        say!("  rule {number} {word}: {}", check::rule(config, rule));
    }
    if !matched {
        say!("  no rule matches: nothing happens");
    }
}

fn shown_time(local: LocalTime) -> String {
    format!("{:?} {:02}:{:02}", local.weekday, local.minute_of_day / 60, local.minute_of_day % 60)
}

/// Parses `Sun 03:00`, or `03:00` for today.
pub(in crate::cli) fn time_argument(text: &str) -> Result<LocalTime, String> {
    let remedy = "write a day and a time, such as \"Sun 03:00\"";
    let (day, time) = text.trim().rsplit_once(' ').unwrap_or(("", text.trim()));
    let weekday = if day.is_empty() {
        crate::station::local_time().map_or(Weekday::Monday, |local| local.weekday)
    } else {
        let day = day.trim().to_lowercase();
        let named = |weekday: &&Weekday| day.len() >= 2 && format!("{weekday:?}").to_lowercase().starts_with(&day);
        *Weekday::ALL.iter().find(named).ok_or_else(|| format!("\"{day}\" is not a day of the week; {remedy}"))?
    };
    let (hour, minutes) = time.split_once(':').ok_or_else(|| format!("\"{time}\" is not a time of day; {remedy}"))?;
    let parse = |text: &str, most: u16| text.parse::<u16>().ok().filter(|value| *value <= most);
    match (parse(hour, 23), parse(minutes, 59)) {
        (Some(hour), Some(minutes)) => Ok(LocalTime { weekday, minute_of_day: hour * 60 + minutes }),
        _ => Err(format!("\"{time}\" is not a time of day; {remedy}")),
    }
}
