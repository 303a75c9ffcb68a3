//! A text frame: JSON with exactly one discriminator key (docs/protocol.md, "Messages").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::TransactionId;
use crate::plain_text::plain;

/// The largest frame that either side accepts, in bytes.
pub const MAX_FRAME_BYTES: usize = 256 * 1024;

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
pub(super) fn open_frame(text: &str) -> Result<(&'static str, String, Value), FrameError> {
    let value: Value = serde_json::from_str(text).map_err(|_| FrameError::NotAnObject)?;
    if !value.is_object() {
        return Err(FrameError::NotAnObject);
    }
    let kind = discriminator(&value).ok_or(FrameError::NoDiscriminator)?;
    let name: String = plain(value.get(kind).and_then(Value::as_str).unwrap_or_default()).chars().take(40).collect();
    Ok((kind, name, value))
}

pub(super) fn fit<T: serde::de::DeserializeOwned>(
    kind: &'static str,
    name: &str,
    value: Value,
) -> Result<T, FrameError> {
    serde_json::from_value(value).map_err(|error| {
        // The message of the library is for programmers, and quotes the frame.
        tracing::debug!(%error, kind, name, "frame");
        FrameError::Malformed { kind: kind.to_owned(), name: name.to_owned() }
    })
}

pub(super) fn transaction_of(value: &Value) -> Option<TransactionId> {
    value.get("transaction").and_then(Value::as_str).map(TransactionId::from)
}

pub(super) fn with_key(key: &str, name: &str, body: serde_json::Result<Value>) -> String {
    let mut body = body.unwrap_or_default();
    if let Some(object) = body.as_object_mut() {
        object.insert(key.to_owned(), Value::String(name.to_owned()));
    }
    body.to_string()
}

pub(super) fn written(body: serde_json::Result<Value>) -> String {
    body.unwrap_or_default().to_string()
}
