//! What happens when a call was answered, has ended, or has come to nothing.

use callbox::config::Sound;
use callbox::core::*;
use callbox::signaling::*;

use crate::door::*;

const BELL_WITH_OUTCOMES: &str = r#"
[modes]
called = {}
[[output]]
name = "light"
kind = "relay"
pin = 23
[[button]]
name = "bell"
pin = 17
[button.press]
call = ["100", "101"]
ring_s = 20
answered = { output = "light", pulse_ms = 2000 }
no_answer = { call = "200" }
failed = [{ play = "busy" }, { mode = "called", set = "on" }]
ended = { mode = "called", set = "toggle" }
"#;

fn number(request: &Request) -> &str {
    let RequestBody::OutgoingCall { number, .. } = &request.body else { panic!("{request:?}") };
    number
}

fn end(door: &mut Door, request: &Request, code: i64) {
    door.event_of(request, EventBody::Hangup { code, reason: "no".into() });
    door.advance(1_000);
}

fn mode_is_on(door: &Door) -> bool {
    door.station.status().modes[0].on
}

#[test]
fn where_anybody_rang_and_nobody_came_the_next_thing_is_done() {
    let mut door = Door::online(BELL_WITH_OUTCOMES);
    door.press();
    let first = door.take_one("outgoing_call");
    door.ack(&first);
    door.event_of(&first, EventBody::Ringing {});
    end(&mut door, &first, 480);
    let second = door.take_one("outgoing_call");
    assert_eq!(number(&second), "101");
    door.ack(&second);
    door.sounds.clear();
    end(&mut door, &second, 404);
    let third = door.take_one("outgoing_call");
    assert_eq!(number(&third), "200");
    assert!(!door.heard(Sound::NoAnswer), "the next call is heard instead");
    let by = door.facts.iter().rev().find_map(|fact| match fact {
        Fact::Call { by, state: CallState::Dialing, .. } => Some(by.clone()),
        _ => None,
    });
    assert!(matches!(by, Some(By::User { .. })), "the cause travels along: {by:?}");
}

#[test]
fn where_nobody_could_be_reached_the_call_has_failed() {
    let mut door = Door::online(BELL_WITH_OUTCOMES);
    door.press();
    for _ in 0..2 {
        let call = door.take_one("outgoing_call");
        door.ack(&call);
        end(&mut door, &call, 404);
    }
    assert!(door.heard(Sound::Busy) && mode_is_on(&door));
    assert!(!door.heard(Sound::NotFound), "the outcome is heard instead");
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn a_press_that_is_refused_has_failed() {
    let mut door = Door::online(BELL_WITH_OUTCOMES);
    door.lose(4431);
    door.advance(100);
    door.press();
    door.advance(10_000);
    assert!(mode_is_on(&door));
}

#[test]
fn a_press_that_waited_for_the_session_in_vain_has_failed() {
    let mut door = Door::online(BELL_WITH_OUTCOMES);
    door.lose(1006);
    door.press();
    assert!(!mode_is_on(&door), "it may still become a call");
    door.advance(10_000);
    assert!(mode_is_on(&door));
}

#[test]
fn an_answer_and_the_end_of_the_call_are_two_outcomes() {
    let mut door = Door::online(BELL_WITH_OUTCOMES);
    door.talking_call();
    door.advance(100);
    assert_eq!(door.drives.get(&0), Some(&Drive::On));
    assert!(!mode_is_on(&door));
    door.command(Command::Hangup { line: None }).unwrap();
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.event_of(&hangup, EventBody::Hangup { code: 200, reason: "bye".into() });
    door.advance(1_000);
    assert!(mode_is_on(&door), "it has ended");
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn a_call_that_the_visitor_gave_up_comes_to_nothing() {
    let mut door = Door::online(BELL_WITH_OUTCOMES);
    door.press();
    let call = door.take_one("outgoing_call");
    door.ack(&call);
    door.event_of(&call, EventBody::Ringing {});
    door.command(Command::Hangup { line: None }).unwrap();
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.event_of(&call, EventBody::Hangup { code: 487, reason: "cancelled".into() });
    door.advance(5_000);
    assert!(!mode_is_on(&door) && door.take("outgoing_call").is_empty());
}

#[test]
fn an_outcome_of_a_sensor_is_not_cooled_by_the_sensor() {
    let mut door = Door::online(
        "[modes]\ncalled = {}\n[[sensor]]\nname = \"motion\"\npin = 22\n\
         opened = { call = \"100\", cooldown_s = 60, failed = { mode = \"called\", set = \"toggle\" } }\n",
    );
    let contact = |door: &mut Door, open| {
        door.input(Input::Edge { pin: Pin::Sensor(SensorIndex(0)), active: open });
        door.advance(100);
    };
    contact(&mut door, true);
    let call = door.take_one("outgoing_call");
    door.ack(&call);
    end(&mut door, &call, 404);
    assert!(mode_is_on(&door));
    contact(&mut door, false);
    contact(&mut door, true);
    assert!(door.take("outgoing_call").is_empty() && mode_is_on(&door), "the sensor itself cools");
}
