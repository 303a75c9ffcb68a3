//! `[calls]` and `[[answer]]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mode::Conditions;
use super::number::NumberPattern;

impl AnswerRule {
    /// Whether the rule is for this caller, under whatever conditions.
    pub fn is_for(&self, number: &str) -> bool {
        self.from.is_empty() || self.from.iter().any(|pattern| pattern.matches(number))
    }
}

/// A rule for incoming calls (docs/configuration.md, "`[[answer]]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerRule {
    /// Callers; empty for any caller.
    pub from: Vec<NumberPattern>,
    pub action: AnswerAction,
    /// The delay before the station answers by itself.
    pub after: Duration,
    /// In which directions sound flows.
    pub mode: CallMode,
    pub conditions: Conditions,
}

/// What to do with an incoming call (`answer.action`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerAction {
    /// The station answers by itself.
    Answer,
    /// The station rings until somebody answers at it.
    Ring,
    Decline,
}

/// In which directions sound flows in a call (`answer.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallMode {
    /// Sound in both directions.
    #[default]
    Talk,
    /// The far end is not heard.
    Listen,
    /// The microphone is closed.
    Announce,
}

/// The table `[calls]` (docs/configuration.md, "`[calls]`").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallsConfig {
    /// A call that nobody has answered ends after this time.
    pub ring_timeout: Duration,
    /// A call ends after this time of talk.
    pub max_talk: Duration,
    pub second_call: SecondCall,
    /// A press made while there is no session is kept for this time.
    pub press_max_age: Duration,
}

/// What happens to a second call while one is up (`calls.second_call`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecondCall {
    /// The second call is rejected as busy.
    Reject,
    /// The first call is held.
    Hold,
    /// Everybody hears everybody else.
    Mix,
    /// The first call ends.
    Replace,
}
