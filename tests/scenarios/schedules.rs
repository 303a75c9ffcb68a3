//! What happens at certain times by itself.

use std::sync::Arc;

use callbox::core::*;
use callbox::signaling::*;

use crate::door::*;

const TEST_CALL: &str = r#"
[calendar]
holidays = ["11-25"]
[[schedule]]
name = "test-call"
every = "72h"
jitter_s = 900
run = { call = "112" }
[[schedule]]
name = "wash"
at = "Mo-Fr 03:00"
run = { play = "ring" }
"#;

/// A door whose clock goes with the time, from 12:00 on Monday, 23 November 2026.
struct House {
    door: Door,
    minutes: u64,
}

impl House {
    fn new(text: &str) -> Self {
        Self::of(Door::online(text))
    }

    fn of(door: Door) -> Self {
        let mut house = Self { door, minutes: 12 * 60 };
        house.pass(0);
        house
    }

    fn local(&self) -> Option<LocalTime> {
        let day = LocalTime::in_some_week(Weekday::ALL[usize::try_from(self.minutes / 1440 % 7).unwrap()], 0);
        let weeks = jiff::Span::new().weeks(i64::try_from(self.minutes / 10_080).unwrap());
        let date = day.date.checked_add(weeks).unwrap();
        Some(LocalTime { date, minute_of_day: u16::try_from(self.minutes % 1440).unwrap() })
    }

    /// Lets minutes pass.
    fn pass(&mut self, minutes: u64) {
        self.door.local = self.local();
        self.door.advance(0);
        for _ in 0..minutes {
            self.door.advance(60_000);
            self.minutes += 1;
            self.door.local = self.local();
            self.door.advance(0);
        }
    }

    fn runs(&self, name: &str) -> usize {
        let runs = self.door.facts.iter();
        runs.filter(|fact| matches!(fact, Fact::Schedule { schedule } if schedule == name)).count()
    }
}

/// Ends a call of the station.
fn nobody_answers(door: &mut Door) {
    for call in door.take("outgoing_call") {
        door.ack(&call);
        door.event_of(&call, EventBody::Hangup { code: 404, reason: "none".into() });
    }
    door.advance(5_000);
}

#[test]
fn an_interval_runs_again_and_again_with_its_jitter() {
    let mut house = House::new(TEST_CALL);
    house.pass(72 * 60 - 2);
    assert_eq!(house.runs("test-call"), 0);
    house.pass(2 + 16);
    assert_eq!(house.runs("test-call"), 1);
    let by = house.door.facts.iter().find_map(|fact| match fact {
        Fact::Call { by, .. } => Some(by.clone()),
        _ => None,
    });
    assert_eq!(by, Some(By::Schedule { schedule: "test-call".into() }));
    nobody_answers(&mut house.door);
    house.pass(72 * 60);
    assert_eq!(house.runs("test-call"), 2);
}

#[test]
fn a_moment_runs_on_its_days_once() {
    let mut house = House::new(TEST_CALL);
    // Until Saturday noon: Tuesday to Friday.
    house.pass(5 * 1440);
    assert_eq!(house.runs("wash"), 4);
    house.pass(1440);
    assert_eq!(house.runs("wash"), 4, "there is none on Sunday");
}

#[test]
fn while_the_clock_is_not_set_nothing_runs_and_then_it_runs_once() {
    let mut house = House::new(TEST_CALL);
    house.pass(1);
    house.door.local = None;
    for _ in 0..100 {
        house.door.advance(3_600_000);
    }
    assert_eq!((house.runs("test-call"), house.runs("wash")), (0, 0));
    house.minutes += 100 * 60;
    house.pass(20);
    assert_eq!((house.runs("test-call"), house.runs("wash")), (1, 1));
}

#[test]
fn what_comes_due_in_a_call_runs_once_after_it() {
    let mut house = House::new(&format!("{TEST_CALL}{BELL}[calls]\nmax_talk_s = 86400\n"));
    house.door.talking_call();
    house.pass(16 * 60);
    assert_eq!(house.runs("wash"), 0);
    assert!(house.door.station.status().schedules[1].waiting);
    house.door.command(Command::Hangup { line: None }).unwrap();
    let hangup = house.door.take_one("hangup");
    house.door.ack(&hangup);
    house.door.event_of(&hangup, EventBody::Hangup { code: 200, reason: "bye".into() });
    house.pass(2);
    assert_eq!(house.runs("wash"), 1);
}

#[test]
fn what_comes_due_again_and_again_in_one_call_runs_once_after_it() {
    let text = TEST_CALL.replace("72h", "2h").replace("call = \"112\"", "play = \"busy\"");
    let mut house = House::new(&format!("{text}{BELL}[calls]\nmax_talk_s = 86400\n"));
    let call = house.door.talking_call();
    house.pass(23 * 60);
    assert_eq!((house.runs("wash"), house.runs("test-call")), (0, 0));
    house.door.event_of(&call, EventBody::Hangup { code: 200, reason: "bye".into() });
    house.pass(30);
    assert_eq!((house.runs("wash"), house.runs("test-call")), (1, 1));
}

