//! Requests and replies of the control socket.

use serde::{Deserialize, Serialize};

use super::counters::{Counters, RecentCall};
use crate::audio::CardControl;
use crate::config::PlayTo;
use crate::core::{Fact, Gesture, Interface, Status};
use crate::media::guard::DroppedDatagrams;
use crate::secret::{DoorCode, PhoneNumber};

/// A request to a running station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Report a snapshot of the station.
    Status,
    /// Report every fact from now on.
    Events,
    /// Report the facts of the last call that ended.
    Explain,
    /// Send every packet of the far ends from now on (`media::rtpdump::CallPacket`). They contain what people say.
    Packets,
    /// Send the black box.
    Dump {
        /// Leave the numbers, codes and descriptions in it.
        #[serde(default)]
        unredacted: bool,
    },
    /// Act as if a button was pressed.
    Press {
        name: String,
        gesture: Gesture,
    },
    /// Move a simulated button or sensor.
    Input {
        /// The name of the button or the sensor.
        name: String,
        /// The button is pressed, or the sensor is open.
        active: bool,
    },
    Call {
        number: PhoneNumber,
        /// Any idle line if absent.
        #[serde(default)]
        line: Option<u32>,
    },
    Hangup {
        /// All lines if absent.
        #[serde(default)]
        line: Option<u32>,
    },
    Answer {
        /// The line that rings if absent.
        #[serde(default)]
        line: Option<u32>,
    },
    Hold,
    Unhold,
    /// Send digits to the far end.
    Dtmf {
        /// 0-9, *, #, A-D.
        digits: DoorCode,
    },
    /// Switch the microphone off.
    Mute {
        /// Until the next change, and not only until the end of the call.
        #[serde(default)]
        keep: bool,
    },
    /// Switch the microphone on.
    Unmute,
    /// Set the volume of the loudspeaker.
    Volume {
        /// 0 to 100.
        volume: u8,
        /// Until the next change, and not only until the end of the call.
        #[serde(default)]
        keep: bool,
    },
    /// End all alarms.
    EndAlarms,
    /// Play a sound or prompt now.
    Play {
        name: String,
        /// At the loudspeaker if absent.
        #[serde(default)]
        to: PlayTo,
    },
    /// Switch a mode of the house.
    Mode {
        name: String,
        set: ModeRequest,
    },
    /// Drive an output.
    Output {
        name: String,
        change: OutputRequest,
        /// The length of a pulse in milliseconds; 3000 if absent.
        #[serde(default)]
        ms: Option<u64>,
    },
}

/// What a mode is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeRequest {
    On,
    Off,
    /// The other way round.
    Toggle,
    /// As its hours say.
    Auto,
}

/// What an output is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputRequest {
    /// Active.
    On,
    /// At rest.
    Off,
    /// Active for some time, then at rest.
    Pulse,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The request was carried out.
    Ok(bool),
    /// The request was accepted, with a remark for people: how long its effect lasts, or that it has to wait.
    Note(String),
    /// The request was not carried out.
    Error(ReplyError),
    Status(Box<FullStatus>),
    /// The facts of the last call that ended, oldest first; empty if no call has ended.
    Explanation(Vec<EventRecord>),
    /// The black box, as JSON text.
    Dump(String),
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReplyError {
    /// The kind of error, which decides the exit code of a command.
    pub kind: ErrorKind,
    /// What is wrong, with a remedy.
    pub message: String,
}

impl ReplyError {
    /// What is wrong, and what to do about it: messages of the station have their remedy behind a semicolon.
    pub fn message_and_remedy(&self) -> (&str, &str) {
        self.message.split_once("; ").unwrap_or((&self.message, "look at the status"))
    }
}

/// The kinds of errors, with their exit codes (docs/configuration.md, "Commands").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Exit code 1.
    Failed,
    /// Exit code 2.
    Usage,
    /// Exit code 4: the station cannot do it now.
    Refused,
}

/// A snapshot of the core, and what the adapters know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FullStatus {
    /// The version of callbox.
    pub version: String,
    /// The address of the telephony server.
    pub server: String,
    /// The id of this device.
    pub identifier: String,
    /// What drives the pins.
    pub gpio_backend: String,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Datagrams that came to the ports of calls and that the guard dropped.
    #[serde(default)]
    pub dropped_datagrams: DroppedDatagrams,
    /// Levels and counters of the sound card.
    pub sound: SoundStatus,
    /// The status page; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<InterfaceStatus>,
    /// The connection to the MQTT broker; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<InterfaceStatus>,
    /// The requests of `[[hook]]`; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<InterfaceStatus>,
    /// The last calls that have ended, the newest one first.
    #[serde(default)]
    pub recent_calls: Vec<RecentCall>,
    /// What is counted since the start.
    #[serde(default)]
    pub counters: Counters,
    #[serde(flatten)]
    pub station: Status,
}

impl FullStatus {
    /// The interfaces to the systems of the house that there are.
    pub fn interfaces(&self) -> impl Iterator<Item = (Interface, &InterfaceStatus)> {
        let all = [(Interface::Http, &self.http), (Interface::Mqtt, &self.mqtt), (Interface::Hooks, &self.hooks)];
        all.into_iter().filter_map(|(interface, status)| Some((interface, status.as_ref()?)))
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An interface to the systems of the house.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct InterfaceStatus {
    /// It can be used.
    pub ready: bool,
    /// Why it cannot, with a remedy.
    pub fault: Option<String>,
    /// Messages that were given up since the start. Only hooks give messages up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given_up: u64,
}

impl InterfaceStatus {
    /// One that can be used.
    pub fn ready() -> Self {
        Self { ready: true, ..Self::default() }
    }

    /// One that cannot.
    pub fn fault(fault: String) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }
}

/// Levels and counters of the sound card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SoundStatus {
    /// RMS level at the microphone in dBFS; -99 for silence and between calls, when the card is stopped.
    pub microphone_dbfs: i32,
    /// RMS level at the loudspeaker in dBFS; -99 for silence and between calls.
    pub loudspeaker_dbfs: i32,
    /// Buffer overruns and underruns since the start.
    pub xruns: u64,
    /// The built-in microphone is in use, because there is no sound card.
    pub synthetic: bool,
    /// The audio thread has real-time priority.
    #[serde(default)]
    pub realtime: bool,
    /// The most processor time that a frame of 10 ms has taken since the start, in microseconds.
    #[serde(default)]
    pub longest_frame_us: u64,
    /// The longest time that a frame has taken since the start, with waits for a processor, in microseconds.
    #[serde(default)]
    pub longest_frame_wall_us: u64,
    /// How much sound of the microphone the card delivers at once, in milliseconds; 0 before a card is opened.
    #[serde(default)]
    pub capture_period_ms: u32,
    /// How much sound the card takes for the loudspeaker at once, in milliseconds.
    #[serde(default)]
    pub playback_period_ms: u32,
    /// How much sound waits in the card before it is heard, in ms; 20 if the card follows the station's periods.
    #[serde(default)]
    pub lead_ms: u32,
    /// The control of the card's mixer that sets the volume, as far as its steps go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playback_control: Option<CardControl>,
    /// The control of the card's mixer that sets the gain of the microphone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_control: Option<CardControl>,
}

/// A fact, with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EventRecord {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    #[serde(flatten)]
    pub fact: Fact,
}
