//! What people and programs can ask of a running station.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lasting::Lasting;
use crate::config::{ButtonIndex, Line, ModeChange, ModeIndex, OutputChange, OutputIndex, PlayTo, Playable};
use crate::secret::{DoorCode, PhoneNumber};

/// A command. Its names are already resolved to places in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Do what a press of this button would do.
    Press { button: ButtonIndex, gesture: Gesture },
    /// Call a number.
    Call {
        number: PhoneNumber,
        /// `None`: any idle line.
        line: Option<Line>,
    },
    /// Hang up one line or all.
    Hangup {
        /// `None`: all lines.
        line: Option<Line>,
    },
    /// Answer a call that rings here.
    Answer {
        /// `None`: the line that rings.
        line: Option<Line>,
    },
    /// Hold the call in the foreground.
    Hold,
    /// Continue the held call.
    Unhold,
    /// Send digits into the call in the foreground.
    Dtmf(DoorCode),
    /// Switch the microphone off or on.
    Mute {
        muted: bool,
        /// The change lasts until the next one, and not only until the end of the call.
        keep: bool,
    },
    /// Set the volume of the loudspeaker.
    Volume {
        /// From 0 to 100.
        volume: u8,
        /// The change lasts until the next one, and not only until the end of the call.
        keep: bool,
    },
    /// Play a sound or prompt now.
    Play { what: Playable, to: PlayTo },
    /// End all alarms.
    EndAlarms,
    /// Switch a mode of the house.
    Mode { mode: ModeIndex, change: ModeChange },
    /// Drive an output.
    Output { output: OutputIndex, change: OutputChange },
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

/// The result of a command that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// It is done.
    Now,
    /// There is no session: the call waits for one at most this long, and is then given up.
    Waits(Duration),
    /// It is done, and lasts for a while.
    For(Lasting),
    /// The output is on for this time, its `max_on_ms`, which is shorter than requested.
    OnFor(Duration),
}

/// The message for the person who gave the command.
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
                write!(formatter, "on for {} ms, not longer: this is max_on_ms of this output", length.as_millis())
            }
        }
    }
}

/// Why a command was not carried out: the station cannot do it now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No call can go out now. The text is the state of the session.
    #[error("not registered with the server ({0}); see `callbox status`")]
    NotRegistered(String),
    /// Every line that may be used has a call.
    #[error("no line is free; hang up first, or allow a second call with calls.second_call")]
    NoFreeLine,
    /// More alarms than a station has buttons for them.
    #[error("too many alarms are on; `callbox alarm end` ends them")]
    TooManyAlarms,
    /// More actions wait for their time (`after_ms`, `for_ms`) than a station keeps.
    #[error("too many delayed actions wait already, so one of them is left out")]
    TooManyActions,
    /// There is no such line.
    #[error("there is no line {line}; this session has lines 0 to {last}")]
    NoSuchLine { line: Line, last: Line },
    /// No call is in the state that the command needs.
    #[error("no call {0}")]
    NoCall(&'static str),
    /// An alarm has precedence over all other calls.
    #[error("an alarm is on, and has precedence; `callbox alarm end` ends it")]
    AlarmIsOn,
    /// The sound card does not work.
    #[error("the sound card does not work; see `callbox status`")]
    NoSoundCard,
    /// The station is shutting down.
    #[error("the station is shutting down")]
    ShuttingDown,
    /// Two outputs exclude each other.
    #[error("{output} stays off: {other} is on, and they exclude each other (exclusive)")]
    Excluded {
        /// The output that was to go on.
        output: String,
        /// The output that is on.
        other: String,
    },
    /// A relay has been on for its `max_on_ms`, and must now be off for a moment.
    #[error("{output} has been on for its max_on_ms, and stays off for {rest_ms} ms")]
    Rests {
        output: String,
        /// How much longer it stays off, in milliseconds.
        rest_ms: u64,
    },
    /// The text is not a row of DTMF digits, or it is too long.
    #[error("\"{0}\" has characters that are not DTMF digits (0-9, *, #, A-D)")]
    BadDigits(String),
}
