use std::time::Duration;

use crate::door::*;
use callbox::config::{OutputIndex, Sound};
use callbox::core::*;

const STRIKE: &str = r#"
[[output]]
name = "strike"
kind = "relay"
pin = 23
max_on_ms = 8000

[[output]]
name = "lamp"
kind = "led"
pin = 24
show = { ready = "off", calling = "blink", talking = "on", door_open = "double", fault = "heartbeat" }

[[dtmf]]
digits = "5#"
run = { output = "strike", pulse_ms = 3000 }

[[dtmf]]
digits = "9#"
from = ["2*"]
run = { output = "strike", pulse_ms = 1000 }

[[answer]]
action = "answer"
"#;

fn house() -> Door {
    Door::online(&format!("{BELL}{STRIKE}"))
}

fn strike(door: &Door) -> Drive {
    door.drives.get(&0).copied().unwrap_or_default()
}

#[test]
fn a_code_opens_the_strike_for_its_time_and_both_sides_hear_it() {
    let mut door = house();
    door.talking_call();
    door.sounds.clear();
    door.digits("5#");
    assert_eq!(strike(&door), Drive::On);
    assert_eq!(door.sounds, [(Sound::DoorOpen, true)]);
    door.advance(2_999);
    assert_eq!(strike(&door), Drive::On);
    door.advance(1);
    assert_eq!(strike(&door), Drive::Off);
}

#[test]
fn a_code_without_from_is_for_those_we_called_and_for_nobody_who_called_us() {
    let mut door = house();
    door.talking_in(0, "c1", "100");
    door.digits("5#");
    assert_eq!(strike(&door), Drive::Off);
}

#[test]
fn a_code_with_from_is_for_those_numbers_in_either_direction() {
    let mut door = house();
    door.talking_in(0, "c1", "200");
    door.digits("9#");
    assert_eq!(strike(&door), Drive::On);
    let mut door = house();
    door.talking_in(0, "c1", "100");
    door.digits("9#");
    assert_eq!(strike(&door), Drive::Off);
}

#[test]
fn five_wrong_codes_turn_codes_off_for_that_call() {
    let mut door = Door::online(&format!("{BELL}{STRIKE}[access]\nwrong_codes = 100\n"));
    let request = door.talking_call();
    door.digits("1111111111");
    assert!(door.facts.iter().any(|fact| matches!(fact, Fact::Dtmf { locked: true, .. })));
    door.digits("5#");
    assert_eq!(strike(&door), Drive::Off);
    door.hung_up(&request, 200);
    door.advance(2000);
    door.talking_call();
    door.digits("5#");
    assert_eq!(strike(&door), Drive::On, "the count begins again with the next call");
}

/// Somebody may guess codes by calling again and again.
#[test]
fn five_wrong_codes_lock_a_far_end_out_over_its_calls() {
    let mut door = house();
    for _ in 0..2 {
        let request = door.talking_call();
        door.digits("112233");
        door.hung_up(&request, 200);
        door.advance(2000);
    }
    let locks = |door: &Door| -> Vec<u64> {
        let lock = |fact: &Fact| match fact {
            Fact::Dtmf { number, locked_s: Some(seconds), .. } if number == "100" => Some(*seconds),
            _ => None,
        };
        door.facts.iter().filter_map(lock).collect()
    };
    assert_eq!(locks(&door), [60]);
    door.talking_call();
    door.digits("5#");
    assert_eq!(strike(&door), Drive::Off, "the right code is treated like a wrong one");
    assert!(matches!(door.facts.last(), Some(Fact::Dtmf { matched: false, locked: true, .. })), "{:?}", door.facts);
    // Attempts do not lengthen the lock.
    door.digits("1111111111");
    door.advance(60_000);
    door.digits("5#");
    assert_eq!(strike(&door), Drive::On);
    // The next lock is longer.
    door.advance(10_000);
    door.digits("1111111111");
    assert_eq!(locks(&door), [60, 120]);
}

/// Otherwise a far end that hangs up before the pause could guess codes at no cost.
#[test]
fn digits_that_a_call_takes_along_to_its_end_are_a_wrong_code() {
    let codes = STRIKE.replace("5#", "4711").replace("9#", "987654").replace("from = [\"2*\"]\n", "");
    for ends_here in [false, true] {
        let mut door = Door::online(&format!("{BELL}{codes}"));
        for guess in 0..5 {
            let request = door.talking_call();
            door.digits("4712");
            if ends_here {
                door.command(Command::Hangup { line: None }).unwrap();
                let hangup = door.take_one("hangup");
                door.ack(&hangup);
            }
            door.hung_up(&request, 200);
            let wrong = door.facts.iter().filter(|fact| matches!(fact, Fact::Dtmf { matched: false, .. })).count();
            assert_eq!(wrong, guess + 1);
            door.advance(2_000);
        }
        door.talking_call();
        door.digits("4711");
        assert_eq!(strike(&door), Drive::Off);
    }
}

