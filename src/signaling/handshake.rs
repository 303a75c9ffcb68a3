//! The `state` handshake, which is the first frame of the server on a connection: the registration, the lines, and what
//! happened in their calls (docs/protocol.md, "Handshakes" and "Recovery after a reconnect").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::Event;
use super::frame::discriminator;
use super::id::{CallId, TransactionId};
use super::request::{Request, RequestBody};
use super::response::Response;

/// The state of the account's registration at the SIP side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationStatus {
    /// In progress.
    Registering,
    /// Calls can be made.
    Registered,
    /// Refused.
    RegistrationFailed,
    /// Being withdrawn.
    Unregistering,
    /// Withdrawn.
    #[default]
    Unregistered,
}

/// The registration of the account in the `state` handshake.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Registration {
    /// An unknown status counts as unregistered.
    #[serde(default, deserialize_with = "lenient_status")]
    pub status: RegistrationStatus,
    /// The SIP status of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The reason of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The first frame of the server on a connection: what the server knows of the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHandshake {
    /// The time of silence after which the client sends a keepalive, in milliseconds.
    #[serde(default = "usual_keepalive_interval")]
    pub keepalive_interval: u64,
    /// The server's clock, in milliseconds since 1970.
    #[serde(default)]
    pub timestamp: i64,
    #[serde(default)]
    pub registration: Registration,
    /// One entry per line; `None` if the line is idle, or if its entry cannot be read.
    #[serde(default)]
    pub lines: Vec<Option<LineState>>,
    #[serde(default)]
    pub guest_line: Option<LineState>,
}

/// A busy line in the `state` handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineState {
    /// `None` after a failed set-up: the line is idle then.
    pub call_id: Option<CallId>,
    /// What happened in this call, the newest entry first.
    #[serde(default)]
    pub call_logs: Vec<CallLogEntry>,
}

/// Reads a status; an unknown one counts as unregistered.
fn lenient_status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<RegistrationStatus, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// The keepalive interval in milliseconds, if the server does not name one.
fn usual_keepalive_interval() -> u64 {
    30_000
}

/// One entry of a line's call log: the server's time in milliseconds, and the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLogEntry(pub i64, pub LogMessage);

/// A request, response or event of the call, without its `line` and `call_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogMessage {
    Request(Request),
    Response(Response),
    Event(Box<Event>),
    /// A message that this version does not know.
    Other(Value),
}

/// The name that serde has for the type of [`LogMessage::Other`], which may contain any secret.
pub(crate) const UNKNOWN_MESSAGE: &str = "UnknownMessage";

/// A request in a call log: it has no field `line`, not even `null`.
#[derive(Serialize)]
struct LoggedRequest<'a> {
    transaction: &'a TransactionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: &'a Option<CallId>,
    #[serde(flatten)]
    body: &'a RequestBody,
}

impl Serialize for LogMessage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Request(request) => {
                let Request { transaction, line: _, call_id, body } = request;
                LoggedRequest { transaction, call_id, body }.serialize(serializer)
            }
            Self::Response(response) => response.serialize(serializer),
            Self::Event(event) => event.serialize(serializer),
            Self::Other(value) => serializer.serialize_newtype_struct(UNKNOWN_MESSAGE, value),
        }
    }
}

impl<'de> Deserialize<'de> for LogMessage {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let parsed = match discriminator(&value) {
            Some("request") => Request::deserialize(&value).ok().map(Self::Request),
            Some("response") => Response::deserialize(&value).ok().map(Self::Response),
            Some("event") => Event::deserialize(&value).ok().map(|event| Self::Event(Box::new(event))),
            _ => None,
        };
        Ok(parsed.unwrap_or(Self::Other(value)))
    }
}
