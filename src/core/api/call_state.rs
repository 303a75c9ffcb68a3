//! The state of a call, for people and programs.

use serde::{Deserialize, Serialize};

/// State of a call for people and programs (`design.md`, "Words").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// No call.
    Idle,
    /// Our call is going out.
    Dialing,
    /// The far end rings.
    Alerting,
    /// Somebody calls us.
    Incoming,
    /// Our answer is going out.
    Answering,
    /// Up.
    Established,
    /// Up, and one side holds.
    Held,
    /// Our hangup is going out.
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
    /// The station.
    Outgoing,
    /// The far end.
    Incoming,
}
