//! Facts: what the station reports to people and programs, in the log, in `callbox events` and at the front panel.

use serde::{Deserialize, Serialize};

use super::alarm::AlarmState;
use super::by::By;
use super::call_state::{CallState, Direction};
use super::cause::Cause;
use super::command::Gesture;
use super::door_state::DoorState;
use super::ice_servers::IceServerCounts;
use super::interface::Interface;
use super::microphone_fault::MicrophoneFault;
use super::repair::{MissingSound, RepairOutcome, RepairStep};
use super::session_state::SessionState;
use crate::config::{CallMode, Drive, Line, PlayTo};
use crate::secret::{PersonName, PhoneNumber};

impl Fact {
    /// The id of the call that this fact is about.
    pub fn call_id(&self) -> Option<&str> {
        match self {
            Self::Call { call_id, .. }
            | Self::Media { call_id, .. }
            | Self::Silence { call_id, .. }
            | Self::Repair { call_id, .. }
            | Self::ServerHears { call_id, .. }
            | Self::NoTelephoneEvents { call_id }
            | Self::Talk { call_id, .. }
            | Self::Dtmf { call_id, .. } => Some(call_id),
            _ => None,
        }
    }

    /// Whether this fact may change the summary of the station in one line.
    pub fn changes_summary(&self) -> bool {
        matches!(
            self,
            Self::Session { .. } | Self::Call { .. } | Self::Alarm { .. } | Self::Audio { .. } | Self::Pin { .. }
        )
    }

    /// Whether this fact is the end of a call.
    pub fn ends_call(&self) -> bool {
        matches!(self, Self::Call { cause: Some(_), .. })
    }
}