/// A request in the step in which the relay goes off would hold it on: it is refused until the relay has rested.
#[test]
fn a_relay_is_not_held_by_whoever_asks_all_the_time() {
    let mut door = house();
    let on = || Command::Output { output: OutputIndex(0), change: OutputChange::On };
    let mut refused = 0;
    for _ in 0..100 {
        refused += usize::from(door.command(on()).is_err());
        door.advance(100);
    }
    let drives = |fact: &Fact| match fact {
        Fact::Output { output, drive, .. } if output == "strike" => Some(*drive),
        _ => None,
    };
    let drives: Vec<Drive> = door.facts.iter().filter_map(drives).collect();
    assert_eq!(drives, [Drive::On, Drive::Off, Drive::On], "{:?}", door.facts);
    assert!((4..=6).contains(&refused), "{refused}");
}

/// Nobody at the door can see who hung up or who answered, so a fact says it.
#[test]
fn a_command_names_its_user() {
    let mut door = house();
    door.talking_call();
    door.command(Command::Hold).unwrap();
    let told = |fact: &Fact| matches!(fact, Fact::Command { command, by: By::User { user } } if command == "hold" && user == "anna");
    assert!(door.facts.iter().any(told), "{:?}", door.facts);
}

#[test]
fn no_code_is_found_by_a_long_row_of_digits() {
    let mut door = Door::online(&format!("{BELL}{}[access]\nwrong_codes = 100\n", STRIKE.replace("5#", "1234")));
    door.talking_call();
    door.digits("9123491234");
    assert_eq!(strike(&door), Drive::Off);
}

#[test]
fn outputs_that_exclude_each_other_are_never_on_together() {
    let airlock = format!(
        "{BELL}[[output]]\nname = \"inner\"\nkind = \"relay\"\npin = 23\nexclusive = \"lock\"\n\
         [[output]]\nname = \"outer\"\nkind = \"relay\"\npin = 24\nexclusive = \"lock\"\n\
         [[button]]\nname = \"both\"\npin = 4\n\
         press = [{{ output = \"outer\", pulse_ms = 500 }}, {{ output = \"inner\", pulse_ms = 500 }}]\n"
    );
    let mut door = Door::online(&airlock.replace("press = [{ output", "press = [ { output"));
    let drive = |door: &Door, index: usize| door.drives.get(&index).copied().unwrap_or_default();
    let set = |output, change| Command::Output { output: callbox::config::OutputIndex(output), change };
    door.command(set(0, OutputChange::On)).unwrap();
    let refusal = door.command(set(1, OutputChange::Pulse(std::time::Duration::from_secs(1)))).unwrap_err();
    assert!(refusal.to_string().contains("outer stays off: inner is on"), "{refusal}");
    assert_eq!((drive(&door, 0), drive(&door, 1)), (Drive::On, Drive::Off));
    let refused = |fact: &Fact| matches!(fact, Fact::OutputRefused { output, by: By::User { user }, .. } if output == "outer" && user == "anna");
    assert!(door.facts.iter().any(refused), "{:?}", door.facts);
    door.command(set(0, OutputChange::Off)).unwrap();
    door.command(set(1, OutputChange::On)).unwrap();
    assert_eq!((drive(&door, 0), drive(&door, 1)), (Drive::Off, Drive::On));
    door.advance(10_000);
    door.command(Command::Press { button: ButtonIndex(1), gesture: Gesture::Press }).unwrap();
    assert_eq!((drive(&door, 0), drive(&door, 1)), (Drive::Off, Drive::On));
}

/// The journal has to say who opened the door.
#[test]
fn an_opening_names_who_did_it() {
    let opened = |door: &Door| -> Vec<By> {
        let by = |fact: &Fact| match fact {
            Fact::Output { output, drive: Drive::On, by } if output == "strike" => Some(by.clone()),
            _ => None,
        };
        door.facts.iter().filter_map(by).collect()
    };
    let mut door = house();
    door.talking_call();
    door.digits("5#");
    assert_eq!(opened(&door), [By::Code { number: "100".into() }]);
    let mut door = house();
    let strike = callbox::config::OutputIndex(0);
    door.command(Command::Output { output: strike, change: OutputChange::On }).unwrap();
    assert_eq!(opened(&door), [By::User { user: "anna".into() }]);
    door.advance(20_000);
    let closed = |fact: &&Fact| matches!(fact, Fact::Output { drive: Drive::Off, .. });
    let closed = door.facts.iter().rfind(closed).cloned();
    assert!(matches!(&closed, Some(Fact::Output { by: By::Station, .. })), "{closed:?}");
}

#[test]
fn a_pause_of_three_seconds_makes_half_a_code_worthless() {
    let mut door = house();
    door.talking_call();
    door.digits("5");
    door.advance(3_100);
    door.digits("#");
    assert_eq!(strike(&door), Drive::Off);
}

#[test]
fn digits_before_the_answer_open_nothing() {
    let mut door = house();
    door.ringing_call();
    let media = door.media[0].0;
    for digit in "5#".chars() {
        door.input(Input::Media(media, MediaEvent::Digit(callbox::secret::DtmfDigit(digit))));
    }
    assert_eq!(strike(&door), Drive::Off);
}

