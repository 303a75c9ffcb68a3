//! The frames of the signaling protocol, version 1, as types for both directions.
//!
//! A frame has exactly one discriminator key (`handshake`, `request`, `response` or `event`), and unknown keys are
//! ignored (docs/protocol.md, "Messages").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::Event;
use super::frame::{FrameError, fit, open_frame, transaction_of, with_key, written};
use super::handshake::StateHandshake;
use super::id::TransactionId;
use super::lenient;
use super::request::{Request, RequestKind};
use super::response::Response;

/// The only WebSocket sub-protocol of the server.
pub const SUB_PROTOCOL: &str = "webtrit-protocol";

/// A message from a client to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// A sign of life after silence. The server echoes it.
    Keepalive {
        /// The echo has the same transaction.
        transaction: TransactionId,
    },
    /// A request. The server answers it with one [`Response`].
    Request(Request),
}

/// A message from the server to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerMessage {
    /// The first frame of a connection.
    State(Box<StateHandshake>),
    /// The echo of a keepalive.
    Keepalive {
        /// The transaction of the keepalive.
        transaction: Option<TransactionId>,
    },
    Response(Response),
    Event(Box<Event>),
}

impl ServerMessage {
    /// Reads a text frame of the server.
    ///
    /// # Errors
    ///
    /// The frame is not a message that this version knows and can read.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let (kind, name, mut value) = open_frame(text)?;
        if let Some(message) = value.as_object_mut() {
            lenient::tidy(message);
        }
        let unknown = || FrameError::Unknown { kind: kind.to_owned(), name: name.clone() };
        match (kind, name.as_str()) {
            ("handshake", "state") => fit(kind, &name, value).map(|state| Self::State(Box::new(state))),
            ("handshake", "keepalive") => Ok(Self::Keepalive { transaction: transaction_of(&value) }),
            ("response", "ack" | "error") => fit(kind, &name, value).map(Self::Response),
            ("event", known) if Event::NAMES.contains(&known) => {
                fit(kind, &name, value).map(|event| Self::Event(Box::new(event)))
            }
            _ => Err(unknown()),
        }
    }

    /// Writes the message as a text frame.
    pub fn to_text(&self) -> String {
        match self {
            Self::State(state) => with_key("handshake", "state", serde_json::to_value(state)),
            Self::Keepalive { transaction } => {
                let mut frame = serde_json::Map::new();
                if let Some(transaction) = transaction {
                    frame.insert("transaction".into(), Value::String(transaction.0.clone()));
                }
                with_key("handshake", "keepalive", Ok(Value::Object(frame)))
            }
            Self::Response(response) => written(serde_json::to_value(response)),
            Self::Event(event) => written(serde_json::to_value(event)),
        }
    }
}

