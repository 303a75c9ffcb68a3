//! A trial: something that may happen, and the rules that apply to it.

use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;

use super::modes::note_modes;
use super::rehearsal::Rehearsal;
use crate::cli::client::Daemon;
use crate::cli::output::say;
use crate::cli::{Exit, check, complain, load};
use crate::config::{
    CodeIndex, Conditions, Config, DoorConfig, Hours, ModeChange, ModeIndex, ModeState, Moment, ScheduleIndex, Trigger,
};
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
    /// Somebody types a code of `[[code]]`, or shows a card.
    Holder {
        code: String,
    },
    /// A schedule comes due.
    Schedule {
        schedule: String,
    },
}

/// When and how a trial takes place.
struct Circumstances {
    local: Option<LocalTime>,
    /// Modes that somebody has switched on.
    modes: Vec<ModeIndex>,
    /// There is no connection to the server.
    offline: bool,
}

impl Circumstances {
    /// The time and the modes, as people read them.
    fn shown(&self, config: &Config) -> String {
        let time = match self.local {
            Some(local) => format!("it is {}", shown_time(local)),
            None => "the clock is not set, so no rule with hours matches".to_owned(),
        };
        let on = config.modes.iter().zip(self.mode_states(config)).filter(|(_, state)| *state == ModeState::On);
        let on: Vec<&str> = on.map(|(mode, _)| mode.name.as_str()).collect();
        if on.is_empty() { time } else { format!("{time}, {}", on.join(" and ")) }
    }

    fn mode_states(&self, config: &Config) -> Vec<ModeState> {
        let by_hand = |index| self.modes.contains(&ModeIndex(index)).then_some(true);
        let all = config.modes.iter().enumerate();
        all.map(|(index, mode)| mode.state(by_hand(index), self.local, &config.calendar)).collect()
    }

    /// Whether conditions hold.
    fn hold(&self, config: &Config, conditions: &Conditions) -> bool {
        let modes = self.mode_states(config);
        conditions.hold(Moment { local: self.local, calendar: &config.calendar, modes: &modes })
    }

    fn hours_hold(&self, config: &Config, conditions: &Conditions) -> bool {
        Hours::hold(conditions.hours.as_ref(), self.local, &config.calendar)
    }

    fn rehearsal(&self, config: &Arc<Config>) -> Rehearsal {
        let mut rehearsal = Rehearsal::new(Arc::clone(config), self.local, self.offline);
        for mode in &self.modes {
            let command = Command::Mode { mode: *mode, change: ModeChange::On };
            rehearsal.feed(Input::Command(CommandId(0), By::Station, command));
        }
        rehearsal
    }
}

/// Prints what a trial would lead to, decision by decision, without doing anything.
pub(in crate::cli) async fn rehearse(
    daemon: &Daemon,
    trial: &Trial,
    at: Option<LocalTime>,
    modes: &[String],
    offline: bool,
) -> Exit {
    let config = match load(&daemon.config) {
        Ok(config) => Arc::new(config),
        Err(exit) => return exit,
    };
    let named = |name: &String| {
        let names = config.modes.iter().map(|mode| &mode.name);
        let found = config.modes.iter().position(|mode| mode.name == *name).map(ModeIndex);
        found.ok_or_else(|| no_such("mode", name, names))
    };
    let result = modes.iter().map(named).collect::<Result<Vec<_>, _>>().and_then(|modes| {
        let when = Circumstances { local: at.or_else(crate::station::local_time), modes, offline };
        match trial {
            Trial::Press { button, gesture } => press(&config, button, *gesture, &when),
            Trial::Sensor { sensor, opened } => move_sensor(&config, sensor, *opened, &when),
            Trial::Code { digits, from } => type_code(&config, digits, from, &when),
            Trial::Incoming { from } => receive_call(&config, from, &when),
            Trial::Holder { code } => enter_code(&config, code, &when),
            Trial::Schedule { schedule } => come_due(&config, schedule, &when),
        }
    });
    if modes.is_empty() && result.is_ok() {
        note_modes(daemon).await;
    }
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

fn press(config: &Arc<Config>, name: &str, gesture: Gesture, when: &Circumstances) -> Result<Exit, String> {
    let names = config.buttons.iter().map(|button| &button.name);
    let index = config.buttons.iter().position(|button| button.name == name);
    let index = index.ok_or_else(|| no_such("button", name, names))?;
    say!("{name}: {}", when.shown(config));
    if let Some(button) = config.buttons.get(index) {
        let trigger = match gesture {
            Gesture::Press => Some(&button.press),
            Gesture::Long => button.long_press.as_ref(),
            Gesture::Double => button.double_press.as_ref(),
        };
        match trigger {
            Some(trigger) => print_rules(config, trigger, when),
            None => say!("  this button has no actions for a {}", shown_gesture(gesture)),
        }
    }
    for door in config.doors.iter().filter(|door| door.exit.contains(&ButtonIndex(index))) {
        say!("  the door {} may be opened for {} s", door.name, door.grace.as_secs());
    }
    let command = Command::Press { button: ButtonIndex(index), gesture };
    when.rehearsal(config).run(vec![Input::Command(CommandId(1), By::Station, command)]);
    Ok(Exit::Done)
}

fn shown_gesture(gesture: Gesture) -> &'static str {
    match gesture {
        Gesture::Press => "press",
        Gesture::Long => "long press",
        Gesture::Double => "double press",
    }
}

