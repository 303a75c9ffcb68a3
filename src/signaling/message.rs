//! The frames of the signaling protocol, version 1, as types for both directions.
//!
//! A frame has exactly one discriminator key (`handshake`, `request`, `response` or `event`), and unknown keys are
//! ignored (docs/protocol.md, "Messages").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::Event;
use super::handshake::StateHandshake;
use super::lenient;
use super::request::{Request, RequestKind};
use crate::config::Line;
use crate::plain_text::plain;

/// The only WebSocket sub-protocol of the server.
pub const SUB_PROTOCOL: &str = "webtrit-protocol";

/// The largest frame that either side accepts, in bytes.
pub const MAX_FRAME_BYTES: usize = 256 * 1024;

/// Identifies a call on both sides: 24 letters and digits, chosen by the side that starts the call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub String);

impl std::fmt::Display for CallId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<&str> for CallId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Matches a response, or an event, to its request: `transaction-<digits>`, unique also across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(pub String);

impl std::fmt::Display for TransactionId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<&str> for TransactionId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A line of the session: a number from 0, or `None` for the guest line (`null` on the wire).
pub type LineNumber = Option<Line>;

/// A session description with its role in the offer/answer exchange (RFC 8829).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jsep {
    #[serde(rename = "type")]
    pub kind: JsepKind,
    /// The SDP text (RFC 8866).
    pub sdp: String,
}

impl Jsep {
    /// An offer with this SDP.
    pub fn offer(sdp: impl Into<String>) -> Self {
        Self { kind: JsepKind::Offer, sdp: sdp.into() }
    }

    /// An answer with this SDP.
    pub fn answer(sdp: impl Into<String>) -> Self {
        Self { kind: JsepKind::Answer, sdp: sdp.into() }
    }
}

/// The role of a session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JsepKind {
    Offer,
    Answer,
}

/// An ICE candidate, or the end of candidates (RFC 8838).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Option<CandidateFields>", into = "Option<CandidateFields>")]
pub enum Trickle {
    Candidate(Candidate),
    /// The end of candidates: `null`, or `{"completed":true}`.
    #[default]
    Completed,
}

/// One ICE candidate in `ice_trickle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The candidate attribute without `a=`.
    pub candidate: String,
    /// The identification of the m-line; media servers leave it out.
    pub sdp_mid: Option<String>,
    /// The index of the m-line.
    #[serde(rename = "sdpMLineIndex")]
    pub sdp_m_line_index: Option<u16>,
}

#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CandidateFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    candidate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sdp_mid: Option<String>,
    #[serde(default, rename = "sdpMLineIndex", skip_serializing_if = "Option::is_none")]
    sdp_m_line_index: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    completed: Option<bool>,
}

impl From<Option<CandidateFields>> for Trickle {
    fn from(fields: Option<CandidateFields>) -> Self {
        match fields {
            Some(CandidateFields { candidate: Some(candidate), sdp_mid, sdp_m_line_index, .. })
                if !candidate.is_empty() =>
            {
                Self::Candidate(Candidate { candidate, sdp_mid, sdp_m_line_index })
            }
            _ => Self::Completed,
        }
    }
}

impl From<Trickle> for Option<CandidateFields> {
    fn from(trickle: Trickle) -> Self {
        Some(match trickle {
            Trickle::Candidate(Candidate { candidate, sdp_mid, sdp_m_line_index }) => {
                CandidateFields { candidate: Some(candidate), sdp_mid, sdp_m_line_index, completed: None }
            }
            Trickle::Completed => CandidateFields { completed: Some(true), ..CandidateFields::default() },
        })
    }
}

/// The identifier of a transfer. It is a number in most messages and a text in some, and goes back in the form in which
/// it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ReferId {
    Number(i64),
    Text(String),
}

/// The code of an error that has none: the server failed (RFC 3261, section 21.5.1).
fn unsaid_code() -> i64 {
    500
}

/// The one reply to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The transaction of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
    /// The line of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: LineNumber,
    /// The call of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    #[serde(flatten)]
    pub body: ResponseBody,
}

/// Whether the server accepted the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub enum ResponseBody {
    /// The request is in progress.
    Ack,
    /// The request was refused.
    Error {
        /// 403 to 490, see [`response_code`].
        #[serde(default = "unsaid_code")]
        code: i64,
        #[serde(default)]
        reason: String,
    },
}

