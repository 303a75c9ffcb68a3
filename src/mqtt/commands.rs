//! Commands of the broker. Nothing of them is believed: a message may have any bytes.

use serde_json::{Value, json};

use super::entities::{Entities, Entity, What};
use crate::control::{ModeRequest, OutputRequest, Reply, Request};

/// The longest payload that a command has.
const MAX_PAYLOAD: usize = 32;

/// What a message asks for.
///
/// # Errors
///
/// Why it asks for nothing, as an answer.
pub(super) fn request(entities: &Entities, topic: &str, payload: &[u8]) -> Result<Request, Value> {
    let word = std::str::from_utf8(payload).ok().map(str::trim).filter(|word| word.len() <= MAX_PAYLOAD);
    let word = word.map(str::to_ascii_uppercase).unwrap_or_default();
    let entity = entities.find(topic).filter(|entity| takes(entity).is_some());
    let Some(entity) = entity else {
        let names: Vec<&str> =
            entities.iter().filter(|entity| takes(entity).is_some()).map(|entity| entity.topic.as_str()).collect();
        return Err(refused(
            "no_such_name",
            "there is nothing of this name to command",
            &format!("there are: {}", names.join(", ")),
        ));
    };
    let request = match (&entity.what, word.as_str()) {
        (What::Relay { name, .. }, "PRESS" | "PULSE") => {
            Some(Request::Output { name: name.clone(), change: OutputRequest::Pulse, ms: None })
        }
        (What::Relay { name, .. }, "ON") => {
            Some(Request::Output { name: name.clone(), change: OutputRequest::On, ms: None })
        }
        (What::Relay { name, .. }, "OFF") => {
            Some(Request::Output { name: name.clone(), change: OutputRequest::Off, ms: None })
        }
        (What::Mode { name }, word) => mode_request(word).map(|set| Request::Mode { name: name.clone(), set }),
        (What::Mute, "ON") => Some(Request::Mute { keep: true }),
        (What::Mute, "OFF") => Some(Request::Unmute),
        (What::Volume, word) => volume(word).map(|volume| Request::Volume { volume, keep: true }),
        _ => None,
    };
    request.ok_or_else(|| {
        refused(
            "bad_request",
            "the message is not what this takes",
            &format!("send {}", takes(entity).unwrap_or_default()),
        )
    })
}

/// What can be sent to a thing; `None` if it takes nothing.
fn takes(entity: &Entity) -> Option<&'static str> {
    match entity.what {
        What::Relay { .. } => Some("PRESS, ON or OFF"),
        What::Mode { .. } => Some("ON, OFF, TOGGLE or AUTO"),
        What::Mute => Some("ON or OFF"),
        What::Volume => Some("a number from 0 to 100"),
        _ => None,
    }
}

fn mode_request(word: &str) -> Option<ModeRequest> {
    match word {
        "ON" => Some(ModeRequest::On),
        "OFF" => Some(ModeRequest::Off),
        "TOGGLE" => Some(ModeRequest::Toggle),
        "AUTO" => Some(ModeRequest::Auto),
        _ => None,
    }
}

/// A whole number from 0 to 100; `40.0` is one.
fn volume(word: &str) -> Option<u8> {
    let number: f64 = word.parse().ok()?;
    let whole = (0.0..=100.0).contains(&number) && number.fract() == 0.0;
    whole.then_some(number as u8)
}

/// The answer to a command.
pub(super) fn answer(reply: Reply) -> Value {
    match reply {
        Reply::Note(note) => json!({ "ok": true, "note": note }),
        Reply::Error(error) => {
            let (message, remedy) = error.message_and_remedy();
            refused("refused", message, remedy)
        }
        _ => json!({ "ok": true }),
    }
}

fn refused(code: &str, message: &str, remedy: &str) -> Value {
    json!({ "ok": false, "error": { "code": code, "message": message, "remedy": remedy } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entities() -> Entities {
        let text = "[core]\nurl = \"https://core.example.com\"\ntoken = \"t\"\n\
                    [[button]]\nname = \"bell\"\npin = 1\npress = { call = \"100\" }\n\
                    [[output]]\nname = \"strike\"\npin = 3\nkind = \"relay\"\n[modes]\naway = {}\n";
        let config =
            crate::config::parse("x.toml", text, &Default::default()).unwrap_or_else(|errors| panic!("{errors}"));
        Entities::of(&config)
    }

    #[test]
    fn what_home_assistant_sends_is_understood() {
        let ask = |topic, payload: &str| request(&entities(), topic, payload.as_bytes());
        let output = |change| Ok(Request::Output { name: "strike".into(), change, ms: None });
        assert_eq!(ask("strike", "PRESS"), output(OutputRequest::Pulse));
        assert_eq!(ask("strike", "on"), output(OutputRequest::On));
        assert_eq!(ask("away", "OFF"), Ok(Request::Mode { name: "away".into(), set: ModeRequest::Off }));
        assert_eq!(ask("volume", "40.0"), Ok(Request::Volume { volume: 40, keep: true }));
        assert_eq!(ask("mute", "ON"), Ok(Request::Mute { keep: true }));
    }

    #[test]
    fn nonsense_moves_nothing_and_is_told_so() {
        for (topic, payload) in [
            ("strike", &b""[..]),
            ("strike", b"\xff\xfe"),
            ("strike", b"OPEN SESAME"),
            ("strike", &[b' '; 100]),
            ("volume", b"101"),
            ("volume", b"-0.5"),
            ("volume", b"NaN"),
            ("volume", b"1e9"),
            ("bell", b"PRESS"),
            ("door\u{7}", b"ON"),
            ("", b"ON"),
        ] {
            let refusal = request(&entities(), topic, payload).unwrap_err();
            assert_eq!(refusal["ok"], false, "{topic} {payload:?}");
            assert!(refusal["error"]["remedy"].is_string());
        }
    }
}
