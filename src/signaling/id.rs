//! Identifiers of the protocol.

use serde::{Deserialize, Serialize};

use crate::config::Line;

/// Identifies a call on both sides: 24 letters and digits, chosen by the side that starts the call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

/// The identifier of a transfer. It is a number in most messages and a text in some, and goes back in the form in which
/// it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ReferId {
    Number(i64),
    Text(String),
}
