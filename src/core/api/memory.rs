//! What the next process must know: the calls that are up, pending hangups, the counts of wrong codes, and modes.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::by::By;
use super::call_state::Direction;
use crate::config::{CallMode, Confirm, Line, LineChoice, Order};
use crate::core::time::Time;
use crate::secret::PhoneNumber;
use crate::signaling::CallId;

/// What outlives the process. [`super::Effect::Remember`] stores it; [`crate::core::Station::recall`] takes it over.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Calls that are up.
    pub calls: Vec<RememberedCall>,
    /// Hangups and declines without an `ack`.
    #[serde(alias = "farewells")]
    pub pending_hangups: Vec<PendingHangup>,
    /// The counts of wrong codes. They survive a power cut as well.
    #[serde(default)]
    pub wrong_codes: Vec<WrongCodes>,
    /// Modes that were switched by hand. They survive a power cut as well.
    #[serde(default)]
    pub modes: Vec<RememberedMode>,
    /// What schedules have done. It survives a power cut as well.
    #[serde(default)]
    pub schedules: Vec<RememberedSchedule>,
    /// Alarms that are not over. They survive a power cut as well.
    #[serde(default)]
    pub alarms: Vec<RememberedAlarm>,
}

/// An alarm that is not over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RememberedAlarm {
    /// What has raised it; `None` for a command or a code.
    pub trigger: Option<TriggerName>,
    pub by: By,
    /// Whom it calls.
    pub numbers: Vec<PhoneNumber>,
    pub line: LineChoice,
    pub ring: Option<Duration>,
    pub order: Order,
    pub confirm: Option<Confirm>,
    /// The name of the prompt for the far end.
    pub say: Option<String>,
    /// Somebody has taken it, and no call of it is up.
    pub is_answered: bool,
}

/// A table of the configuration that can trigger something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerName {
    pub kind: TriggerKind,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerKind {
    Button,
    Sensor,
    Door,
    Schedule,
    Reader,
}

/// What a schedule has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RememberedSchedule {
    pub name: String,
    /// Everything that was due until this local time.
    pub done_until: DateTime,
    /// Why nobody has taken its last call.
    #[serde(default)]
    pub fault: Option<String>,
    /// It has run, and nobody has taken its call yet.
    #[serde(default)]
    pub is_calling: bool,
}

/// A mode that was switched by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RememberedMode {
    pub name: String,
    pub is_on: bool,
    pub by: By,
}

/// A call that was up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RememberedCall {
    pub call_id: CallId,
    pub direction: Direction,
    /// The far end's number.
    pub number: PhoneNumber,
    pub mode: CallMode,
    /// The name of the button that started the call.
    pub button: Option<String>,
    /// When the call came up, on a clock that outlives the process.
    pub established_at: Time,
    /// When the talk time ends, on the same clock.
    pub talk_ends_at: Time,
    /// The station holds the call.
    pub held: bool,
    /// `calls.second_call` holds the call, so it continues by itself when the other call ends.
    pub held_for_other: bool,
    /// For how long the far end may ring, if the station called.
    pub ring: Option<Duration>,
    /// The wrong door codes typed so far.
    pub wrong_codes: u32,
    /// The call is the redial after a call without media. It is not redialled again.
    pub redial: bool,
    /// The call is one of an alarm.
    #[serde(default)]
    pub alarm: bool,
    /// What the far end still has to confirm.
    #[serde(default)]
    pub confirm: Option<Confirm>,
}

/// A pending hangup: a `hangup` or `decline` that the server has not acknowledged yet.
///
/// It outlives the loss of the session and the end of the process. After a reconnect it is sent again before everything
/// else (docs/protocol.md, "Recovery after a reconnect").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingHangup {
    pub line: Line,
    pub call_id: CallId,
    /// The request is `decline`, because nobody had answered the call here; else it is `hangup`.
    pub decline: bool,
}

/// The wrong codes of one far end or reader, or of all together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WrongCodes {
    /// The far end's number.
    pub number: Option<PhoneNumber>,
    /// The reader's name. Without this and without a number, these are the wrong codes of all together.
    #[serde(default)]
    pub reader: Option<String>,
    /// The times of the wrong codes that count for the next lock.
    pub at: VecDeque<Time>,
    /// The number of locks so far.
    pub locks: u32,
    /// Codes are not accepted until this time.
    pub locked_until: Option<Time>,
    /// The time of the newest wrong code.
    pub newest: Time,
    /// How much of the room for slow guesses is used, as the time until all of it is free again.
    #[serde(default)]
    pub debt: Duration,
}