#[test]
fn a_run_that_was_missed_over_a_power_cut_is_made_up_for_once() {
    let mut house = House::new(TEST_CALL);
    house.pass(16 * 60);
    assert_eq!(house.runs("wash"), 1);
    let memory = house.door.memory.clone();
    assert_eq!(memory.schedules.len(), 2);
    for (away_minutes, washes, test_calls) in [(60, 0, 0), (2 * 1440, 1, 0), (10 * 1440, 1, 1)] {
        let mut next = House { door: Door::new(TEST_CALL), minutes: house.minutes + away_minutes };
        next.door.station.recall(memory.clone());
        next.door.local = next.local();
        next.door.connect();
        next.pass(20);
        nobody_answers(&mut next.door);
        assert_eq!((next.runs("wash"), next.runs("test-call")), (washes, test_calls), "{away_minutes}");
    }
}

#[test]
fn a_clock_that_jumps_runs_nothing_twice() {
    let mut house = House::new(TEST_CALL);
    house.pass(16 * 60);
    assert_eq!(house.runs("wash"), 1);
    // Back over the moment, as at the end of summer time, and forward again.
    house.minutes -= 120;
    house.pass(240);
    assert_eq!(house.runs("wash"), 1);
    // A clock that was years ahead does not hold the schedule up.
    house.minutes += 1440 * 7 * 100;
    house.pass(1);
    house.minutes -= 1440 * 7 * 100;
    house.pass(2 * 1440);
    assert!(house.runs("wash") >= 3, "{}", house.runs("wash"));
}

#[test]
fn a_schedule_that_cannot_call_says_why() {
    let mut house = House::new(
        "[[schedule]]\nname = \"t\"\nat = \"13:00\"\nrun = { call = \"112\", failed = { play = \"busy\" } }\n",
    );
    house.door.lose(4431);
    house.pass(70);
    let refused = |fact: &Fact| matches!(fact, Fact::ScheduleRefused { schedule, reason } if schedule == "t" && !reason.is_empty());
    assert!(house.door.facts.iter().any(refused));
    assert!(house.door.heard(callbox::config::Sound::Busy));
}

#[test]
fn a_reload_keeps_what_was_done() {
    let mut house = House::new(TEST_CALL);
    house.pass(16 * 60);
    house.door.station.reconfigure(Arc::new(configuration(&TEST_CALL.replace("\"ring\"", "\"busy\""))));
    house.pass(60);
    assert_eq!(house.runs("wash"), 1);
    house.pass(1440);
    assert_eq!(house.runs("wash"), 2);
}

#[test]
fn a_restart_between_the_moment_and_its_jitter_loses_no_run() {
    let mut house =
        House::new("[[schedule]]\nname = \"t\"\nat = \"03:00\"\njitter_s = 3600\nrun = { play = \"ring\" }\n");
    house.pass(15 * 60 + 2);
    assert!(house.door.station.status().schedules[0].waiting, "this test needs a run that waits for its jitter");
    let text = "[[schedule]]\nname = \"t\"\nat = \"03:00\"\njitter_s = 60\nrun = { play = \"ring\" }\n";
    let mut next = House { door: Door::new(text), minutes: house.minutes };
    next.door.station.recall(house.door.memory.clone());
    next.door.local = next.local();
    next.door.connect();
    next.pass(3);
    assert_eq!(next.runs("t"), 1);
    house.door.station.reconfigure(Arc::new(configuration(text)));
    house.pass(3);
    assert_eq!(house.runs("t"), 1, "a reload is no other thing");
}

#[test]
fn a_run_that_waits_for_its_jitter_waits_for_the_clock_too() {
    let mut house =
        House::new("[[schedule]]\nname = \"t\"\nat = \"03:00\"\njitter_s = 300\nrun = { play = \"ring\" }\n");
    house.pass(15 * 60);
    house.door.local = None;
    house.door.advance(3_600_000);
    assert_eq!(house.runs("t"), 0);
    house.minutes += 60;
    house.pass(2);
    assert_eq!(house.runs("t"), 1);
}

#[test]
fn while_our_clock_and_the_servers_differ_no_moment_comes_but_an_interval_goes_on() {
    let mut house = House::new(TEST_CALL);
    house.door.input(Input::ServerTime { ahead_ms: 3_600_000 });
    house.pass(73 * 60);
    assert_eq!((house.runs("wash"), house.runs("test-call")), (0, 1));
    nobody_answers(&mut house.door);
    house.door.input(Input::ServerTime { ahead_ms: 0 });
    house.pass(2);
    assert_eq!(house.runs("wash"), 1);
}
