//! Sensors: `for_ms`, `after_ms`, `cooldown_s`, and what happens to a call that cannot be made.

use callbox::config::Sound;
use callbox::config::{ModeChange, ModeIndex};
use callbox::core::*;
use callbox::signaling::EventBody;

use crate::door::Door;

fn door_contact(rule: &str) -> String {
    format!("[[sensor]]\nname = \"door\"\npin = 27\ndebounce_ms = 0\nopened = {rule}\n")
}

fn edge(door: &mut Door, active: bool) {
    door.input(Input::Edge { pin: Pin::Sensor(SensorIndex(0)), active });
    door.advance(1);
}

#[test]
fn a_door_that_closes_in_time_calls_nobody_where_the_rule_asks_that_it_lasts() {
    let mut door = Door::online(&door_contact("{ call = \"100\", for_ms = 4000 }"));
    edge(&mut door, true);
    door.advance(1_200);
    edge(&mut door, false);
    door.advance(10_000);
    assert!(door.take("outgoing_call").is_empty());
    edge(&mut door, true);
    door.advance(2_000);
    edge(&mut door, false);
    edge(&mut door, true);
    door.advance(3_900);
    assert!(door.take("outgoing_call").is_empty(), "the time begins again");
    door.advance(200);
    door.take_one("outgoing_call");
}

#[test]
fn a_rule_whose_conditions_have_ended_meanwhile_does_nothing_where_it_asks_that_the_state_lasts() {
    let rule =
        door_contact("[{ when = \"away\", call = \"110\", for_ms = 30000 }, { output = \"light\", pulse_ms = 1000 }]");
    let text = format!("[modes]\naway = {{}}\n[[output]]\nname = \"light\"\nkind = \"relay\"\npin = 5\n{rule}");
    for comes_home in [true, false] {
        let mut door = Door::online(&text);
        door.command(Command::Mode { mode: ModeIndex(0), change: ModeChange::On }).unwrap();
        edge(&mut door, true);
        door.advance(20_000);
        if comes_home {
            door.command(Command::Mode { mode: ModeIndex(0), change: ModeChange::Off }).unwrap();
        }
        door.advance(20_000);
        assert_eq!(door.take("outgoing_call").is_empty(), comes_home);
    }
}

#[test]
fn after_ms_stays_unconditional() {
    let mut door = Door::online(&door_contact("{ call = \"100\", after_ms = 4000 }"));
    edge(&mut door, true);
    door.advance(1_200);
    edge(&mut door, false);
    door.advance(3_000);
    door.take_one("outgoing_call");
}

#[test]
fn a_rule_that_has_run_rests_for_its_cooldown_and_one_that_has_not_does_not() {
    let mut door = Door::online(&door_contact("{ play = \"answer\", for_ms = 500, cooldown_s = 60 }"));
    let mut heard_at = Vec::new();
    // A visitor leaves at once and comes back after ten seconds. From then on somebody comes every second.
    for second in 0..200_u32 {
        let stays = if second == 0 { 300 } else { 700 };
        if second == 0 || second >= 10 {
            door.announced.clear();
            edge(&mut door, true);
            door.advance(stays);
            edge(&mut door, false);
            door.advance(1_000 - stays - 2);
            if door.heard(Sound::Answer) {
                heard_at.push(second);
            }
        } else {
            door.advance(1_000);
        }
    }
    assert_eq!(heard_at, [10, 71, 132, 193]);
}

#[test]
fn a_refused_call_of_a_sensor_is_reported_like_that_of_a_button() {
    let mut door = Door::online(&door_contact("{ call = \"100\" }"));
    let failed = EventBody::RegistrationFailed { code: 403, reason: "Forbidden".into() };
    door.event(None, None, None, failed);
    door.sounds.clear();
    edge(&mut door, true);
    let refused =
        |fact: &Fact| matches!(fact, Fact::SensorRefused { sensor, reason } if sensor == "door" && !reason.is_empty());
    assert!(door.facts.iter().any(refused), "{:?}", door.facts);
    assert!(door.heard(Sound::NoConnection));
}

#[test]
fn a_sensors_call_made_offline_waits_for_the_session_and_is_given_up_with_a_word() {
    let mut door = Door::online(&door_contact("{ call = \"100\" }"));
    door.lose(1006);
    edge(&mut door, true);
    door.reopen();
    door.state(vec![None, None]);
    door.take_one("outgoing_call");

    let mut door = Door::online(&door_contact("{ call = \"100\" }"));
    door.lose(1006);
    edge(&mut door, true);
    door.advance(6_000);
    assert!(door.facts.iter().any(|fact| matches!(fact, Fact::SensorRefused { sensor, .. } if sensor == "door")));
    door.reopen();
    door.state(vec![None, None]);
    assert!(door.take("outgoing_call").is_empty(), "it is never dialled later");
}

#[test]
fn a_rule_that_waits_for_after_ms_rests_for_its_cooldown_already() {
    let mut door = Door::online(&door_contact("{ hook = \"x\", after_ms = 5000, cooldown_s = 60 }"));
    for _ in 0..5 {
        edge(&mut door, true);
        edge(&mut door, false);
        door.advance(500);
    }
    door.advance(20_000);
    let runs = door.facts.iter().filter(|fact| matches!(fact, Fact::Custom { .. })).count();
    assert_eq!(runs, 1);
}

#[test]
fn an_action_for_which_there_is_no_room_is_refused_with_a_word() {
    let text = door_contact("{ hook = \"x\", after_ms = 60000 }");
    let button = "[[button]]\nname = \"bell\"\npin = 5\npress = { hook = \"y\", after_ms = 1000 }\n";
    let mut door = Door::online(&format!("{text}{button}"));
    for _ in 0..70 {
        edge(&mut door, true);
        edge(&mut door, false);
        door.advance(10);
    }
    let refused = |fact: &Fact| matches!(fact, Fact::SensorRefused { reason, .. } if reason.contains("too many"));
    assert!(door.facts.iter().any(refused));
    let press = Command::Press { button: ButtonIndex(0), gesture: Gesture::Press };
    assert_eq!(door.command(press), Err(Refusal::TooManyActions));
}
