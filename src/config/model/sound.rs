//! The sounds that the station plays.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A sound of the station.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sound {
    /// The far end rings.
    Ringback,
    /// The far end, or every line, is busy.
    Busy,
    /// The far end refused the call.
    Refused,
    /// The far end rang, and nobody answered.
    NoAnswer,
    /// The far end is off, or cannot be reached.
    NotReachable,
    /// There is no such number.
    NotFound,
    /// The call cannot be made, or has failed.
    NoConnection,
    /// The station has noticed the press.
    Connecting,
    /// The call is up.
    Answer,
    /// The talk time ends soon.
    TalkWarning,
    /// The door is open.
    DoorOpen,
    /// A key of a keypad was pressed.
    Key,
    /// A code was accepted, or an alarm confirmed.
    Accepted,
    /// Somebody calls the station and nobody has answered yet.
    Ring,
}

impl Sound {
    pub const ALL: [Sound; 14] = [
        Self::Ringback,
        Self::Busy,
        Self::Refused,
        Self::NoAnswer,
        Self::NotReachable,
        Self::NotFound,
        Self::NoConnection,
        Self::Connecting,
        Self::Answer,
        Self::TalkWarning,
        Self::DoorOpen,
        Self::Key,
        Self::Accepted,
        Self::Ring,
    ];

    /// How long the built-in sound lasts.
    pub fn built_in_length(self) -> Duration {
        Duration::from_millis(match self {
            Self::Ringback => 5_000,
            Self::Busy => 3_500,
            Self::Refused => 1_400,
            Self::NoAnswer => 2_000,
            Self::NotReachable => 1_800,
            Self::NotFound => 2_500,
            Self::NoConnection => 2_480,
            Self::Connecting => 210,
            Self::Answer => 300,
            Self::TalkWarning => 400,
            Self::DoorOpen => 600,
            Self::Key => 60,
            Self::Accepted => 330,
            Self::Ring => 3_000,
        })
    }

    /// The key of the sound in `[sounds]`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringback => "ringback",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::NoAnswer => "no_answer",
            Self::NotReachable => "not_reachable",
            Self::NotFound => "not_found",
            Self::NoConnection => "no_connection",
            Self::Connecting => "connecting",
            Self::Answer => "answer",
            Self::TalkWarning => "talk_warning",
            Self::DoorOpen => "door_open",
            Self::Key => "key",
            Self::Accepted => "accepted",
            Self::Ring => "ring",
        }
    }
}
