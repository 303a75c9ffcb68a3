//! The state and the direction of a call, as people and programs see them.

use serde::{Deserialize, Serialize};

/// The state of a call, as people and programs see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// There is no call.
    Idle,
    /// The station calls, and the far end does not ring yet.
    Dialing,
    /// The far end rings.
    Alerting,
    /// Somebody calls the station, and nobody has answered yet.
    Incoming,
    /// The station has answered, and the server has not confirmed it yet.
    Answering,
    /// The call is up.
    Established,
    /// The call is up, and one side holds it.
    Held,
    /// The station has hung up, and the server has not confirmed it yet.
    Ending,
}

impl std::fmt::Display for CallState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Idle => "idle",
            Self::Dialing => "dialing",
            Self::Alerting => "ringing",
            Self::Incoming => "incoming call",
            Self::Answering => "answering call",
            Self::Established => "in a call",
            Self::Held => "held call",
            Self::Ending => "ending call",
        })
    }
}

/// Who started the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Outgoing,
    Incoming,
}
