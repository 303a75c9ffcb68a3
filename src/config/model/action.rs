//! Actions and the rules that lead to them.

use serde::{Deserialize, Serialize};

use std::time::Duration;

use super::hours::Hours;
use super::index::OutputIndex;
use super::output::OutputChange;
use super::sound::Sound;

/// What a press, an edge or a code leads to: rules of which the first that matches runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trigger {
    /// In the order of the configuration.
    pub rules: Vec<Rule>,
}

/// Steps that run at certain hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// When; always where absent.
    pub hours: Option<Hours>,
    /// What, in order.
    pub steps: Vec<Step>,
}

/// One action with its delay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `after_ms`: so much later, whatever happens meanwhile.
    pub after: Duration,
    /// `for_ms` of a sensor: so much later, if it is still so.
    pub lasting: Duration,
    /// `cooldown_s` of a sensor: not again for so long.
    pub cooldown: Duration,
    /// What to do.
    pub action: Action,
}

/// Something the station does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Call one number or several.
    Call(CallAction),
    /// Answer what rings; the steps behind it do not run then.
    Answer,
    /// Hang up.
    Hangup(HangupTarget),
    /// Drive an output.
    Output {
        /// Which.
        output: OutputIndex,
        /// How.
        change: OutputChange,
    },
    /// Play a sound.
    Play(Sound),
    /// Set the loudspeaker, 0 to 100.
    Volume(u8),
    /// Silence the microphone, or no longer.
    Mute(bool),
}

/// Whom to call, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallAction {
    /// At least one.
    pub numbers: Vec<String>,
    /// `line`
    pub line: LineChoice,
    /// `ring_s`: how long each number rings; `calls.ring_timeout_s` where absent.
    pub ring: Option<Duration>,
    /// `order`
    pub order: Order,
}

/// Which line a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineChoice {
    /// Any idle one.
    Any,
    /// This one.
    Number(u32),
}

/// How a list of numbers is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// One after the other.
    Serial,
    /// As many at a time as there are lines; the first that answers wins.
    Parallel,
}

/// What to hang up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HangupTarget {
    /// Every call.
    All,
    /// The call on this line.
    Line(u32),
}
