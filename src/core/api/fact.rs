//! Facts: once per change of state, for the log, `callbox events` and the front panel.

use serde::{Deserialize, Serialize};

use super::by::{By, called};
use super::call_state::{CallState, Direction};
use super::cause::Cause;
use super::command::Gesture;
use super::input::MicrophoneFault;
use super::repair::{MissingSound, RepairOutcome, RepairStep};
use super::session_state::SessionState;
use crate::config::{Drive, Line};

impl Fact {
    /// The call that it is about.
    pub fn call_id(&self) -> Option<&str> {
        match self {
            Self::Call { call_id, .. }
            | Self::Media { call_id, .. }
            | Self::Silence { call_id, .. }
            | Self::Repair { call_id, .. }
            | Self::ServerHears { call_id, .. }
            | Self::NoTelephoneEvents { call_id }
            | Self::Dtmf { call_id, .. } => Some(call_id),
            _ => None,
        }
    }

    /// What a person is told in one line about the station has changed with it.
    pub fn changes_summary(&self) -> bool {
        matches!(self, Self::Session { .. } | Self::Call { .. } | Self::Audio { .. } | Self::Pin { .. })
    }

    /// A call is over with it.
    pub fn ends_call(&self) -> bool {
        matches!(self, Self::Call { cause: Some(_), .. })
    }
}

