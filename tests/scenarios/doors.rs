//! Doors that know who may open them.

use callbox::core::*;

use crate::door::*;

const FRONT: &str = r#"
[[button]]
name = "bell"
pin = 17
press = { call = "200" }
[[button]]
name = "exit"
pin = 18
[[sensor]]
name = "door"
pin = 27
[[output]]
name = "strike"
kind = "relay"
pin = 23
[[output]]
name = "lamp"
kind = "led"
pin = 24
show = { door_forced = "double", door_held = "blink" }
[[door]]
name = "front"
contact = "door"
opened_by = ["strike"]
exit = "exit"
forced = { call = "100" }
held = { call = "101" }
restored = { play = "no_answer" }
"#;
const CONTACT: Pin = Pin::Sensor(SensorIndex(0));

fn front() -> Door {
    let mut door = Door::online(FRONT);
    door.input(Input::Level { pin: CONTACT, active: false, debounced: false });
    door.advance(100);
    door
}

fn contact(door: &mut Door, open: bool) {
    door.input(Input::Edge { pin: CONTACT, active: open });
}

fn pulse(door: &mut Door) {
    let change = OutputChange::Pulse(std::time::Duration::from_secs(3));
    door.command(Command::Output { output: callbox::config::OutputIndex(0), change }).unwrap();
}

fn state(door: &Door) -> DoorState {
    door.station.status().doors[0].state
}

fn told(door: &Door) -> Vec<DoorState> {
    let state = |fact: &Fact| match fact {
        Fact::Door { state, .. } => Some(*state),
        _ => None,
    };
    door.facts.iter().filter_map(state).collect()
}

#[test]
fn a_door_that_nobody_opened_rightfully_is_forced_and_calls() {
    let mut door = front();
    contact(&mut door, true);
    door.advance(600);
    assert_eq!(state(&door), DoorState::Forced);
    door.take_one("outgoing_call");
    assert_eq!(door.drives.get(&1), Some(&Drive::Double));
    contact(&mut door, false);
    door.advance(1_100);
    assert_eq!(told(&door), [DoorState::Forced, DoorState::Closed]);
    assert!(door.heard(callbox::config::Sound::NoAnswer), "restored");
    let by = door.facts.iter().find_map(|fact| match fact {
        Fact::Call { by, .. } => Some(by.clone()),
        _ => None,
    });
    assert_eq!(by, Some(By::Door { door: "front".into() }));
}