/// Something that happened at the station, for people and programs. Each change of state is reported once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Fact {
    /// The session with the server changed.
    Session {
        state: SessionState,
        /// Why, as a message for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A button was pressed, by a finger or by a command.
    Press {
        /// The button's name.
        button: String,
        gesture: Gesture,
        #[serde(default)]
        by: By,
    },
    /// A sensor changed.
    Sensor {
        /// The sensor's name.
        sensor: String,
        /// The sensor is in its active state.
        opened: bool,
    },
    /// A watched door has come to another state.
    Door {
        /// The door's name.
        door: String,
        state: DoorState,
        /// Who opened it; absent if it is closed, or if nobody knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// A pin cannot be used or a button is stuck, or this is over.
    Pin {
        /// The name of the button, sensor or output.
        name: String,
        /// What is wrong; absent if the pin works again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    /// A press did not become a call.
    PressRefused {
        /// The button's name.
        button: String,
        reason: String,
    },
    /// A change of a sensor did not become the call that its rule asks for.
    SensorRefused {
        /// The sensor's name.
        sensor: String,
        reason: String,
    },
    /// A rule of a door did not become the call that it asks for.
    DoorRefused {
        /// The door's name.
        door: String,
        reason: String,
    },
    /// A schedule did not become the call that it asks for.
    ScheduleRefused {
        /// The schedule's name.
        schedule: String,
        reason: String,
    },
    /// Nobody has taken the call of a schedule, or somebody has taken the next one.
    ScheduleFault {
        /// The schedule's name.
        schedule: String,
        /// What is wrong; absent if the fault is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    /// A schedule has begun to run.
    Schedule {
        /// The schedule's name.
        schedule: String,
    },
    /// A call has no telephone events (RFC 4733), so no code can be typed in it.
    NoTelephoneEvents { call_id: String },
    /// A call changed its state.
    Call {
        call_id: String,
        line: Line,
        direction: Direction,
        /// The far end's number; empty if it is unknown.
        number: PhoneNumber,
        /// Who started the call.
        #[serde(default)]
        by: By,
        /// The hunt of the call. One press or command may call several numbers, in turn or at once; these calls have
        /// the same value here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        state: CallState,
        /// Why the call ended; absent while it has not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    /// ICE and DTLS of a call are up, or lost.
    Media { call_id: String, connected: bool },
    /// A connected call has no sound in one or both directions, or has sound again.
    Silence {
        call_id: String,
        /// The silent direction; absent if there is sound again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missing: Option<MissingSound>,
    },
    /// A call without media is being repaired.
    Repair { call_id: String, step: RepairStep, outcome: RepairOutcome },
    /// The server hears us, or no longer does.
    #[serde(rename = "core_hears")]
    ServerHears {
        call_id: String,
        /// The server gets our packets.
        receiving: bool,
    },
    /// Packets of a call get lost between the station and the server.
    SlowLink {
        line: Line,
        /// The lost packets are those from us to the server.
        uplink: bool,
        /// The number of lost packets.
        lost: i64,
    },
    /// Somebody called while no line was free.
    MissedCall {
        /// The caller's number.
        caller: PhoneNumber,
    },
    /// The far end's digits matched a rule, or no rule. The digits themselves are a secret.
    Dtmf {
        call_id: String,
        /// The number of the far end that typed them; empty if it is unknown.
        #[serde(default)]
        number: PhoneNumber,
        matched: bool,
        /// Codes are off now: for the rest of this call, for this far end, or for all far ends.
        locked: bool,
        /// For how many seconds codes are off from now on, over calls and restarts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        locked_s: Option<u64>,
    },
    /// A code was typed at a reader, or a card shown. The code itself is a secret.
    Code {
        /// The reader's name.
        reader: String,
        /// Whose code it is; absent for a wrong one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<PersonName>,
        /// Its rule runs. A code may be right and not accepted: not at this time, or not any more.
        accepted: bool,
        /// Codes of this reader are off now.
        locked: bool,
        /// For how many seconds codes are off from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        locked_s: Option<u64>,
    },
    /// A reader cannot be used, or works again.
    Reader {
        /// The reader's name.
        reader: String,
        /// What is wrong; absent if it works again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    /// Somebody typed a number at a keypad, which did not become a call.
    ReaderRefused {
        /// The reader's name.
        reader: String,
        reason: String,
    },
    /// An output changed.
    Output {
        /// The output's name.
        output: String,
        drive: Drive,
        #[serde(default)]
        by: By,
    },
    /// An output did not go on: another output that excludes it is on, or it has just been on for its `max_on_ms`.
    OutputRefused {
        /// The output's name.
        output: String,
        reason: String,
        /// Who wanted it to go on.
        by: By,
    },
    /// An alarm, a call that does not give up, has come to another state.
    Alarm {
        state: AlarmState,
        /// Who raised it; who ended it, if it has ended.
        by: By,
    },
    /// An announcement begins.
    Play {
        /// The name of the prompt or sound.
        sound: String,
        to: PlayTo,
        by: By,
    },
    /// A rule of the installer's own reports something.
    Custom { text: String, by: By },
    /// In which directions sound flows in a call was changed.
    Talk { call_id: String, mode: CallMode, by: By },
    /// The microphone was switched off or on.
    Mute { muted: bool, by: By },
    /// A mode of the house is on, or off.
    Mode {
        /// The mode's name.
        mode: String,
        on: bool,
        by: By,
    },
    /// The volume of the loudspeaker was set.
    Volume {
        /// From 0 to 100.
        volume: u8,
        by: By,
    },
    /// Somebody gave a command that has no fact of its own, such as `hangup` or `hold`.
    Command { command: String, by: By },
    /// A caller was turned away.
    CallRefused {
        /// The caller's number; empty if it is unknown.
        number: PhoneNumber,
        reason: String,
    },
    /// The sound card works, or no longer does.
    Audio {
        /// The sound card works.
        ready: bool,
        /// Why it does not work.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The microphone does not deliver what it hears, or does so again.
    Microphone {
        /// What is wrong; absent if the microphone works again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<MicrophoneFault>,
    },
    /// The telephony server has handed out other STUN and TURN servers, or could not be asked for them.
    IceServers {
        #[serde(flatten)]
        counts: IceServerCounts,
        /// Why it could not be asked; absent if it could.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    /// Our clock and the server's differ, or do so no longer. While they do, rules with hours do not match.
    Clock {
        /// What is wrong; absent if both agree again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    /// An interface to the systems of the house cannot be used, or works again.
    Interface {
        interface: Interface,
        /// What is wrong; absent if it works again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
    },
    /// Something in the protocol that a developer should see.
    Protocol { problem: String },
}