/// The far end's sound contains these DTMF tones.
fn tones(door: &mut Door, digits: &str) {
    let media = door.scene.calls.last().expect("a call in the scene").media;
    for digit in digits.chars() {
        door.input(Input::Media(media, MediaEvent::Tone(callbox::secret::DtmfDigit(digit))));
    }
}

/// A house whose first code may be sent as tones.
fn listening_house() -> Door {
    Door::online(&format!("{BELL}{STRIKE}").replacen("digits = \"5#\"\n", "digits = \"5#\"\nin_band = true\n", 1))
}

#[test]
fn tones_in_the_sound_count_for_the_codes_that_ask_for_them() {
    let mut door = listening_house();
    door.talking_call();
    tones(&mut door, "5#");
    assert_eq!(strike(&door), Drive::On);
    let mut door = house();
    door.talking_call();
    tones(&mut door, "11111");
    tones(&mut door, "5#");
    assert_eq!(strike(&door), Drive::Off, "no code has in_band");
    door.digits("5#");
    assert_eq!(strike(&door), Drive::On, "tones do not count as wrong codes");
}

#[test]
fn a_digit_that_comes_as_a_tone_and_as_an_event_counts_once() {
    for events_first in [false, true] {
        let mut door = listening_house();
        door.talking_call();
        for digit in ["5", "#"] {
            if events_first {
                door.digits(digit);
            }
            tones(&mut door, digit);
            door.advance(60);
            if !events_first {
                door.digits(digit);
            }
            door.advance(200);
        }
        assert_eq!(strike(&door), Drive::On, "events first: {events_first}");
        assert!(!door.facts.iter().any(|fact| matches!(fact, Fact::Dtmf { matched: false, .. })));
    }
}

#[test]
fn no_command_keeps_a_relay_on_beyond_its_limit() {
    let mut door = house();
    let on = Command::Output { output: OutputIndex(0), change: OutputChange::On };
    let pulse = Command::Output { output: OutputIndex(0), change: OutputChange::Pulse(Duration::from_secs(500)) };
    door.command(on.clone()).unwrap();
    door.advance(4_000);
    door.command(pulse).unwrap();
    door.advance(2_000);
    door.command(on).unwrap();
    door.advance(1_999);
    assert_eq!(strike(&door), Drive::On);
    door.advance(1);
    assert_eq!(strike(&door), Drive::Off);
}

#[test]
fn the_lamp_tells_what_happens() {
    let mut door = house();
    let lamp = |door: &Door| door.drives.get(&1).copied().unwrap_or_default();
    assert_eq!(lamp(&door), Drive::Off);
    let request = door.ringing_call();
    assert_eq!(lamp(&door), Drive::Blink);
    door.answered(&request);
    assert_eq!(lamp(&door), Drive::On);
    door.digits("5#");
    assert_eq!(lamp(&door), Drive::Double);
    door.advance(3_000);
    assert_eq!(lamp(&door), Drive::On);
    door.hung_up(&request, 200);
    assert_eq!(lamp(&door), Drive::Off);
    door.lose(1006);
    assert_eq!(lamp(&door), Drive::Heartbeat);
}

#[test]
fn a_microphone_that_delivers_nothing_is_reported_once_and_forgotten_with_its_card() {
    let mut door = house();
    let silent = Some(MicrophoneFault::Silent);
    for _ in 0..3 {
        door.input(Input::Audio(AudioEvent::Microphone(silent)));
    }
    let told = |door: &Door| door.facts.iter().filter(|fact| matches!(fact, Fact::Microphone { .. })).count();
    assert_eq!(told(&door), 1);
    assert!(door.station.status().audio.microphone_fault.is_some_and(|message| message.contains("nothing at all")));
    door.input(Input::Audio(AudioEvent::Microphone(None)));
    assert_eq!(told(&door), 2);
    door.input(Input::Audio(AudioEvent::Microphone(silent)));
    door.input(Input::Audio(AudioEvent::Fault("unplugged".into())));
    assert_eq!(door.station.status().audio.microphone_fault, None);
}

#[test]
fn a_missing_sound_card_is_shown_and_reported_once() {
    let mut door = house();
    for _ in 0..3 {
        door.input(Input::Audio(AudioEvent::Fault("mic: no such device".into())));
    }
    assert_eq!(door.drives.get(&1), Some(&Drive::Heartbeat));
    assert_eq!(door.facts.iter().filter(|fact| matches!(fact, Fact::Audio { ready: false, .. })).count(), 1);
    door.input(Input::Audio(AudioEvent::Ready));
    assert_eq!(door.drives.get(&1), Some(&Drive::Off));
}

#[test]
fn shutting_down_hangs_up_and_puts_the_relay_to_rest_at_once() {
    let mut door = house();
    door.talking_call();
    door.digits("5#");
    door.input(Input::Shutdown);
    assert_eq!(strike(&door), Drive::Off);
    assert!(!door.station.is_at_rest());
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&hangup, 200);
    assert!(door.station.is_at_rest());
    assert_eq!(door.command(Command::Hold), Err(Refusal::ShuttingDown));
}
