//! Modes of the house, holidays, and rules that ask for them.

use std::sync::Arc;

use callbox::config::ModeIndex;
use callbox::config::*;
use callbox::core::*;
use callbox::signaling::*;

use crate::door::*;

const HOUSE: &str = r#"
[modes]
away = {}
night = { hours = "22:00-06:30", volume = 40 }
[calendar]
holidays = ["11-25"]
[[button]]
name = "bell"
pin = 17
press = [
  { when = "away", call = "300" },
  { when = "night", call = "200" },
  { hours = "PH 00:00-24:00", call = "400" },
  { call = "100" },
]
[[button]]
name = "key"
pin = 18
press = { mode = "away", set = "toggle" }
[[answer]]
from = "500"
when = "not away"
action = "answer"
"#;
const AWAY: ModeIndex = ModeIndex(0);
const NIGHT: ModeIndex = ModeIndex(1);

fn at(weekday: Weekday, hour: u16) -> Option<LocalTime> {
    Some(LocalTime::in_some_week(weekday, hour * 60))
}

fn house(weekday: Weekday, hour: u16) -> Door {
    let mut door = Door::online(HOUSE);
    door.local = at(weekday, hour);
    door.advance(0);
    door
}

fn switch(door: &mut Door, mode: ModeIndex, change: ModeChange) {
    door.command(Command::Mode { mode, change }).expect("a mode can always be switched");
}

/// The number that a press calls.
fn called(door: &mut Door) -> String {
    door.press();
    let request = door.take_one("outgoing_call");
    door.ack(&request);
    let busy = EventBody::Hangup { code: 486, reason: "busy".into() };
    door.event_of(&request, busy);
    door.advance(5_000);
    let RequestBody::OutgoingCall { number, .. } = request.body else { panic!("{request:?}") };
    number.as_str().to_owned()
}

fn told(door: &Door) -> Vec<(String, bool)> {
    let mode = |fact: &Fact| match fact {
        Fact::Mode { mode, on, .. } => Some((mode.clone(), *on)),
        _ => None,
    };
    door.facts.iter().filter_map(mode).collect()
}

#[test]
fn rules_ask_for_the_hours_of_a_mode() {
    assert_eq!(called(&mut house(Weekday::Monday, 12)), "100");
    assert_eq!(called(&mut house(Weekday::Monday, 23)), "200");
    assert_eq!(called(&mut house(Weekday::Tuesday, 5)), "200");
}

#[test]
fn on_a_holiday_the_rule_for_holidays_matches() {
    assert_eq!(called(&mut house(Weekday::Wednesday, 12)), "400");
    assert_eq!(called(&mut house(Weekday::Thursday, 12)), "100");
}

#[test]
fn a_mode_that_somebody_has_switched_stays_until_somebody_switches_it_again() {
    let mut door = house(Weekday::Monday, 12);
    switch(&mut door, AWAY, ModeChange::On);
    assert_eq!(called(&mut door), "300");
    door.advance(24 * 3_600_000);
    assert_eq!(called(&mut door), "300");
    switch(&mut door, AWAY, ModeChange::Toggle);
    switch(&mut door, NIGHT, ModeChange::On);
    assert_eq!(called(&mut door), "200");
    switch(&mut door, NIGHT, ModeChange::Auto);
    assert_eq!(called(&mut door), "100");
    door.local = at(Weekday::Monday, 23);
    door.advance(0);
    switch(&mut door, NIGHT, ModeChange::Off);
    assert_eq!(called(&mut door), "100");
}

#[test]
fn a_button_switches_a_mode_and_the_fact_says_which() {
    let mut door = house(Weekday::Monday, 12);
    let key =
        Input::Command(CommandId(77), By::Station, Command::Press { button: ButtonIndex(1), gesture: Gesture::Press });
    door.input(key.clone());
    assert_eq!(called(&mut door), "300");
    door.input(key);
    assert_eq!(called(&mut door), "100");
    assert_eq!(told(&door), [("away".to_owned(), true), ("away".to_owned(), false)]);
}

#[test]
fn the_hours_of_a_mode_are_told_once_when_they_begin_and_end() {
    let mut door = house(Weekday::Monday, 12);
    for hour in [21, 22, 23] {
        door.local = at(Weekday::Monday, hour);
        door.advance(3_600_000);
    }
    door.local = at(Weekday::Tuesday, 7);
    door.advance(60_000);
    assert_eq!(told(&door), [("night".to_owned(), true), ("night".to_owned(), false)]);
    let by = door.facts.iter().rev().find_map(|fact| match fact {
        Fact::Mode { by, .. } => Some(by.clone()),
        _ => None,
    });
    assert_eq!(by, Some(By::Hours));
}

#[test]
fn the_volume_of_a_mode_holds_as_long_as_the_mode() {
    let mut door = house(Weekday::Monday, 12);
    let usual = door.scene.volume;
    assert_ne!(usual, 40);
    door.local = at(Weekday::Monday, 22);
    door.advance(60_000);
    assert_eq!(door.scene.volume, 40);
    assert_eq!(door.station.status().audio.volume_changed, None, "it is as configured");
    door.local = at(Weekday::Tuesday, 8);
    door.advance(60_000);
    assert_eq!(door.scene.volume, usual);
}