fn move_sensor(config: &Arc<Config>, name: &str, opened: bool, when: &Circumstances) -> Result<Exit, String> {
    let names = config.sensors.iter().map(|sensor| &sensor.name);
    let index = config.sensors.iter().position(|sensor| sensor.name == name);
    let index = index.ok_or_else(|| no_such("sensor", name, names))?;
    say!("{name} {} and stays like that: {}", if opened { "opens" } else { "closes" }, when.shown(config));
    let doors: Vec<&DoorConfig> = config.doors.iter().filter(|door| door.contact.0 == index).collect();
    if let Some(sensor) = config.sensors.get(index) {
        let trigger = if opened { &sensor.opened } else { &sensor.closed };
        if !trigger.is_empty() || doors.is_empty() {
            print_rules(config, trigger, when);
        }
    }
    for door in doors {
        let name = &door.name;
        if opened {
            say!("  it opens the door {name}, and nobody with a right has: it counts as forced");
            print_rules(config, &door.forced, when);
        } else {
            say!("  it closes the door {name}; after a forced or held opening:");
            print_rules(config, &door.restored, when);
        }
    }
    let pin = Pin::Sensor(SensorIndex(index));
    let mut rehearsal = when.rehearsal(config);
    rehearsal.feed(Input::Level { pin, active: !opened, debounced: false });
    rehearsal.run(vec![Input::Edge { pin, active: opened }]);
    Ok(Exit::Done)
}

