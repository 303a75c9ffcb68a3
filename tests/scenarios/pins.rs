//! What pins report besides presses: levels at the start, faults, a stuck button, the kernel's debounce.

use crate::door::*;
use callbox::core::*;

const BELL_PIN: Pin = Pin::Button(ButtonIndex(0));
const DOUBLE: &str = "[[button]]\nname = \"bell\"\npin = 17\npress = { call = \"100\" }\n\
                      double_press = { call = \"200\" }\n";
const CONTACT: &str = "[[sensor]]\nname = \"door\"\npin = 27\nopened = { hangup = \"all\" }\n";
const LAMP: &str = "[[output]]\nname = \"lamp\"\nkind = \"led\"\npin = 24\nshow = { fault = \"heartbeat\" }\n";

fn edge(door: &mut Door, pin: Pin, active: bool) {
    door.input(Input::Edge { pin, active });
}

fn level(door: &mut Door, pin: Pin, active: bool, debounced: bool) {
    door.input(Input::Level { pin, active, debounced });
}

fn pin_facts(door: &Door) -> Vec<Option<String>> {
    let pins = door.facts.iter().filter_map(|fact| match fact {
        Fact::Pin { fault, .. } => Some(fault.clone()),
        _ => None,
    });
    pins.collect()
}

#[test]
fn a_button_that_is_down_when_the_station_starts_calls_nobody() {
    for gestures in [BELL, DOUBLE] {
        let mut door = Door::online(gestures);
        level(&mut door, BELL_PIN, true, false);
        door.advance(1_000);
        edge(&mut door, BELL_PIN, false);
        door.advance(1_000);
        assert!(door.take("outgoing_call").is_empty());
        door.press();
        door.advance(1_000);
        door.take_one("outgoing_call");
    }
}

#[test]
fn a_stuck_button_is_a_fault_that_calls_nobody_and_recovers() {
    let mut door = Door::online(&format!("{DOUBLE}{LAMP}"));
    edge(&mut door, BELL_PIN, true);
    door.advance(59_000);
    assert_eq!(door.drives.get(&0), Some(&Drive::Off));
    door.advance(1_100);
    let button = door.station.status().buttons[0].clone();
    assert!(button.fault.unwrap().contains("stuck"));
    assert_eq!(door.drives.get(&0), Some(&Drive::Heartbeat));
    edge(&mut door, BELL_PIN, false);
    door.advance(1_000);
    assert!(door.take("outgoing_call").is_empty(), "its release is not a press");
    assert_eq!(door.station.status().buttons[0].fault, None);
    assert_eq!(door.drives.get(&0), Some(&Drive::Off));
    assert_eq!(pin_facts(&door).iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
    door.press();
    door.advance(1_000);
    door.take_one("outgoing_call");
}

#[test]
fn what_the_kernel_has_debounced_counts_at_once() {
    let mut door = Door::online(BELL);
    level(&mut door, BELL_PIN, false, true);
    edge(&mut door, BELL_PIN, true);
    door.take_one("outgoing_call");
    assert!(door.station.status().buttons[0].debounced_by_kernel);
}

#[test]
fn a_pulse_that_is_too_short_is_a_spike_whoever_debounces() {
    let config = BELL.replace("pin = 17", "pin = 17\nmin_pulse_ms = 100");
    for debounced in [false, true] {
        let mut door = Door::online(&config);
        level(&mut door, BELL_PIN, false, debounced);
        edge(&mut door, BELL_PIN, true);
        door.advance(95);
        edge(&mut door, BELL_PIN, false);
        door.advance(1_000);
        assert!(door.take("outgoing_call").is_empty());
        edge(&mut door, BELL_PIN, true);
        door.advance(101);
        door.take_one("outgoing_call");
    }
}

#[test]
fn bounces_are_counted() {
    let mut door = Door::online(BELL);
    for active in [true, false, true, false, true] {
        edge(&mut door, BELL_PIN, active);
        door.advance(3);
    }
    door.advance(100);
    let button = door.station.status().buttons[0].clone();
    assert_eq!((button.edges, button.bounces, button.active), (5, 2, true));
}

#[test]
fn a_pin_that_cannot_be_used_is_a_fault_once_and_shown_until_it_can() {
    let mut door = Door::online(&format!("{BELL}{LAMP}"));
    let pin = AnyPin::Input(BELL_PIN);
    for message in ["held by \"gpiomon\"", "held by \"gpiomon\"", "there is no GPIO chip"] {
        door.input(Input::PinFault { pin, fault: Some(message.into()) });
        assert_eq!(
            door.station.status().buttons[0].fault.as_deref(),
            Some(message),
            "the status has the newest message"
        );
    }
    assert_eq!(door.drives.get(&0), Some(&Drive::Heartbeat));
    door.input(Input::PinFault { pin, fault: None });
    assert_eq!(door.drives.get(&0), Some(&Drive::Off));
    assert_eq!(pin_facts(&door), [Some("held by \"gpiomon\"".to_owned()), None]);
    // Presses by command work all the same.
    door.press();
    door.take_one("outgoing_call");
}

#[test]
fn a_door_that_was_opened_while_its_pin_was_away_is_noticed_and_one_that_is_open_at_the_start_is_ignored() {
    let mut door = Door::online(&format!("{BELL}{CONTACT}"));
    door.talking_call();
    level(&mut door, Pin::Sensor(SensorIndex(0)), true, true);
    door.advance(1_000);
    assert!(door.station.status().sensors[0].active);
    assert!(door.take("hangup").is_empty());
    level(&mut door, Pin::Sensor(SensorIndex(0)), false, true);
    level(&mut door, Pin::Sensor(SensorIndex(0)), true, true);
    door.take_one("hangup");
}

#[test]
fn a_chip_that_goes_under_a_finger_presses_nothing() {
    let long = "[[button]]\nname = \"bell\"\npin = 17\npress = { call = \"100\" }\nlong_press = { call = \"200\" }\n";
    let mut door = Door::online(long);
    level(&mut door, BELL_PIN, false, true);
    edge(&mut door, BELL_PIN, true);
    door.advance(300);
    door.input(Input::PinFault { pin: AnyPin::Input(BELL_PIN), fault: Some("gone".into()) });
    door.advance(70_000);
    assert!(door.take("outgoing_call").is_empty());
    assert_eq!(door.station.status().buttons[0].fault.as_deref(), Some("gone"));
}

#[test]
fn a_shorter_limit_holds_for_a_relay_that_is_on() {
    let relay =
        |limit: u32| format!("{BELL}[[output]]\nname = \"strike\"\nkind = \"relay\"\npin = 23\nmax_on_ms = {limit}\n");
    let mut door = Door::online(&relay(60_000));
    let output = callbox::config::OutputIndex(0);
    door.command(Command::Output { output, change: OutputChange::On }).unwrap();
    door.advance(1_000);
    door.station.reconfigure(std::sync::Arc::new(configuration(&relay(4_000))));
    door.advance(2_900);
    assert_eq!(door.drives.get(&0), Some(&Drive::On));
    door.advance(200);
    assert_eq!(door.drives.get(&0), Some(&Drive::Off));
}
