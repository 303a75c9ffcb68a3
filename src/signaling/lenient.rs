//! Corrects the types of the fields in a server's frame.
//!
//! Some servers write a number as text, leave a field out, or send `null` for it (docs/workarounds.md, "server: fields
//! have unexpected types"). One odd field must not make a whole message unreadable: a call whose message is not
//! understood is neither answered nor declined, and without the `state` handshake nobody can call the station. So each
//! known field is converted to its type before the message is read. A field that cannot be converted is removed, and
//! the default of the message takes its place.

use serde_json::{Map, Value};

use crate::plain_text::{marked, plain};

/// The type of a field.
enum Kind {
    Number,
    /// A number that is not negative.
    Count,
    Text,
    /// The number or address of a caller, by which rules identify the caller.
    Address,
    Flag,
    /// An ICE candidate, or the end of candidates.
    Candidate,
    /// The identifier of a transfer: a number or a text.
    ReferId,
    /// A session description.
    Description,
    Registration,
    Lines,
    Line,
    CallLogs,
}

/// The type of a field by its name. A name has the same meaning in every message (docs/protocol.md, "Messages").
fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "line" | "keepalive_interval" => Kind::Count,
        "code" | "timestamp" | "lost" => Kind::Number,
        "transaction"
        | "call_id"
        | "callee"
        | "caller_display_name"
        | "reason"
        | "phrase"
        | "number"
        | "refer_to"
        | "referred_by"
        | "replace_call_id"
        | "content"
        | "notify"
        | "subscription_state"
        | "content_type"
        | "mid"
        | "media"
        | "type"
        | "status" => Kind::Text,
        "caller" => Kind::Address,
        "receiving" | "uplink" | "is_focus" => Kind::Flag,
        "candidate" => Kind::Candidate,
        "refer_id" => Kind::ReferId,
        "jsep" => Kind::Description,
        "registration" => Kind::Registration,
        "lines" => Kind::Lines,
        "guest_line" => Kind::Line,
        "call_logs" => Kind::CallLogs,
        _ => return None,
    })
}

/// Converts the known fields of a message to their types.
pub(super) fn tidy(message: &mut Map<String, Value>) {
    let event = message.get("event").and_then(Value::as_str);
    let offers = matches!(event, Some("incoming_call" | "updating_call"));
    // The field has two names, and some servers send both.
    if event == Some("ice_slowlink") && message.contains_key("media") {
        message.remove("type");
    }
    tidy_fields(message, offers);
}

fn tidy_fields(message: &mut Map<String, Value>, offers: bool) {
    message.retain(|name, value| {
        let Some(kind) = kind(name) else { return true };
        let tidied = match (kind, value.take()) {
            (_, Value::Null) => None,
            (Kind::Number, value) => number(&value).map(Value::from),
            (Kind::Count, value) => number(&value).and_then(|number| u32::try_from(number).ok()).map(Value::from),
            (Kind::Text, value) => text(&value).map(Value::from),
            // In an address with a host every character counts, so none is dropped silently.
            (Kind::Address, Value::String(text)) if text.contains('@') => Some(Value::from(marked(text.trim()))),
            (Kind::Address, value) => text(&value).map(Value::from),
            (Kind::Flag, value) => flag(&value).map(Value::from),
            (Kind::Candidate, value) => candidate(value),
            (Kind::ReferId, value) => match value {
                Value::String(text) => Some(Value::from(plain(&text))),
                value => number(&value).map(Value::from),
            },
            (Kind::Description, value) => Some(description(&value, offers)),
            (Kind::Registration, value) => Some(registration(value)),
            (Kind::Lines, value) => Some(lines(value)),
            (Kind::Line, value) => Some(line(value)),
            (Kind::CallLogs, value) => Some(call_logs(value)),
        };
        // A field without a value is removed. `line` below puts back the `null` of a line without a call.
        *value = tidied.unwrap_or(Value::Null);
        !value.is_null()
    });
}

/// A whole number. It may be written as text or with a fraction.
fn number(value: &Value) -> Option<i64> {
    let fraction = |number: f64| number.is_finite().then_some(number as i64);
    match value {
        Value::Number(number) => number.as_i64().or_else(|| fraction(number.as_f64()?)),
        Value::String(text) => {
            // `486 Busy Here` is 486.
            let text = text.split_whitespace().next()?;
            text.parse().ok().or_else(|| fraction(text.parse().ok()?))
        }
        _ => None,
    }
}

/// A text that can be shown to people.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(plain(text)),
        // `100.0` is 100.
        Value::Number(_) => Some(number(value)?.to_string()),
        _ => None,
    }
}