fn type_code(config: &Arc<Config>, digits: &str, from: &str, when: &Circumstances) -> Result<Exit, String> {
    let (digits, from) = (digits.to_ascii_uppercase(), &caller(from, &config.core.sip_domains));
    if digits.is_empty() || !digits.chars().all(|digit| "0123456789*#ABCD".contains(digit)) {
        return Err(format!("\"{digits}\" has characters that are not DTMF digits (0-9, *, #, A-D)"));
    }
    // A code may be typed in calls of both directions, and different rules may apply to them.
    for direction in [Direction::Outgoing, Direction::Incoming] {
        let whose = if direction == Direction::Outgoing { "whom the station called" } else { "who called the station" };
        say!("{from}, {whose}, types these {} digits: {}", digits.len(), when.shown(config));
        let admitted: Vec<&crate::config::DtmfRule> =
            config.dtmf.iter().filter(|rule| rule.admits(from, direction == Direction::Outgoing)).collect();
        let codes: Vec<&str> = admitted.iter().map(|rule| rule.digits.as_str()).collect();
        match code_of(&digits, &codes).and_then(|index| admitted.get(index)) {
            _ if admitted.is_empty() => say!("  no [[dtmf]] rule admits them: nothing happens"),
            Some(rule) => {
                say!("  that is one of their codes");
                print_rules(config, &rule.run, when);
            }
            None => say!("  that is not one of their codes: a wrong code"),
        }
        let mut rehearsal = when.rehearsal(config);
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

fn receive_call(config: &Arc<Config>, from: &str, when: &Circumstances) -> Result<Exit, String> {
    let from = &caller(from, &config.core.sip_domains);
    say!("{} calls: {}", called(from), when.shown(config));
    let mut matched = false;
    for (number, rule) in (1..).zip(&config.answers) {
        let word = match rule {
            _ if matched => "is skipped, because an earlier rule matches",
            rule if !rule.is_for(from) => "is for other callers",
            rule if !when.hours_hold(config, &rule.conditions) => "does not match at this hour",
            rule if !when.hold(config, &rule.conditions) => "does not match in these modes",
            _ => {
                matched = true;
                "matches"
            }
        };
        say!("  rule {number} {word}: {}", check::answer_rule(config, rule));
    }
    if !matched {
        say!("  no rule matches: the call is declined");
    }
    let mut rehearsal = when.rehearsal(config);
    let invitation = rehearsal.invitation(from);
    rehearsal.run_for(vec![invitation], 90_000);
    Ok(Exit::Done)
}

fn enter_code(config: &Arc<Config>, name: &str, when: &Circumstances) -> Result<Exit, String> {
    let index = config.codes.iter().position(|code| code.name == name);
    let Some((index, code)) = index.and_then(|index| Some((index, config.codes.get(index)?))) else {
        let names: Vec<String> = config.codes.iter().map(|code| code.name.to_string()).collect();
        return Err(no_such("code of", name, names.iter()));
    };
    let Some(reader) = code.readers.first().copied() else { return Err(format!("the code of {name} has no reader")) };
    let reader_name = config.readers.get(reader.0).map(|reader| reader.name.as_str()).unwrap_or_default();
    say!("{name} types the code at {reader_name}: {}", when.shown(config));
    let modes = when.mode_states(config);
    if code.holds(Moment { local: when.local, calendar: &config.calendar, modes: &modes }) {
        print_rules(config, &code.run, when);
    } else {
        say!("  it does not count now: {}", check::code_conditions(config, code));
    }
    when.rehearsal(config).run_code(reader, CodeIndex(index));
    Ok(Exit::Done)
}

fn come_due(config: &Arc<Config>, name: &str, when: &Circumstances) -> Result<Exit, String> {
    let names = config.schedules.iter().map(|schedule| &schedule.name);
    let index = config.schedules.iter().position(|schedule| schedule.name == name);
    let index = index.ok_or_else(|| no_such("schedule", name, names))?;
    let Some(schedule) = config.schedules.get(index) else { return Ok(Exit::Done) };
    say!("{name}, {}, comes due: {}", schedule.when, when.shown(config));
    print_rules(config, &schedule.run, when);
    when.rehearsal(config).run_schedule(ScheduleIndex(index));
    Ok(Exit::Done)
}

fn print_rules(config: &Config, trigger: &Trigger, when: &Circumstances) {
    let mut matched = false;
    for (number, rule) in (1..).zip(&trigger.rules) {
        let word = match rule {
            _ if matched => "is skipped, because an earlier rule matches",
            rule if !when.hold(config, &rule.conditions) => "does not match",
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
    let LocalTime { date, minute_of_day } = local;
    format!("{:?} {date}, {:02}:{:02}", local.weekday(), minute_of_day / 60, minute_of_day % 60)
}

/// Parses `Sun 03:00`, which is the next one, `03:00` for today, or `2026-12-25 12:00`, also with `T`.
pub(in crate::cli) fn time_argument(text: &str) -> Result<LocalTime, String> {
    let remedy = "write a day and a time, such as \"Sun 03:00\" or \"2026-12-25 12:00\"";
    let (day, time) = text.trim().rsplit_once([' ', 'T']).unwrap_or(("", text.trim()));
    let (hour, minutes) = time.split_once(':').ok_or_else(|| format!("\"{time}\" is not a time of day; {remedy}"))?;
    let parse = |text: &str, most: u16| {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|value| is_number && *value <= most)
    };
    let (Some(hour), Some(minutes)) = (parse(hour, 23), parse(minutes, 59)) else {
        return Err(format!("\"{time}\" is not a time of day; {remedy}"));
    };
    let some_day = LocalTime::in_some_week(Weekday::Monday, 0);
    let today = crate::station::local_time().unwrap_or(some_day).date;
    let date = day_argument(day.trim(), today).ok_or_else(|| {
        let kind = if day.starts_with(|first: char| first.is_ascii_digit()) { "date" } else { "day of the week" };
        format!("\"{day}\" is not a {kind}; {remedy}")
    })?;
    Ok(LocalTime { date, minute_of_day: hour * 60 + minutes })
}

/// Parses a date, or a day of the week, which is the next one from today. No text is today.
fn day_argument(day: &str, today: Date) -> Option<Date> {
    if day.is_empty() {
        return Some(today);
    }
    if day.starts_with(|first: char| first.is_ascii_digit()) {
        return day.parse().ok();
    }
    let day = day.to_lowercase();
    let named = |weekday: &&Weekday| day.len() >= 2 && format!("{weekday:?}").to_lowercase().starts_with(&day);
    let weekday = *Weekday::ALL.iter().find(named)?;
    today.series(1.day()).take(7).find(|date| Weekday::of(*date) == weekday)
}
