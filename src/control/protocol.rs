//! Requests and replies of the control socket.

use serde::{Deserialize, Serialize};

use crate::audio::CardControl;
use crate::core::{Fact, Gesture, Status};
use crate::media::guard::DroppedDatagrams;

/// What can be asked of a running station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The snapshot.
    Status,
    /// Follow what happens.
    Events,
    /// What led to the end of the last call.
    Explain,
    /// Follow the packets of the far ends (`media::rtpdump::CallPacket`): they hold what is said.
    Packets,
    /// The black box.
    Dump {
        /// With numbers, codes and descriptions.
        #[serde(default)]
        unredacted: bool,
    },
    /// As if a button was pressed.
    Press {
        /// The button's name.
        name: String,
        /// How.
        gesture: Gesture,
    },
    /// Move a simulated input: the front panel's buttons and sensors.
    Input {
        /// The button's or sensor's name.
        name: String,
        /// Pressed, or open.
        active: bool,
    },
    /// Call a number.
    Call {
        /// Whom.
        number: String,
        /// On this line.
        #[serde(default)]
        line: Option<u32>,
    },
    /// Hang up.
    Hangup {
        /// This line only.
        #[serde(default)]
        line: Option<u32>,
    },
    /// Answer what rings.
    Answer {
        /// On this line.
        #[serde(default)]
        line: Option<u32>,
    },
    /// Hold the call.
    Hold,
    /// Take it up again.
    Unhold,
    /// Send digits.
    Dtmf {
        /// 0-9, *, #, A-D.
        digits: String,
    },
    /// Microphone off.
    Mute {
        /// Until told otherwise, and not only until the end of the call.
        #[serde(default)]
        keep: bool,
    },
    /// Microphone on.
    Unmute,
    /// Loudspeaker.
    Volume {
        /// 0 to 100.
        volume: u8,
        /// Until told otherwise, and not only until the end of the call.
        #[serde(default)]
        keep: bool,
    },
    /// Drive an output.
    Output {
        /// The output's name.
        name: String,
        /// What it is to do.
        change: OutputRequest,
        /// Length of a pulse; 3000 where absent.
        #[serde(default)]
        ms: Option<u64>,
    },
}

/// A change of an output by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputRequest {
    /// Active.
    On,
    /// At rest.
    Off,
    /// Active for a while.
    Pulse,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It was done.
    Ok(bool),
    /// It was done, and there is something to know of it: how long it lasts, or that it waits.
    Note(String),
    /// It was not.
    Error(ReplyError),
    /// The snapshot.
    Status(Box<FullStatus>),
    /// What happened in the last call that ended, oldest first; empty where there was none.
    Explanation(Vec<EventRecord>),
    /// The black box, as JSON text.
    Dump(String),
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReplyError {
    /// Which kind, which decides the exit code.
    pub kind: ErrorKind,
    /// What, with a remedy.
    pub message: String,
}

/// Kinds of error, with the exit codes of `interface.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Exit code 1.
    Failed,
    /// Exit code 2.
    Usage,
    /// Exit code 4: refused by policy or state.
    Refused,
}

/// The core's snapshot and what the adapters know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FullStatus {
    /// Version of callbox.
    pub version: String,
    /// Address of the telephony server.
    pub server: String,
    /// Device id.
    pub identifier: String,
    /// Where the pins are.
    pub gpio_backend: String,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// What came to the media port and had no place there.
    #[serde(default)]
    pub dropped_datagrams: DroppedDatagrams,
    /// Levels and counters of the sound card.
    pub sound: SoundStatus,
    /// The station.
    #[serde(flatten)]
    pub station: Status,
}

/// Levels and counters of the sound card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SoundStatus {
    /// RMS at the microphone, dBFS, -99 for silence and between calls, when the card rests.
    pub microphone_dbfs: i32,
    /// RMS at the loudspeaker, dBFS, -99 for silence and between calls.
    pub loudspeaker_dbfs: i32,
    /// Buffer over- and underruns since the start.
    pub xruns: u64,
    /// The built-in microphone is in use: there is no sound card.
    pub synthetic: bool,
    /// The audio thread has real-time priority.
    #[serde(default)]
    pub realtime: bool,
    /// Processor time that the longest frame of 10 ms has taken since the start, in microseconds.
    #[serde(default)]
    pub longest_frame_us: u64,
    /// The longest time that a frame took since the start, waits for a processor included, in microseconds.
    #[serde(default)]
    pub longest_frame_wall_us: u64,
    /// So much sound of the microphone comes at once, in milliseconds; 0 before a card was opened.
    #[serde(default)]
    pub capture_period_ms: u32,
    /// So much sound of the loudspeaker goes at once, in milliseconds.
    #[serde(default)]
    pub playback_period_ms: u32,
    /// So much sound waits in the card before it is heard, in milliseconds: 20 where the card follows the station's periods.
    #[serde(default)]
    pub lead_ms: u32,
    /// The control of the card's own mixer that does the volume, as far as its steps go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playback_control: Option<CardControl>,
    /// The control of the card's own mixer that does the microphone's gain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_control: Option<CardControl>,
}

/// Something that happened, with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EventRecord {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}
