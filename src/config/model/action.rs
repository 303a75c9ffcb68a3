//! Actions, and the rules that run them.

use serde::{Deserialize, Serialize};

use std::time::Duration;

use super::index::{Line, ModeIndex, OutputIndex};
use super::mode::{Conditions, ModeChange};
use super::output::OutputChange;
use super::sound::Sound;
use crate::secret::PhoneNumber;

/// What a press, an edge or a code leads to: rules, of which the first that matches runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trigger {
    /// The rules, in the order of the configuration.
    pub rules: Vec<Rule>,
}

/// Steps that run under conditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub conditions: Conditions,
    /// The steps, in the order in which they run.
    pub steps: Vec<Step>,
}

/// One action with its timing (docs/configuration.md, "Actions").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `after_ms`: the delay before the action, which then happens in any case.
    pub after: Duration,
    /// `for_ms` of a sensor: the action happens only if the state has lasted for this time.
    pub lasting: Duration,
    /// `cooldown_s` of a sensor: the time after an action in which it does not happen again.
    pub cooldown: Duration,
    pub action: Action,
}

/// Something that the station does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    Call(CallAction),
    /// Answer a call that rings; if there is one, the steps after this one do not run.
    Answer,
    Hangup(HangupTarget),
    Output {
        output: OutputIndex,
        change: OutputChange,
    },
    Play(Sound),
    /// Set the volume of the loudspeaker, 0 to 100.
    Volume(u8),
    /// Mute the microphone (`true`) or unmute it (`false`).
    Mute(bool),
    Mode {
        mode: ModeIndex,
        change: ModeChange,
    },
}

/// Whom to call, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallAction {
    /// At least one number.
    pub numbers: Vec<PhoneNumber>,
    pub line: LineChoice,
    /// `ring_s`: how long each number rings. `None`: `calls.ring_timeout_s`.
    pub ring: Option<Duration>,
    pub order: Order,
}

/// The line that a call uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineChoice {
    /// Any idle line.
    Any,
    Number(Line),
}

/// The way in which a list of numbers is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// The numbers are called one after the other.
    Serial,
    /// As many numbers are called at a time as there are lines. The first that answers gets the call.
    Parallel,
}

/// The calls to hang up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HangupTarget {
    All,
    /// The call on this line.
    Line(Line),
}
