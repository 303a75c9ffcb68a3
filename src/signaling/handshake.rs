//! The server's first word on a connection: registration, lines, and what happened in their calls.
//!
//! Source: `protocol.md`, "Handshakes" and "Recovery after a reconnect".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::Event;
use super::message::{CallId, Response, discriminator};
use super::request::Request;

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

/// Registration as the `state` handshake tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Registration {
    /// Where it stands; an unknown word counts as unregistered.
    #[serde(default, deserialize_with = "lenient_status")]
    pub status: RegistrationStatus,
    /// SIP status of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Words for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The server's first word on a connection: what it knows of the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHandshake {
    /// Silence after which the client sends a keepalive, in milliseconds.
    #[serde(default = "usual_keepalive_interval")]
    pub keepalive_interval: u64,
    /// The server's clock, milliseconds since the epoch.
    #[serde(default)]
    pub timestamp: i64,
    /// Registration of the account.
    #[serde(default)]
    pub registration: Registration,
    /// One entry per line; `None` where idle, and where nothing can be made of it.
    #[serde(default)]
    pub lines: Vec<Option<LineState>>,
    /// The guest line.
    #[serde(default)]
    pub guest_line: Option<LineState>,
}

/// A busy line in the `state` handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineState {
    /// The call; `None` after a failed set-up, which means idle.
    pub call_id: Option<CallId>,
    /// What happened in this call, newest first.
    #[serde(default)]
    pub call_logs: Vec<CallLogEntry>,
}

/// An unknown word counts as unregistered.
fn lenient_status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<RegistrationStatus, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Between the keepalives of a server that does not say how often it wants them, in milliseconds.
fn usual_keepalive_interval() -> u64 {
    30_000
}

/// One entry of a line's history: time stamp in milliseconds, and the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLogEntry(pub i64, pub LogMessage);

/// A request, response or event of the call without its `line` and `call_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogMessage {
    /// A request of the client.
    Request(Request),
    /// A response of the server.
    Response(Response),
    /// An event of the server.
    Event(Box<Event>),
    /// Anything this version does not know.
    Other(Value),
}

impl Serialize for LogMessage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Request(request) => {
                // Requests have a line even where it is null; their log entries have none.
                let mut value = serde_json::to_value(request).map_err(serde::ser::Error::custom)?;
                if let Some(object) = value.as_object_mut() {
                    object.remove("line");
                }
                value.serialize(serializer)
            }
            Self::Response(response) => response.serialize(serializer),
            Self::Event(event) => event.serialize(serializer),
            Self::Other(value) => value.serialize(serializer),
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