#[test]
fn who_switched_the_strike_opens_rightfully_and_is_named() {
    let mut door = front();
    pulse(&mut door);
    door.advance(7_000);
    contact(&mut door, true);
    door.advance(100);
    assert_eq!(state(&door), DoorState::Open);
    let opened = door.station.status().doors[0].clone();
    assert_eq!(opened.by, Some(By::User { user: "anna".into() }));
    contact(&mut door, false);
    door.advance(2_000);
    assert_eq!(told(&door), [DoorState::Open, DoorState::Closed]);
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn a_code_over_the_telephone_opens_rightfully_to_the_end_of_the_grace() {
    for (after_ms, expected) in [(3_000 + 4_900, DoorState::Open), (3_000 + 5_100, DoorState::Forced)] {
        let mut door = front();
        pulse(&mut door);
        door.advance(after_ms);
        contact(&mut door, true);
        door.advance(1_000);
        assert_eq!(state(&door), expected, "{after_ms}");
    }
}

#[test]
fn the_exit_button_needs_no_press_and_opens_rightfully_by_finger_and_by_command() {
    let mut door = front();
    door.input(Input::Edge { pin: Pin::Button(ButtonIndex(1)), active: true });
    door.advance(100);
    door.input(Input::Edge { pin: Pin::Button(ButtonIndex(1)), active: false });
    door.advance(4_000);
    contact(&mut door, true);
    door.advance(1_000);
    assert_eq!(state(&door), DoorState::Open);
    assert_eq!(door.station.status().doors[0].by, Some(By::Finger { button: "exit".into() }));
    let mut door = front();
    door.command(Command::Press { button: ButtonIndex(1), gesture: Gesture::Press }).unwrap();
    door.advance(4_000);
    contact(&mut door, true);
    door.advance(1_000);
    assert_eq!(state(&door), DoorState::Open);
}

#[test]
fn a_button_that_is_held_or_jammed_gives_a_right_for_its_grace_and_no_longer() {
    let mut door = front();
    door.input(Input::Edge { pin: Pin::Button(ButtonIndex(1)), active: true });
    door.advance(4_000);
    contact(&mut door, true);
    door.advance(1_000);
    assert_eq!(state(&door), DoorState::Open);
    door.advance(120_000);
    assert_eq!(state(&door), DoorState::Held);
    contact(&mut door, false);
    door.advance(30_000);
    contact(&mut door, true);
    door.advance(1_000);
    assert_eq!(state(&door), DoorState::Forced);
}

#[test]
fn a_button_that_is_down_at_the_start_was_not_pressed() {
    let mut door = front();
    door.input(Input::Level { pin: Pin::Button(ButtonIndex(1)), active: true, debounced: false });
    door.advance(100);
    contact(&mut door, true);
    door.advance(1_000);
    assert_eq!(state(&door), DoorState::Forced);
}

#[test]
fn a_door_that_stays_open_is_held_and_calls_once() {
    let mut door = front();
    pulse(&mut door);
    door.advance(1_000);
    contact(&mut door, true);
    door.advance(600_000);
    assert_eq!(told(&door), [DoorState::Open, DoorState::Held]);
    assert_eq!(door.drives.get(&1), Some(&Drive::Blink));
    assert_eq!(door.take("outgoing_call").len(), 1);
    contact(&mut door, false);
    door.advance(2_000);
    assert!(door.heard(callbox::config::Sound::NoAnswer));
}

#[test]
fn a_door_that_is_found_open_after_a_power_cut_is_not_forced() {
    let mut door = Door::online(FRONT);
    door.input(Input::Level { pin: CONTACT, active: true, debounced: false });
    door.advance(30_000);
    assert_eq!(state(&door), DoorState::Open);
    door.advance(40_000);
    assert_eq!(told(&door), [DoorState::Open, DoorState::Held]);
}

#[test]
fn a_contact_that_chatters_for_seconds_after_a_rightful_opening_raises_no_alarm() {
    let mut door = front();
    pulse(&mut door);
    door.advance(1_000);
    contact(&mut door, true);
    door.advance(9_000);
    for _ in 0..20 {
        contact(&mut door, false);
        door.advance(300);
        contact(&mut door, true);
        door.advance(100);
    }
    contact(&mut door, false);
    door.advance(2_000);
    assert_eq!(told(&door), [DoorState::Open, DoorState::Closed]);
}

#[test]
fn an_alarm_while_the_session_is_away_is_kept_as_a_press_is() {
    let mut door = front();
    door.lose(1006);
    contact(&mut door, true);
    door.advance(1_000);
    assert_eq!(state(&door), DoorState::Forced);
    door.input(Input::Socket(SocketEvent::Opened { local: None }));
    door.state(vec![None, None]);
    door.take_one("outgoing_call");
}

#[test]
fn nobody_is_asked_to_close_a_door_that_is_closed_already() {
    let text = FRONT
        .replace("held = { call = \"101\" }", "held = { play = \"busy\", repeat = 10 }")
        .replace("restored = { play = \"no_answer\" }", "");
    let mut door = Door::online(&text);
    door.input(Input::Level { pin: CONTACT, active: false, debounced: false });
    door.input(Input::Audio(AudioEvent::Ready));
    pulse(&mut door);
    contact(&mut door, true);
    door.advance(90_000);
    assert_eq!(state(&door), DoorState::Held);
    contact(&mut door, false);
    door.advance(10_000);
    let announced = door.announced.len();
    assert!(announced > 1, "this test needs a prompt that is repeated");
    door.advance(60_000);
    assert_eq!(door.announced.len(), announced);
}
