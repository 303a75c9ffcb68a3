//! The typed snapshot behind `callbox status --json`.

use serde::{Deserialize, Serialize};

use super::alarm::AlarmState;
use super::by::By;
use super::call_state::{CallState, Direction};
use super::cause::Cause;
use super::door_state::DoorState;
use super::ice_servers::IceServersStatus;
use super::lasting::Lasting;
use super::repair::{MissingSound, RepairStep};
use super::session_state::{SessionCounters, SessionState};
use crate::config::{Drive, Line};
use crate::secret::{PersonName, PhoneNumber};

/// A snapshot of the station: what a person asks first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Status {
    /// The session with the server.
    pub session: SessionStatus,
    /// STUN and TURN servers.
    #[serde(default)]
    pub ice_servers: IceServersStatus,
    /// The lines, from line 0.
    pub lines: Vec<LineStatus>,
    /// Alarms, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<AlarmStatus>,
    /// The sound card.
    pub audio: AudioStatus,
    /// Relays and LEDs.
    pub outputs: Vec<OutputStatus>,
    pub buttons: Vec<PinStatus>,
    pub sensors: Vec<PinStatus>,
    /// Doors that are watched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doors: Vec<DoorStatus>,
    /// Keypads and card readers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<ReaderStatus>,
    /// What happens at certain times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ScheduleStatus>,
    /// The modes of the house.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<ModeStatus>,
    /// Why rules with hours do not match although the clock is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_fault: Option<String>,
    /// Calls that came while no line was free.
    pub missed_calls: u64,
    /// Incoming calls that were declined.
    #[serde(default)]
    pub refused_calls: u64,
    /// Why the last call ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<EndStatus>,
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EndStatus {
    pub call_id: String,
    pub cause: Cause,
}

/// The session with the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SessionStatus {
    pub state: SessionState,
    /// The server in use, by its place in `core.url`.
    pub server: usize,
    /// Two clients keep taking the session from each other.
    pub ping_pong: bool,
    /// What is wrong, as a message for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// They count from the start of the process.
    pub counters: SessionCounters,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LineStatus {
    pub line: Line,
    pub state: CallState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallStatus>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CallStatus {
    pub call_id: String,
    pub direction: Direction,
    /// The far end's number.
    pub number: PhoneNumber,
    /// The far end's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<PersonName>,
    /// Seconds since the call began.
    pub age_s: u64,
    /// Seconds since the call came up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talk_s: Option<u64>,
    /// ICE and DTLS are up.
    pub media_connected: bool,
    /// The server reports that it gets our packets, or that it does not; absent until it has reported.
    #[serde(rename = "core_hears_us", default, skip_serializing_if = "Option::is_none")]
    pub server_hears_us: Option<bool>,
    /// The repair step in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairing: Option<RepairStep>,
    /// The direction that is silent although ICE is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<MissingSound>,
    /// The station holds the call.
    pub held: bool,
    pub far_end_holds: bool,
    /// Whether digits can arrive as telephone events (RFC 4733); absent until that is negotiated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telephone_events: Option<bool>,
    /// Codes are configured, but no digit of this call can reach the station.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub codes_unreachable: bool,
    /// The number of candidates of the far end that cannot be used and were left out.
    #[serde(default)]
    pub unusable_candidates: u32,
}

/// An alarm, a call that does not give up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AlarmStatus {
    pub state: AlarmState,
    /// Who raised it.
    pub by: By,
    /// For how long it is in this state, in seconds.
    pub for_s: u64,
    /// How many times all of its numbers were called.
    pub rounds: u32,
}

/// The sound card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AudioStatus {
    /// Capture and playback run.
    pub ready: bool,
    /// Why they do not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What is wrong with the microphone of a card that works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microphone_fault: Option<String>,
    /// The volume of the loudspeaker, from 0 to 100.
    pub volume: u8,
    /// How long the volume stays different from the configured one; absent if it is the configured one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_changed: Option<Lasting>,
    /// The microphone is off.
    pub muted: bool,
    /// How long the microphone stays off; absent if it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute_changed: Option<Lasting>,
    /// The prompt or sound that is being played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playing: Option<String>,
}

/// One output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OutputStatus {
    pub name: String,
    /// `relay` or `led`.
    pub kind: String,
    pub drive: Drive,
    /// Why its pin cannot be driven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// One watched door.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DoorStatus {
    pub name: String,
    pub state: DoorState,
    /// For how long, in seconds.
    pub for_s: u64,
    /// Who opened it; absent if it is closed, or if nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
}

/// A keypad or card reader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReaderStatus {
    pub name: String,
    /// Why it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Its codes are off for so many more seconds, after wrong ones; absent if they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_s: Option<u64>,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScheduleStatus {
    pub name: String,
    /// The next run in local time, without its jitter; absent while the clock is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// A run is due and waits for its jitter, or for the end of a call.
    pub waiting: bool,
    /// Why nobody has taken its last call; absent if somebody has, or if it does not call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// One mode of the house.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ModeStatus {
    pub name: String,
    pub on: bool,
    /// Its hours; absent if it is switched by hand alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// Who has switched it; absent if it is as its hours say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
}

/// One input pin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PinStatus {
    pub name: String,
    /// The button is pressed, or the sensor is open.
    pub active: bool,
    /// Why the pin cannot be read, or that the button is stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Changes of the level since the start.
    pub edges: u64,
    /// Pulses that did not last `debounce_ms`. If the kernel debounces, nobody sees them.
    pub bounces: u64,
    /// The kernel debounces.
    pub debounced_by_kernel: bool,
}
