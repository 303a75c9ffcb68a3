use crate::door::*;
use callbox::config::Sound;
use callbox::core::*;
use callbox::signaling::*;

fn edge(door: &mut Door, active: bool) {
    door.input(Input::Edge { pin: Pin::Button(ButtonIndex(0)), active });
}

#[test]
fn a_bouncing_button_makes_one_call() {
    let mut door = Door::online(BELL);
    for active in [true, false, true, false, true] {
        edge(&mut door, active);
        door.advance(3);
    }
    door.advance(30);
    door.take_one("outgoing_call");
    edge(&mut door, false);
    door.advance(100);
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn a_spike_on_the_wire_rings_nobody() {
    let mut door = Door::online(BELL);
    edge(&mut door, true);
    door.advance(10);
    edge(&mut door, false);
    door.advance(1000);
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn an_impatient_visitor_hears_a_sign_and_makes_no_second_call() {
    let mut door = Door::online(BELL);
    door.ringing_call();
    door.sounds.clear();
    for _ in 0..5 {
        door.press();
    }
    assert!(door.take("outgoing_call").is_empty());
    assert_eq!(door.sounds.len(), 5);
    assert!(door.heard(Sound::Connecting));
}

#[test]
fn a_second_press_hangs_up_where_the_button_says_so() {
    let mut door = Door::online(&BELL.replace("ring_s = 30 }", "ring_s = 30 }\nagain = \"hangup\""));
    door.ringing_call();
    door.press();
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&hangup, 487);
    assert!(door.take("outgoing_call").is_empty());
    assert!(!door.heard(Sound::NoConnection) && !door.heard(Sound::Refused));
}

#[test]
fn a_long_press_is_another_wish_than_a_press() {
    let mut door = Door::online(&format!("{BELL}long_press = {{ hangup = \"all\" }}\n"));
    edge(&mut door, true);
    door.advance(100);
    assert!(door.take("outgoing_call").is_empty(), "with a long press configured, a press counts at its release");
    edge(&mut door, false);
    door.advance(100);
    let call = door.take_one("outgoing_call");
    door.ack(&call);
    edge(&mut door, true);
    door.advance(900);
    door.take_one("hangup");
}

#[test]
fn the_concierge_rings_by_day_and_the_residents_by_night() {
    let config = r#"
[[button]]
name = "bell"
pin = 17
press = [ { hours = "Mo-Fr 07:00-19:00", call = "900" }, { call = "100" } ]
"#;
    let number = |weekday, minute_of_day| {
        let mut door = Door::online(config);
        door.local = Some(LocalTime::in_some_week(weekday, minute_of_day));
        door.press();
        match door.take_one("outgoing_call").body {
            RequestBody::OutgoingCall { number, .. } => number,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(number(Weekday::Monday, 12 * 60), "900");
    assert_eq!(number(Weekday::Monday, 22 * 60), "100");
    assert_eq!(number(Weekday::Sunday, 12 * 60), "100");
}

#[test]
fn a_door_that_opens_ends_the_call_a_little_later() {
    let mut door = Door::online(&format!(
        "{BELL}[[sensor]]\nname = \"door\"\npin = 27\nopened = {{ hangup = \"all\", after_ms = 5000 }}\n"
    ));
    door.talking_call();
    door.input(Input::Edge { pin: Pin::Sensor(SensorIndex(0)), active: true });
    door.advance(5_000);
    assert!(door.take("hangup").is_empty());
    door.advance(30);
    door.take_one("hangup");
}

#[test]
fn a_press_made_offline_is_kept_with_a_sign_and_dialled_when_the_session_is_back() {
    let mut door = Door::online(BELL);
    door.lose(1006);
    door.sounds.clear();
    door.press();
    assert!(door.heard(Sound::Connecting));
    door.advance(1000);
    assert_eq!(door.connects.len(), 2);
    door.input(Input::Socket(SocketEvent::Opened { local: None }));
    door.state(vec![None, None]);
    door.take_one("outgoing_call");
}

#[test]
fn a_press_made_offline_is_given_up_with_a_tone_and_never_replayed() {
    let mut door = Door::online(BELL);
    door.lose(1006);
    door.press();
    door.sounds.clear();
    door.advance(5_100);
    assert!(door.heard(Sound::NoConnection));
    door.reopen();
    door.state(vec![None, None]);
    door.advance(1000);
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn a_press_without_any_hope_has_the_fault_tone_at_once() {
    let mut door = Door::online(BELL);
    door.lose(4201);
    door.sounds.clear();
    door.press();
    assert!(door.heard(Sound::NoConnection));
    assert!(door.facts.iter().any(|fact| matches!(fact, Fact::PressRefused { .. })));
}

#[test]
fn a_press_while_the_account_is_not_registered_has_the_fault_tone_at_once() {
    let mut door = Door::online(BELL);
    let failed = EventBody::RegistrationFailed { code: 403, reason: "Forbidden".into() };
    door.event(None, None, None, failed);
    door.sounds.clear();
    door.press();
    assert!(door.heard(Sound::NoConnection));
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn a_press_hurries_the_reconnect_and_a_crowd_does_not_flood_the_server() {
    let mut door = Door::online(BELL);
    // After many losses the back-off has grown.
    for _ in 0..8 {
        door.lose(1006);
        door.advance(61_000);
        let failure = ConnectFailure { kind: ConnectFailureKind::Network, message: "down".into(), retry_after: None };
        door.input(Input::Socket(SocketEvent::Failed(failure)));
    }
    let before = door.connects.len();
    door.advance(1_000);
    door.press();
    door.advance(0);
    assert_eq!(door.connects.len(), before + 1);
    let failure = ConnectFailure { kind: ConnectFailureKind::Network, message: "down".into(), retry_after: None };
    door.input(Input::Socket(SocketEvent::Failed(failure)));
    for _ in 0..20 {
        door.press();
        door.advance(10);
    }
    assert!(door.connects.len() <= before + 2);
}