/// A candidate as an object with its fields; it may come as a text only. Any other value counts as the end of
/// candidates, as `null` does.
fn candidate(value: Value) -> Option<Value> {
    match value {
        Value::String(line) if !line.is_empty() => Some(serde_json::json!({ "candidate": line })),
        Value::Object(mut fields) => {
            fields.retain(|name, value| {
                let tidied = match name.as_str() {
                    "candidate" | "sdpMid" => text(value).map(Value::from),
                    "sdpMLineIndex" => number(value).and_then(|number| u16::try_from(number).ok()).map(Value::from),
                    "completed" => flag(value).map(Value::from),
                    _ => None,
                };
                *value = tidied.unwrap_or_default();
                !value.is_null()
            });
            Some(Value::Object(fields))
        }
        _ => None,
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A session description. If its role is missing, the message decides. A description that cannot be read becomes an
/// empty one, which is refused later. If it were left out, the message would mean something else: a request without a
/// description.
fn description(value: &Value, offers: bool) -> Value {
    let sdp = match value {
        Value::String(sdp) => Some(sdp.as_str()),
        value => value.get("sdp").and_then(Value::as_str),
    };
    let said = value.get("type").and_then(Value::as_str).map(str::to_ascii_lowercase);
    let role = match said.as_deref() {
        Some(role @ ("offer" | "answer")) => role,
        _ if offers => "offer",
        _ => "answer",
    };
    serde_json::json!({ "type": role, "sdp": sdp.unwrap_or_default() })
}

fn registration(value: Value) -> Value {
    match value {
        Value::Object(mut fields) => {
            tidy_fields(&mut fields, false);
            if let Some(Value::String(status)) = fields.get_mut("status") {
                status.make_ascii_lowercase();
            }
            Value::Object(fields)
        }
        Value::String(status) => serde_json::json!({ "status": status.to_ascii_lowercase() }),
        _ => serde_json::json!({}),
    }
}

fn lines(value: Value) -> Value {
    match value {
        Value::Array(lines) => Value::Array(lines.into_iter().map(line).collect()),
        _ => Value::Array(Vec::new()),
    }
}

/// A line: an object, or `null` for an idle line.
fn line(value: Value) -> Value {
    match value {
        Value::Object(mut fields) => {
            tidy_fields(&mut fields, false);
            fields.entry("call_id").or_insert(Value::Null);
            Value::Object(fields)
        }
        _ => Value::Null,
    }
}

/// A list of pairs of a time and a message; any other item is left out.
fn call_logs(value: Value) -> Value {
    let Value::Array(entries) = value else { return Value::Array(Vec::new()) };
    let pair = |value: Value| match value {
        Value::Array(pair) => {
            let mut pair = pair.into_iter();
            match (pair.next()?, pair.next()?) {
                (timestamp, Value::Object(message)) => Some((timestamp, message)),
                _ => None,
            }
        }
        Value::Object(mut fields) => match (fields.remove("timestamp"), fields.remove("message")) {
            (timestamp, Some(Value::Object(message))) => Some((timestamp.unwrap_or_default(), message)),
            _ => None,
        },
        _ => None,
    };
    let entry = |(timestamp, mut message): (Value, Map<String, Value>)| {
        tidy(&mut message);
        serde_json::json!([number(&timestamp).unwrap_or_default(), message])
    };
    Value::Array(entries.into_iter().filter_map(pair).map(entry).collect())
}

#[cfg(test)]
mod tests {
    use crate::signaling::{Event, EventBody, ServerMessage, Trickle};

    fn trickle(candidate: &str) -> Trickle {
        let text = format!(r#"{{"event":"ice_trickle","line":0,"candidate":{candidate}}}"#);
        match ServerMessage::parse(&text) {
            Ok(ServerMessage::Event(event)) => match *event {
                Event { body: EventBody::IceTrickle { candidate }, .. } => candidate,
                other => panic!("{text}: {other:?}"),
            },
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn one_odd_field_costs_no_candidate() {
        let line = "candidate:1 1 udp 5 127.0.0.1 5 typ host";
        for odd in [
            "\"sdpMLineIndex\":0.0",
            "\"sdpMLineIndex\":\"0\"",
            "\"sdpMLineIndex\":-1",
            "\"sdpMid\":0",
            "\"sdpMid\":null",
            "\"completed\":\"no\"",
            "\"foundation\":{}",
        ] {
            let Trickle::Candidate(candidate) = trickle(&format!("{{\"candidate\":\"{line}\",{odd}}}")) else {
                panic!("{odd}");
            };
            assert_eq!(candidate.candidate, line, "{odd}");
        }
        assert!(matches!(trickle(&format!("\"{line}\"")), Trickle::Candidate(_)));
        for end in ["null", "true", "{}", "{\"completed\":1}", "[]", "\"\""] {
            assert_eq!(trickle(end), Trickle::Completed, "{end}");
        }
    }
}
