//! What outlives the process: the calls that are up, pending hangups, and wrong codes.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call_state::Direction;
use crate::config::{CallMode, Line};
use crate::core::time::Time;
use crate::signaling::CallId;

/// See [`super::Effect::Remember`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Calls that are up.
    pub calls: Vec<RememberedCall>,
    /// Hangups and declines without an `ack`.
    #[serde(alias = "farewells")]
    pub pending_hangups: Vec<PendingHangup>,
    /// Who has typed wrong codes. This outlives a power cut, too.
    #[serde(default)]
    pub wrong_codes: Vec<WrongCodes>,
}

/// A call that was up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RememberedCall {
    /// The call.
    pub call_id: CallId,
    /// Who started it.
    pub direction: Direction,
    /// The far end's number.
    pub number: String,
    /// Which directions carry sound.
    pub mode: CallMode,
    /// The button that started it.
    pub button: Option<String>,
    /// When it came up, on a clock that outlives the process.
    pub established_at: Time,
    /// When its talk time ends, on the same clock.
    pub talk_ends_at: Time,
    /// We hold.
    pub held: bool,
    /// By `second_call`, so that it is taken up again by itself.
    pub held_for_other: bool,
    /// How long it was to ring, where the station called.
    pub ring: Option<Duration>,
    /// Wrong door codes so far.
    pub wrong_codes: u32,
    /// It is the redial of media proof: there is no other.
    pub redial: bool,
}

/// A hangup or decline that the server has not acknowledged: sent again first after a reconnect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingHangup {
    /// The call's line.
    pub line: Line,
    /// The call.
    pub call_id: CallId,
    /// It never rang through to us: `decline` in place of `hangup`.
    pub decline: bool,
}

/// What is known of one far end, or of all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WrongCodes {
    /// The far end's number; `None` for all together.
    pub number: Option<String>,
    /// When the wrong codes came that count.
    pub at: VecDeque<Time>,
    /// How often it was locked out.
    pub locks: u32,
    /// Codes are off until then.
    pub locked_until: Option<Time>,
    /// The newest wrong code.
    pub newest: Time,
    /// How much of the room for slow errors is taken, as the time until all of it is given back.
    #[serde(default)]
    pub debt: Duration,
}