/// The codes of `error` responses and events that callbox acts on or sends.
pub mod response_code {
    /// The request lacks a field.
    pub const MISSING_ELEMENT: i64 = 456;
    /// There is no request of this name.
    pub const UNKNOWN_REQUEST: i64 = 453;
    /// The frame is not a JSON object.
    pub const INVALID_JSON_OBJECT: i64 = 455;
    /// The call is in a state that does not allow this request.
    pub const WRONG_STATE: i64 = 447;
    /// There is no such call, or it has ended.
    pub const NO_SUCH_CALL: i64 = 454;
    /// The caller hung up while we answered.
    pub const UNEXPECTED_ANSWER: i64 = 469;
    /// The WebRTC side is not in the right state.
    pub const WRONG_WEBRTC_STATE: i64 = 471;
    /// Anything else, for example that the line is still being cleaned up.
    pub const UNKNOWN: i64 = 490;
}

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

/// Why a frame was not accepted. None of these errors ends the connection, except [`FrameError::TooLong`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum FrameError {
    /// The frame is not JSON, or its JSON is not an object.
    #[error("the frame is not a JSON object")]
    NotAnObject,
    /// The frame is longer than [`MAX_FRAME_BYTES`], and the socket ends.
    #[error("a frame is longer than {} KiB", MAX_FRAME_BYTES / 1024)]
    TooLong,
    /// The frame has none of the four discriminator keys, or more than one.
    #[error("the frame has no handshake, request, response or event key, or more than one")]
    NoDiscriminator,
    /// A handshake, request or event that this version does not know.
    #[error("unknown {kind} \"{name}\"")]
    Unknown {
        /// The discriminator key.
        kind: String,
        /// Its value, shortened.
        name: String,
    },
    /// A known message with a field that is missing or cannot be read.
    #[error("{kind} \"{name}\" lacks a field, or has one that cannot be read")]
    Malformed {
        /// The discriminator key.
        kind: String,
        /// Its value, shortened.
        name: String,
    },
}

const DISCRIMINATORS: [&str; 4] = ["handshake", "request", "response", "event"];

pub(super) fn discriminator(value: &Value) -> Option<&'static str> {
    let object = value.as_object()?;
    let mut present = DISCRIMINATORS.into_iter().filter(|key| object.contains_key(*key));
    let first = present.next()?;
    present.next().is_none().then_some(first)
}

/// Splits a frame into its discriminator key, that key's value, and the whole object.
fn open_frame(text: &str) -> Result<(&'static str, String, Value), FrameError> {
    let value: Value = serde_json::from_str(text).map_err(|_| FrameError::NotAnObject)?;
    if !value.is_object() {
        return Err(FrameError::NotAnObject);
    }
    let kind = discriminator(&value).ok_or(FrameError::NoDiscriminator)?;
    let name: String = plain(value.get(kind).and_then(Value::as_str).unwrap_or_default()).chars().take(40).collect();
    Ok((kind, name, value))
}

fn fit<T: serde::de::DeserializeOwned>(kind: &'static str, name: &str, value: Value) -> Result<T, FrameError> {
    serde_json::from_value(value).map_err(|error| {
        // The message of the library is for programmers, and quotes the frame.
        tracing::debug!(%error, kind, name, "frame");
        FrameError::Malformed { kind: kind.to_owned(), name: name.to_owned() }
    })
}

fn transaction_of(value: &Value) -> Option<TransactionId> {
    value.get("transaction").and_then(Value::as_str).map(TransactionId::from)
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

fn with_key(key: &str, name: &str, body: serde_json::Result<Value>) -> String {
    let mut body = body.unwrap_or_default();
    if let Some(object) = body.as_object_mut() {
        object.insert(key.to_owned(), Value::String(name.to_owned()));
    }
    body.to_string()
}

fn written(body: serde_json::Result<Value>) -> String {
    body.unwrap_or_default().to_string()
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
            assert!(parsed.to_text().contains("\"line\":null"), "the guest line is told");
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
            assert_eq!(event.body, super::super::EventBody::IceTrickle { candidate: Trickle::Completed }, "{text}");
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
            assert!(!CloseCause::from_code(code).words().is_empty());
        }
    }
}
