//! The state of the session, as people and programs see it.

use serde::{Deserialize, Serialize};

/// The state of the session with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Between two attempts.
    Offline,
    /// An attempt is in progress.
    Connecting,
    /// A new token is being fetched.
    LoggingIn,
    /// The clock is not set yet. Certificates cannot be checked before it is.
    WaitingForTime,
    /// The token, the account or the device was refused; a person must act.
    Refused,
    /// Another client uses this session.
    TakenOver,
    /// Connected, but the account is not registered.
    Unregistered,
    /// Calls can be made.
    Registered,
}

impl std::fmt::Display for SessionState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Offline => "offline",
            Self::Connecting => "connecting",
            Self::LoggingIn => "logging in",
            Self::WaitingForTime => "waiting for the time",
            Self::Refused => "refused",
            Self::TakenOver => "taken over",
            Self::Unregistered => "connected, not registered",
            Self::Registered => "registered",
        })
    }
}

/// Counters for the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SessionCounters {
    /// Connections that reached the `state` handshake.
    pub sessions: u64,
    /// Frames that could not be read.
    pub malformed_frames: u64,
    /// Events, handshakes and responses with unknown names.
    pub unknown_messages: u64,
    /// Responses that arrived after the time-out of their request.
    pub late_responses: u64,
    /// Requests without a response.
    pub timed_out_requests: u64,
    /// How often another client took the session over.
    pub takeovers: u64,
}