#[test]
fn without_a_clock_no_hours_hold_and_a_switched_mode_does() {
    let mut door = house(Weekday::Monday, 23);
    door.local = None;
    door.advance(0);
    assert_eq!(called(&mut door), "100");
    switch(&mut door, NIGHT, ModeChange::On);
    assert_eq!(called(&mut door), "200");
}

#[test]
fn who_is_away_stays_away_over_a_restart() {
    let mut door = house(Weekday::Monday, 12);
    switch(&mut door, AWAY, ModeChange::On);
    let memory = door.memory.clone();
    assert_eq!(memory.modes.len(), 1);
    let now = Now { at: Time(0), local: at(Weekday::Monday, 12) };
    let mut next = Station::new(Arc::new(configuration(HOUSE)), 8, 2000, now);
    next.recall(memory.clone());
    next.handle(now, Input::Tick);
    let on: Vec<bool> = next.status().modes.iter().map(|mode| mode.on).collect();
    assert_eq!(on, [true, false]);
    // A mode that is no longer there is forgotten.
    let mut other = Station::new(Arc::new(configuration(BELL)), 8, 2000, now);
    other.recall(memory);
    assert!(other.status().modes.is_empty());
}

#[test]
fn a_reload_keeps_what_was_switched() {
    let mut door = house(Weekday::Monday, 12);
    switch(&mut door, AWAY, ModeChange::On);
    let more = HOUSE.replace("away = {}", "aaa = {}\naway = {}").replace("300", "301");
    door.station.reconfigure(Arc::new(configuration(&more)));
    assert_eq!(called(&mut door), "301");
}

#[test]
fn a_caller_is_answered_only_under_the_conditions_of_the_rule() {
    let mut door = house(Weekday::Monday, 12);
    switch(&mut door, AWAY, ModeChange::On);
    door.incoming(0, "a", "500");
    door.take_one("decline");
    switch(&mut door, AWAY, ModeChange::Auto);
    door.incoming(1, "b", "500");
    assert!(door.take("decline").is_empty());
}

#[test]
fn a_clock_that_differs_from_the_servers_makes_no_hours_hold_and_is_a_fault() {
    let mut door = Door::online(
        "[modes]\nnight = { hours = \"22:00-06:00\" }\n\
         [[button]]\nname = \"bell\"\npin = 17\npress = [{ hours = \"00:00-24:00\", call = \"900\" }, { call = \"100\" }]\n\
         [[output]]\nname = \"lamp\"\nkind = \"led\"\npin = 24\nshow = { fault = \"heartbeat\" }\n",
    );
    door.local = Some(LocalTime::in_some_week(Weekday::Monday, 23 * 60));
    let number = |door: &mut Door| {
        door.press();
        let request = door.take_one("outgoing_call");
        door.ack(&request);
        door.hung_up(&request, 404);
        door.advance(2_000);
        let RequestBody::OutgoingCall { number, .. } = request.body else { panic!() };
        number.to_string()
    };
    for (ahead_ms, called) in [(0, "900"), (119_000, "900"), (-121_000, "100"), (7_200_000, "100"), (5_000, "900")] {
        door.input(Input::ServerTime { ahead_ms });
        let status = door.station.status();
        assert_eq!(number(&mut door), called, "{ahead_ms}");
        assert_eq!(status.clock_fault.is_some(), called == "100", "{ahead_ms}");
        assert_eq!(status.modes[0].on, called == "900", "{ahead_ms}");
        assert_eq!(door.drives.get(&0) == Some(&Drive::Heartbeat), called == "100", "{ahead_ms}");
    }
    let told: Vec<bool> = door
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Clock { fault } => Some(fault.is_some()),
            _ => None,
        })
        .collect();
    assert_eq!(told, [true, false], "once for each change");
}

#[test]
fn a_press_in_the_first_minute_of_a_mode_is_already_one_in_it() {
    let mut door = Door::online(HOUSE);
    door.local = Some(LocalTime::in_some_week(Weekday::Monday, 22 * 60 - 1));
    door.advance(0);
    door.local = Some(LocalTime::in_some_week(Weekday::Monday, 22 * 60));
    door.press();
    let RequestBody::OutgoingCall { number, .. } = door.take_one("outgoing_call").body else { panic!() };
    assert_eq!(number, "200");
}

#[test]
fn while_nobody_knows_what_time_it_is_no_rule_holds_that_asks_for_a_mode_with_hours() {
    let text = "[modes]\nnight = { hours = \"22:00-06:30\" }\n\
                [[button]]\nname = \"bell\"\npin = 17\n\
                press = [{ when = \"not night\", call = \"100\" }, { when = \"night\", call = \"200\" }, { call = \"300\" }]\n\
                [[answer]]\nfrom = \"500\"\nwhen = \"not night\"\naction = \"answer\"\n";
    let mut door = Door::online(text);
    door.incoming(0, "c", "500");
    door.take_one("decline");
    door.press();
    let RequestBody::OutgoingCall { number, .. } = door.take_one("outgoing_call").body else { panic!() };
    assert_eq!(number, "300");
    // Whoever switches it by hand knows.
    let mut door = Door::online(text);
    door.command(Command::Mode { mode: ModeIndex(0), change: ModeChange::Off }).unwrap();
    door.press();
    let RequestBody::OutgoingCall { number, .. } = door.take_one("outgoing_call").body else { panic!() };
    assert_eq!(number, "100");
}
