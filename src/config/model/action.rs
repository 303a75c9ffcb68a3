//! Actions, and the rules that run them.

use serde::{Deserialize, Serialize};

use std::time::Duration;

use super::calls::CallMode;
use super::index::{Line, ModeIndex, OutputIndex};
use super::mode::{Conditions, ModeChange};
use super::output::OutputChange;
use super::prompt::{PlayAction, Playable};
use crate::secret::{DtmfDigit, PhoneNumber};

/// What a press, an edge or a code leads to: rules, of which the first that matches runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trigger {
    /// The rules, in the order of the configuration.
    pub rules: Vec<Rule>,
}

impl Trigger {
    /// One action, under no condition.
    pub fn of(action: Action) -> Self {
        let step = Step { after: Duration::ZERO, lasting: Duration::ZERO, cooldown: Duration::ZERO, action };
        Self { rules: vec![Rule { conditions: Conditions::default(), steps: vec![step] }] }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The calls in it, under any condition, without those of their outcomes.
    pub fn calls_in_it(&self) -> impl Iterator<Item = &CallAction> {
        self.actions().filter_map(|action| match action {
            Action::Call(call) => Some(call),
            _ => None,
        })
    }

    /// Whether it ends alarms under any condition, itself or by the outcome of a call.
    pub fn ends_alarms(&self) -> bool {
        let by_outcome = |call: &CallAction| call.outcomes.all().iter().any(|(_, outcome)| outcome.ends_alarms());
        self.actions().any(|action| matches!(action, Action::EndAlarm)) || self.calls_in_it().any(by_outcome)
    }

    fn actions(&self) -> impl Iterator<Item = &Action> {
        self.rules.iter().flat_map(|rule| &rule.steps).map(|step| &step.action)
    }

    /// Whether it calls this number under any condition, itself or by an outcome.
    pub fn calls(&self, number: &str) -> bool {
        self.actions().any(|action| match action {
            Action::Call(call) => {
                call.numbers.iter().any(|called| called == number)
                    || call.outcomes.all().iter().any(|(_, outcome)| outcome.calls(number))
            }
            _ => false,
        })
    }

    /// Whether a person at the door hears of it: it plays a sound, or calls.
    pub fn is_heard(&self) -> bool {
        self.actions().any(|action| matches!(action, Action::Play(_) | Action::Call(_)))
    }
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
    /// `for_ms` of a sensor: the action happens only if the state has lasted for this time, and the rule still holds then.
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
    Play(PlayAction),
    /// Set the volume of the loudspeaker, 0 to 100.
    Volume(u8),
    /// Mute the microphone (`true`) or unmute it (`false`).
    Mute(bool),
    Mode {
        mode: ModeIndex,
        change: ModeChange,
    },
    /// Change in which directions sound flows in the calls that are up.
    Talk(CallMode),
    /// Report a text of the installer's own.
    Hook(String),
    /// End all alarms.
    EndAlarm,
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
    #[serde(default)]
    pub assurance: Assurance,
    #[serde(default)]
    pub outcomes: Outcomes,
}

/// How a call makes sure that a person takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Assurance {
    /// It does not give up, and has precedence (docs/configuration.md, "Alarms").
    pub alarm: bool,
    /// Whoever takes it must type this.
    pub confirm: Option<Confirm>,
    /// A prompt for the far end, repeated until it has confirmed.
    pub say: Option<Playable>,
}

/// A digit that a mailbox does not type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    pub digit: DtmfDigit,
    /// For so long the station waits for it. Then it hangs up and calls the next number.
    pub within: Duration,
}

impl CallAction {
    /// A call to one number that has no outcomes.
    pub fn to(number: PhoneNumber, line: LineChoice, ring: Option<Duration>) -> Self {
        Self {
            numbers: vec![number],
            line,
            ring,
            order: Order::Serial,
            assurance: Assurance::default(),
            outcomes: Outcomes::default(),
        }
    }
}

/// What happens when a call has ended, or has come to nothing. A call in it has no outcomes itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcomes {
    /// Somebody took it.
    pub answered: Trigger,
    /// It rang somewhere, and nobody took it.
    pub no_answer: Trigger,
    /// It rang nowhere.
    pub failed: Trigger,
    /// The call that somebody took is over.
    pub ended: Trigger,
}

impl Outcomes {
    pub fn all(&self) -> [(&'static str, &Trigger); 4] {
        let Self { answered, no_answer, failed, ended } = self;
        [("answered", answered), ("no_answer", no_answer), ("failed", failed), ("ended", ended)]
    }
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
