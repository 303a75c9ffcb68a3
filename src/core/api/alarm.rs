//! Alarms: calls that do not give up.

use serde::{Deserialize, Serialize};

/// How an alarm stands. The phases are those of EN 81-28:2018: initiation, acknowledgement, end of the alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// The station tries to reach somebody.
    Raised,
    /// Somebody has taken it, and confirmed where that is asked for.
    Answered,
    /// It is over.
    Ended,
}

impl std::fmt::Display for AlarmState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Raised => "raised",
            Self::Answered => "answered",
            Self::Ended => "ended",
        })
    }
}