/// Something that happened at the station.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Fact {
    /// The session with the server changed.
    Session {
        /// Where it is now.
        state: SessionState,
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A button was pressed, or a command said so.
    Press {
        /// The button's name.
        button: String,
        /// How.
        gesture: Gesture,
        /// By whom.
        #[serde(default)]
        by: By,
    },
    /// A sensor changed.
    Sensor {
        /// The sensor's name.
        sensor: String,
        /// Its active state: opened.
        opened: bool,
    },
    /// A pin cannot be used, or a button is stuck; or it is well again.
    Pin {
        /// The name of the button, sensor or output.
        name: String,
        /// What is wrong; nothing any more where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    /// A press was not followed by a call.
    PressRefused {
        /// The button's name.
        button: String,
        /// Why.
        reason: String,
    },
    /// An edge of a sensor was not followed by the call that a rule asks for.
    SensorRefused {
        /// The sensor's name.
        sensor: String,
        /// Why.
        reason: String,
    },
    /// A call has no telephone events (RFC 4733), so no code can be typed in it.
    NoTelephoneEvents {
        /// The call.
        call_id: String,
    },
    /// A call changed its state.
    Call {
        /// The call.
        call_id: String,
        /// Its line.
        line: Line,
        /// Who started it.
        direction: Direction,
        /// The far end's number; empty where nobody said it.
        number: String,
        /// By whom.
        #[serde(default)]
        by: By,
        /// Calls of one wish to reach somebody have one number: a list that is called in turn, or at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        /// Where it is now.
        state: CallState,
        /// Why it ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    /// ICE and DTLS of a call are up, or lost.
    Media {
        /// The call.
        call_id: String,
        /// Up or lost.
        connected: bool,
    },
    /// A connected call is silent in a direction, or no longer.
    Silence {
        /// The call.
        call_id: String,
        /// Which direction; absent: sound flows again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missing: Option<MissingSound>,
    },
    /// A call without media is being repaired.
    Repair {
        /// The call.
        call_id: String,
        /// How.
        step: RepairStep,
        /// What came of it.
        outcome: RepairOutcome,
    },
    /// The server hears us, or no longer does.
    #[serde(rename = "core_hears")]
    ServerHears {
        /// The call.
        call_id: String,
        /// Whether it does.
        receiving: bool,
    },
    /// The far end's packets get lost.
    SlowLink {
        /// The line.
        line: Line,
        /// From us to the server.
        uplink: bool,
        /// How many packets.
        lost: i64,
    },
    /// Somebody called while no line was free.
    MissedCall {
        /// The caller.
        caller: String,
    },
    /// The far end's digits matched a rule, or no rule. The digits themselves are a secret.
    Dtmf {
        /// The call.
        call_id: String,
        /// The far end that typed them; empty where nobody said it.
        #[serde(default)]
        number: String,
        /// A rule matched.
        matched: bool,
        /// Codes are off now: for the rest of this call, for this far end, or for all of them.
        locked: bool,
        /// From now on for so long, in seconds, over calls and restarts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        locked_s: Option<u64>,
    },
    /// An output changed.
    Output {
        /// Its name.
        output: String,
        /// What it does now.
        drive: Drive,
        /// By whom.
        #[serde(default)]
        by: By,
    },
    /// An output did not go on: one that it excludes is on, or it has just been on for as long as it may.
    OutputRefused {
        /// Its name.
        output: String,
        /// Why.
        reason: String,
        /// Who wanted it.
        by: By,
    },
    /// The microphone was silenced, or no longer is.
    Mute {
        /// Silent.
        muted: bool,
        /// By whom.
        by: By,
    },
    /// The loudspeaker was set.
    Volume {
        /// 0 to 100.
        volume: u8,
        /// By whom.
        by: By,
    },
    /// Somebody asked for something that is no press, opening or call of their own.
    Command {
        /// What.
        command: String,
        /// By whom.
        by: By,
    },
    /// Somebody who called was turned away.
    CallRefused {
        /// The caller's number; empty where nobody said it.
        number: String,
        /// Why.
        reason: String,
    },
    /// The sound card came or went.
    Audio {
        /// It works.
        ready: bool,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The microphone does not give what it hears, or does again.
    Microphone {
        /// What it gives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<MicrophoneFault>,
    },
    /// Something in the protocol that a developer should see.
    Protocol {
        /// What.
        problem: String,
    },
}

/// What happened, in one line.
impl std::fmt::Display for Fact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let because = |reason: &Option<String>| reason.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
        let words = match self {
            Self::Session { state, reason } => format!("session {state}{}", because(reason)),
            Self::Press { button, gesture, by } => {
                format!("button {button}: {}, {by}", format!("{gesture:?}").to_lowercase())
            }
            Self::Pin { name, fault: Some(fault) } => format!("pin of {name}: {fault}"),
            Self::Pin { name, fault: None } => format!("pin of {name} works"),
            Self::Sensor { sensor, opened } => format!("sensor {sensor} {}", if *opened { "opened" } else { "closed" }),
            Self::PressRefused { button, reason } => format!("button {button}: no call: {reason}"),
            Self::SensorRefused { sensor, reason } => format!("sensor {sensor}: no call: {reason}"),
            Self::NoTelephoneEvents { call_id } => {
                format!("call {call_id}: the far end has no telephone events, so no code can be typed in it")
            }
            Self::Call { line, direction, number, state, cause, by, .. } => {
                let begins = *state == CallState::Dialing;
                let way = if *direction == Direction::Outgoing { "to" } else { "from" };
                let end = cause.as_ref().map(|cause| {
                    let why = cause.unanswered.map(|why| format!("{why}, ")).unwrap_or_default();
                    format!(": {why}{cause}")
                });
                let (number, end) = (called(number), end.unwrap_or_default());
                let state = if cause.is_some() { "call ended".to_owned() } else { state.to_string() };
                // Said once, when it begins; the caller of an incoming one is its number.
                let by = if begins { format!(", {by}") } else { String::new() };
                format!("line {line}: {state} {way} {number}{end}{by}")
            }
            Self::Media { connected: true, .. } => "media connected".into(),
            Self::Media { connected: false, .. } => "media lost".into(),
            Self::Silence { call_id, missing: Some(missing) } => format!("call {call_id}: no sound, {missing}"),
            Self::Silence { call_id, missing: None } => format!("call {call_id}: sound again"),
            Self::Repair { call_id, step, outcome } => {
                format!("call {call_id}: repair of its media, {step}: {outcome}")
            }
            Self::ServerHears { receiving: true, .. } => "the server hears us".into(),
            Self::ServerHears { receiving: false, .. } => "the server does not hear us".into(),
            Self::SlowLink { line, lost, .. } => format!("line {line}: {lost} packets lost"),
            Self::MissedCall { caller } => format!("missed call from {}", called(caller)),
            Self::Dtmf { matched: true, number, .. } => format!("code of {} accepted", called(number)),
            Self::Dtmf { locked_s: Some(seconds), number, .. } => {
                format!("wrong code of {}: codes are off for {seconds} s", called(number))
            }
            Self::Dtmf { locked: true, number, .. } => format!("wrong code of {}: codes are off", called(number)),
            Self::Dtmf { number, .. } => format!("wrong code of {}", called(number)),
            Self::Output { output, drive, by } => {
                format!("output {output} {}, {by}", format!("{drive:?}").to_lowercase())
            }
            Self::OutputRefused { reason, by, .. } => format!("output: {reason}; asked {by}"),
            Self::Mute { muted: true, by } => format!("microphone off, {by}"),
            Self::Mute { muted: false, by } => format!("microphone on, {by}"),
            Self::Volume { volume, by } => format!("volume {volume}, {by}"),
            Self::Command { command, by } => format!("{command}, {by}"),
            Self::CallRefused { number, reason } => format!("call from {} refused: {reason}", called(number)),
            Self::Audio { ready: true, .. } => "sound card ready".into(),
            Self::Audio { reason, .. } => format!("sound card fault{}", because(reason)),
            Self::Microphone { fault: Some(fault) } => fault.to_string(),
            Self::Microphone { fault: None } => "the microphone works".into(),
            Self::Protocol { problem } => format!("protocol: {problem}"),
        };
        formatter.write_str(&words)
    }
}
