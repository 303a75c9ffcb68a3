//! The black box: a replay of what it holds makes the decisions that the station made at the door.

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

/// A call of the process before is known by the server's log alone: whom it called decides who may open the door.
#[test]
fn the_log_of_the_server_is_redacted_like_everything_else_and_decides_the_same() {
    let mut door = Door::new(HOUSE);
    door.reopen();
    let number = "4930123456".into();
    let jsep = Jsep::offer("our offer");
    let body = RequestBody::OutgoingCall { number, jsep, from: None, refer_id: None, replaces: None };
    let asked = Request { transaction: "t1".into(), line: None, call_id: None, body };
    let unknown = serde_json::json!({"notify": "message", "from": 4_930_123_456_u64, "reason": "4930123456"});
    let mut log = busy("c1", vec![accepted()]).unwrap();
    log.call_logs.push(CallLogEntry(0, LogMessage::Request(asked)));
    log.call_logs.push(CallLogEntry(0, LogMessage::Other(unknown)));
    door.state(vec![Some(log), None]);
    let update = door.take_one("update");
    door.ack(&update);
    door.event_of(&update, accepted());
    door.media_connected();
    door.digits("7391#");
    door.advance(5_000);
    let drives = |facts: &[Fact]| facts.iter().filter(|fact| matches!(fact, Fact::Output { .. })).count();
    assert!(drives(&door.facts) > 0, "{:?}", door.facts);
    let text = door.recorder.dump().unwrap().to_text(Some(42)).unwrap();
    assert!(!text.contains("4930") && !text.contains("our offer"), "{text}");
    assert_eq!(drives(&replayed(Dump::from_text(&text).unwrap())), drives(&door.facts));
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

const RICH: &str = r#"
[core]
url = ["https://one.example.com", "https://two.example.com:8443/base"]
tenant = "house"
login = "2041"
password_file = "secret"
identifier = "Anna's door"
sip_domains = ["one.example.com"]
[media]
bind = ["192.0.2.7", "2001:db8::7"]
ice_servers = [{ urls = ["turn:turn.example.com:3478"], username = "u", credential_file = "secret" }]
[audio]
capture = "usb:0d8c:0014"
playback = "plughw:CARD=Device"
[gpio]
backend = "cdev"
chip = "gpiochip4"
[[button]]
name = "bell"
pin = "GPIO17"
press = [{ hours = "Mo-Fr 07:00-19:00", call = ["2041", "2042"] }, { call = "2043" }]
[[sensor]]
name = "door"
pin = 27
opened = { play = "connecting", for_ms = 500, cooldown_s = 60 }
[[output]]
name = "strike"
kind = "relay"
pin = 23
max_on_ms = 8000
exclusive = "lock"
[[output]]
name = "gate"
kind = "relay"
pin = 24
max_on_ms = 8000
exclusive = "lock"
[[answer]]
from = ["2041", "20*"]
action = "answer"
hours = "22:00-06:30"
[[dtmf]]
digits = "7391"
from = ["2041"]
run = { output = "strike", pulse_ms = 3000 }
"#;

/// Names, files, addresses and hours of a configuration survive: what is not secret stays readable.
#[test]
fn a_redacted_recording_of_a_rich_configuration_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "topsecret").unwrap();
    let file = folder.path().join("callbox.toml");
    let config = callbox::config::parse(&file.display().to_string(), RICH, &Default::default())
        .unwrap_or_else(|errors| panic!("{errors}"));
    let now = Now { at: Time(0), local: None };
    let station = Station::new(std::sync::Arc::new(config), 1, 1, now);
    let mut recorder = callbox::blackbox::Recorder::default();
    recorder.record(&station, now, &Input::Addresses(vec!["192.0.2.7".parse().unwrap()]));
    let dump = recorder.dump().unwrap().to_text(Some(42)).unwrap();
    for secret in ["2041", "7391", "Anna", "topsecret"] {
        assert!(!dump.contains(secret), "{secret}: {dump}");
    }
    let read = Dump::from_text(&dump).unwrap_or_else(|error| panic!("{error}: {dump}"));
    let config = read.station.config();
    assert_eq!(config.buttons[0].name, "bell");
    assert!(config.outputs[0].excludes(&config.outputs[1]));
    assert_eq!(config.media.bind.len(), 2);
}