impl ClientMessage {
    /// Reads a text frame of a client.
    ///
    /// # Errors
    ///
    /// The frame is not a message that this version knows and can read.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let (kind, name, value) = open_frame(text)?;
        match (kind, name.as_str()) {
            ("handshake", "keepalive") => {
                Ok(Self::Keepalive { transaction: transaction_of(&value).unwrap_or_default() })
            }
            ("request", known) if RequestKind::ALL.iter().any(|kind| kind.name() == known) => {
                fit(kind, &name, value).map(Self::Request)
            }
            _ => Err(FrameError::Unknown { kind: kind.to_owned(), name }),
        }
    }

    /// Writes the message as a text frame.
    pub fn to_text(&self) -> String {
        match self {
            Self::Keepalive { transaction } => {
                with_key("handshake", "keepalive", Ok(serde_json::json!({ "transaction": transaction })))
            }
            Self::Request(request) => written(serde_json::to_value(request)),
        }
    }

    /// The transaction that the reply will carry.
    pub fn transaction(&self) -> &TransactionId {
        match self {
            Self::Keepalive { transaction } => transaction,
            Self::Request(request) => &request.transaction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::handshake::LogMessage;
    use super::*;

    /// A frame of every event, with the fields that docs/protocol.md requires.
    fn events() -> Vec<Value> {
        let jsep = serde_json::json!({ "type": "answer", "sdp": "v=0" });
        Event::NAMES
            .iter()
            .map(|name| {
                let mut event =
                    serde_json::json!({ "event": name, "line": 1, "call_id": "c", "unknown": { "key": 1 } });
                let extra = match *name {
                    "registration_failed" | "error" | "hangup" => serde_json::json!({ "code": 403, "reason": "no" }),
                    "proceeding" | "declining" => serde_json::json!({ "code": 183 }),
                    "ice_media" => serde_json::json!({ "type": "audio", "receiving": true, "mid": "0" }),
                    "ice_slowlink" => serde_json::json!({ "media": "audio", "uplink": true, "lost": 3, "mid": "0" }),
                    "ice_trickle" => {
                        serde_json::json!({ "candidate": { "sdpMLineIndex": 0, "candidate": "candidate:1 x" } })
                    }
                    "transfer" => serde_json::json!({ "refer_id": "7", "refer_to": "101" }),
                    "progress" | "accepted" => serde_json::json!({ "callee": "100", "jsep": jsep }),
                    "incoming_call" | "updating_call" => {
                        serde_json::json!({ "callee": "a", "caller": "b", "jsep": jsep })
                    }
                    "missed_call" => serde_json::json!({ "callee": "a", "caller": "b" }),
                    "notify" => serde_json::json!({ "content": "x", "subscription_state": "terminated" }),
                    _ => serde_json::json!({}),
                };
                let fields = extra.as_object().unwrap().clone();
                event.as_object_mut().unwrap().extend(fields);
                event
            })
            .collect()
    }

    #[test]
    fn every_event_survives_parsing_and_writing() {
        for event in events() {
            let parsed = ServerMessage::parse(&event.to_string()).unwrap_or_else(|error| panic!("{event}: {error}"));
            assert_eq!(ServerMessage::parse(&parsed.to_text()), Ok(parsed.clone()), "{event}");
            let written: Value = serde_json::from_str(&parsed.to_text()).unwrap();
            for (key, value) in event.as_object().unwrap().iter().filter(|(key, _)| *key != "unknown") {
                assert_eq!(written.get(key), Some(value), "{event}: {key}");
            }
        }
    }

    #[test]
    fn every_request_survives_parsing_and_writing() {
        for name in RequestKind::ALL.map(RequestKind::name) {
            let request = serde_json::json!({
                "request": name, "transaction": "transaction-1", "line": null, "call_id": "c", "number": "100",
                "jsep": { "type": "offer", "sdp": "v=0" }, "candidate": null,
            });
            let parsed = ClientMessage::parse(&request.to_string()).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(ClientMessage::parse(&parsed.to_text()), Ok(parsed.clone()), "{name}");
            assert!(parsed.to_text().contains("\"line\":null"), "the guest line is written");
        }
    }

    #[test]
    fn responses_handshakes_and_call_logs_survive_too() {
        let state = r#"{"handshake":"state","keepalive_interval":30000,"timestamp":1,"registration":{"status":"registered"},
            "lines":[null,{"call_id":"c","call_logs":[[2,{"event":"hangup","code":200,"reason":"x"}],
            [1,{"request":"hangup","transaction":"transaction-1"}],[0,{"strange":1}]]},{"call_id":null}],"presence_infos":[]}"#;
        for text in [
            state,
            r#"{"handshake":"keepalive","transaction":"transaction-1"}"#,
            r#"{"response":"ack","transaction":"transaction-1"}"#,
            r#"{"response":"error","transaction":"transaction-1","code":490,"reason":null}"#,
        ] {
            let parsed = ServerMessage::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(ServerMessage::parse(&parsed.to_text()), Ok(parsed.clone()), "{text}");
        }
        let Ok(ServerMessage::State(state)) = ServerMessage::parse(state) else { panic!() };
        let log = &state.lines[1].as_ref().unwrap().call_logs;
        assert!(matches!(log[0].1, LogMessage::Event(_)) && matches!(log[1].1, LogMessage::Request(_)));
        assert!(matches!(log[2].1, LogMessage::Other(_)));
    }

    #[test]
    fn the_end_of_candidates_is_read_in_all_its_shapes() {
        for candidate in
            [r#","candidate":null"#, r#","candidate":{"completed":true}"#, r#","candidate":{"candidate":""}"#, ""]
        {
            let text = format!(r#"{{"event":"ice_trickle","line":0{candidate}}}"#);
            let Ok(ServerMessage::Event(event)) = ServerMessage::parse(&text) else { panic!("{text}") };
            assert_eq!(
                event.body,
                super::super::EventBody::IceTrickle { candidate: super::super::Trickle::Completed },
                "{text}"
            );
        }
    }

    #[test]
    fn close_codes_keep_their_numbers() {
        use super::super::CloseCause;
        for code in (1000..=1015).chain([
            4101, 4201, 4300, 4301, 4302, 4400, 4401, 4402, 4410, 4411, 4412, 4420, 4431, 4432, 4441, 4501, 4502, 4600,
            4601, 4602, 4610, 4999,
        ]) {
            assert_eq!(CloseCause::from_code(code).code(), code);
            assert!(!CloseCause::from_code(code).message().is_empty());
        }
    }
}
