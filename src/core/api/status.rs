//! The typed snapshot behind `callbox status --json`.

use serde::{Deserialize, Serialize};

use super::call_state::{CallState, Direction};
use super::cause::Cause;
use super::lasting::Lasting;
use super::repair::{MissingSound, RepairStep};
use super::session_state::{SessionCounters, SessionState};
use crate::config::{Drive, Line};

/// Everything a person asks first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Status {
    /// The session with the server.
    pub session: SessionStatus,
    /// Lines in their order.
    pub lines: Vec<LineStatus>,
    /// The sound card.
    pub audio: AudioStatus,
    /// Relays and LEDs.
    pub outputs: Vec<OutputStatus>,
    /// Names of the buttons, and whether each is down.
    pub buttons: Vec<PinStatus>,
    /// Names of the sensors, and whether each is active.
    pub sensors: Vec<PinStatus>,
    /// Calls that came while no line was free.
    pub missed_calls: u64,
    /// Calls that were declined.
    #[serde(default)]
    pub refused_calls: u64,
    /// Why the last call ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<EndStatus>,
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EndStatus {
    /// Which call.
    pub call_id: String,
    /// Why.
    pub cause: Cause,
}

/// The session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SessionStatus {
    /// Where it stands.
    pub state: SessionState,
    /// The address of the server in use, by its place in `core.url`.
    pub server: usize,
    /// Two clients take the session from each other.
    pub ping_pong: bool,
    /// In words, where something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since the start of the process.
    pub counters: SessionCounters,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LineStatus {
    /// Its number.
    pub line: Line,
    /// Its state.
    pub state: CallState,
    /// Its call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallStatus>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CallStatus {
    /// The call.
    pub call_id: String,
    /// Who started it.
    pub direction: Direction,
    /// The far end's number.
    pub number: String,
    /// The far end's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Seconds since it began.
    pub age_s: u64,
    /// Seconds since it is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talk_s: Option<u64>,
    /// ICE and DTLS are up.
    pub media_connected: bool,
    /// The server's word that it hears us.
    #[serde(rename = "core_hears_us", default, skip_serializing_if = "Option::is_none")]
    pub server_hears_us: Option<bool>,
    /// The repair that is in work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairing: Option<RepairStep>,
    /// The direction that is silent though ICE is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<MissingSound>,
    /// We hold.
    pub held: bool,
    /// The far end holds.
    pub far_end_holds: bool,
    /// Whether digits can come as telephone events (RFC 4733); absent until that is negotiated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telephone_events: Option<bool>,
    /// Codes are configured, and no digit of this call can reach them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub codes_unreachable: bool,
    /// Candidates of the far end that cannot be used and were left out.
    #[serde(default)]
    pub unusable_candidates: u32,
}

/// The sound card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AudioStatus {
    /// Capture and playback run.
    pub ready: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What is wrong with the microphone of a card that works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microphone_fault: Option<String>,
    /// Loudspeaker, 0 to 100.
    pub volume: u8,
    /// How long the loudspeaker is not as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_changed: Option<Lasting>,
    /// The microphone is silent.
    pub muted: bool,
    /// How long the microphone is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute_changed: Option<Lasting>,
}

/// One output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OutputStatus {
    /// Its name.
    pub name: String,
    /// `relay` or `led`.
    pub kind: String,
    /// What it does.
    pub drive: Drive,
    /// Why its pin cannot be driven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// One input pin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PinStatus {
    /// Its name.
    pub name: String,
    /// Pressed, or open.
    pub active: bool,
    /// Why it cannot be read, or that it is stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Changes of its level since the start.
    pub edges: u64,
    /// Pulses that did not last `debounce_ms`; where the kernel debounces nobody sees them.
    pub bounces: u64,
    /// The kernel debounces.
    pub debounced_by_kernel: bool,
}
