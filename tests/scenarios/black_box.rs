//! The black box: a replay of what it holds makes the decisions that the station made at the door.

use callbox::core::Line;

use crate::door::*;
use callbox::blackbox::Dump;
use callbox::core::*;
use callbox::signaling::*;

const HOUSE: &str = r#"
[[button]]
name = "bell"
pin = 17
press = { call = ["4930123456", "4930999"], ring_s = 30 }

[[answer]]
from = ["49301*"]
action = "answer"
after_ms = 500

[[output]]
name = "strike"
kind = "relay"
pin = 23
max_on_ms = 8000

[[dtmf]]
digits = "7391#"
from = ["49301*"]
run = { output = "strike", pulse_ms = 3000 }
"#;

/// A day at the door: an incoming call that opens the door, one that is declined, and a press that is answered.
fn day() -> Door {
    let mut door = Door::online(HOUSE);
    door.talking_in(0, "in", "4930155512");
    door.digits("7391#");
    door.advance(5_000);
    door.event(None, Some(Line(0)), Some("in".into()), EventBody::Hangup { code: 200, reason: "bye".into() });
    door.incoming(1, "other", "4930255512");
    door.advance(2_000);
    let request = door.talking_call();
    door.lose_media();
    door.advance(3_000);
    door.media_connected();
    door.hung_up(&request, 200);
    door.advance(1_000);
    door
}

/// The facts that a replay reports.
fn replayed(dump: Dump) -> Vec<Fact> {
    let mut station = *dump.station;
    let mut facts = Vec::new();
    for entry in dump.inputs {
        station.handle(entry.now(), entry.input);
        while let Some(effect) = station.poll_effect() {
            if let Effect::Fact(fact) = effect {
                facts.push(fact);
            }
        }
    }
    facts
}

#[test]
fn a_recording_decides_again_what_was_decided() {
    let door = day();
    let text = door.recorder.dump().unwrap().to_text(None).unwrap();
    let dump = Dump::from_text(&text).unwrap();
    assert!(!dump.redacted);
    assert_eq!(replayed(dump), door.facts);
    assert!(door.facts.iter().any(|fact| matches!(fact, Fact::Dtmf { matched: true, .. })));
    assert!(door.facts.iter().any(|fact| matches!(fact, Fact::Repair { .. })));
}

#[test]
fn a_redacted_recording_has_no_number_code_or_description_and_decides_the_same() {
    let door = day();
    let text = door.recorder.dump().unwrap().to_text(Some(42)).unwrap();
    for secret in ["4930", "155512", "7391", "their offer", "our offer", "their answer", "192.0.2.1", "\"t\""] {
        assert!(!text.contains(secret), "{secret}");
    }
    let dump = Dump::from_text(&text).unwrap();
    assert!(dump.redacted);
    let kinds = |facts: &[Fact]| -> Vec<_> {
        facts
            .iter()
            .map(|fact| match fact {
                Fact::Call { state, cause, line, .. } => {
                    format!("call {line} {state:?} {:?}", cause.as_ref().map(|cause| cause.code))
                }
                Fact::CallRefused { reason, .. } => format!("refused: {reason}"),
                Fact::Press { button, gesture, .. } => format!("press {button} {gesture:?}"),
                Fact::Dtmf { matched, .. } => format!("code {matched}"),
                Fact::Output { drive, .. } => format!("output {drive:?}"),
                other => format!("{other:?}"),
            })
            .collect()
    };
    assert_eq!(kinds(&replayed(dump)), kinds(&door.facts));
}

#[test]
fn it_reaches_ten_minutes_back_and_no_further() {
    let mut door = Door::online(BELL);
    door.advance(3_600_000);
    door.talking_call();
    let dump = door.recorder.dump().unwrap();
    let reach = door.now_ms - dump.inputs[0].at.0;
    assert!((600_000..=730_000).contains(&reach), "{reach}");
}

#[test]
fn a_flood_does_not_fill_the_memory() {
    let mut door = Door::online(BELL);
    let long = "v=0\r\n".repeat(20_000);
    for call in 0..300 {
        door.incoming_with(0, &format!("c{call}"), "666", Some(Jsep::offer(long.clone())));
        door.sent.clear();
    }
    let text = door.recorder.dump().unwrap().to_text(None).unwrap();
    assert!(text.len() < 8 * 1024 * 1024, "{}", text.len());
    for _ in 0..20_000 {
        door.input(Input::Socket(SocketEvent::BadFrame(FrameError::NotAnObject)));
    }
    assert!(door.recorder.len() < 30_000);
}
