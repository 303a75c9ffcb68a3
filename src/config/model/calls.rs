//! `[calls]` and `[[answer]]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hours::Hours;
use super::number::NumberPattern;

impl AnswerRule {
    /// Whether it is for this caller, at any hour.
    pub fn is_for(&self, number: &str) -> bool {
        self.from.is_empty() || self.from.iter().any(|pattern| pattern.matches(number))
    }
}

/// `[[answer]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerRule {
    /// Callers; any where empty.
    pub from: Vec<NumberPattern>,
    /// What to do.
    pub action: AnswerAction,
    /// Wait before answering.
    pub after: Duration,
    /// Which way sound flows.
    pub mode: CallMode,
    /// When; always where absent.
    pub hours: Option<Hours>,
}

/// `answer.action`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerAction {
    /// By itself.
    Answer,
    /// Ring until somebody answers here.
    Ring,
    /// Never.
    Decline,
}

/// `answer.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallMode {
    /// Both ways.
    #[default]
    Talk,
    /// No loudspeaker.
    Listen,
    /// No microphone.
    Announce,
}

/// `[calls]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallsConfig {
    /// A call that nobody answers ends.
    pub ring_timeout: Duration,
    /// A call ends.
    pub max_talk: Duration,
    /// A second call while one is up.
    pub second_call: SecondCall,
    /// A press made offline is dialled for so long.
    pub press_max_age: Duration,
}

/// `calls.second_call`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecondCall {
    /// Busy.
    Reject,
    /// The first one waits.
    Hold,
    /// All hear each other.
    Mix,
    /// The first one ends.
    Replace,
}
