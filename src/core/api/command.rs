//! What people and programs can ask of a running station.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lasting::Lasting;
use crate::config::{ButtonIndex, Line, OutputChange, OutputIndex};

/// Matches a reply to its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CommandId(pub u64);

/// A command with its names resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// As if the button was pressed.
    Press {
        /// The n-th `[[button]]`.
        button: ButtonIndex,
        /// How.
        gesture: Gesture,
    },
    /// Call a number.
    Call {
        /// Whom.
        number: String,
        /// On this line; any idle one where absent.
        line: Option<Line>,
    },
    /// Hang up one line or all.
    Hangup {
        /// Which.
        line: Option<Line>,
    },
    /// Answer what rings.
    Answer {
        /// Which; the one that rings where absent.
        line: Option<Line>,
    },
    /// Hold the call in the foreground.
    Hold,
    /// Take the held call up again.
    Unhold,
    /// Send digits into the call in the foreground.
    Dtmf(String),
    /// Silence the microphone, or no longer.
    Mute {
        /// Silent.
        muted: bool,
        /// Until told otherwise, and not only until the end of the call.
        keep: bool,
    },
    /// Loudspeaker.
    Volume {
        /// 0 to 100.
        volume: u8,
        /// Until told otherwise, and not only until the end of the call.
        keep: bool,
    },
    /// Drive an output.
    Output {
        /// Which.
        output: OutputIndex,
        /// How.
        change: OutputChange,
    },
}

/// How a button was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gesture {
    /// Once.
    Press,
    /// Held for `long_ms`.
    Long,
    /// Twice within `double_ms`.
    Double,
}

/// What came of a command that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// It is done.
    Now,
    /// There is no session: the call is kept for so long, then given up.
    Waits(Duration),
    /// It is done for a while.
    For(Lasting),
    /// The output is on for less than was asked: `max_on_ms`.
    OnFor(Duration),
}

/// What a person should know of it.
impl std::fmt::Display for Done {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Now => formatter.write_str("done"),
            Self::Waits(patience) => write!(
                formatter,
                "there is no session with the server: the call waits for it, {} s at most, then it is given up",
                patience.as_secs()
            ),
            Self::For(lasting) => lasting.fmt(formatter),
            Self::OnFor(length) => {
                write!(formatter, "on for {} ms and no longer: max_on_ms of this output", length.as_millis())
            }
        }
    }
}

/// Why a command was not carried out: refused by policy or state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No call can go out now.
    #[error("not registered with the server ({0}); see `callbox status`")]
    NotRegistered(String),
    /// Every line that may be used has a call.
    #[error("no line is free; hang up first, or allow a second call with calls.second_call")]
    NoFreeLine,
    /// There is no such line.
    #[error("there is no line {line}; this session has lines 0 to {last}")]
    NoSuchLine {
        /// The line asked for.
        line: Line,
        /// The highest that there is.
        last: Line,
    },
    /// No call is in the state that the command needs.
    #[error("no call {0}")]
    NoCall(&'static str),
    /// The station is shutting down.
    #[error("the station is shutting down")]
    ShuttingDown,
    /// Two outputs exclude each other.
    #[error("{output} stays off: {other} is on, and they exclude each other (exclusive)")]
    Excluded {
        /// The one asked for.
        output: String,
        /// The one that is on.
        other: String,
    },
    /// A relay was on for as long as it may.
    #[error("{output} was on for its max_on_ms, and rests for {rest_ms} ms")]
    Rests {
        /// Its name.
        output: String,
        /// So much longer, in milliseconds.
        rest_ms: u64,
    },
    /// Characters that are no DTMF digits.
    #[error("\"{0}\" has characters that are no DTMF digits (0-9, *, #, A-D)")]
    BadDigits(String),
}
