//! The state of a watched door.

use serde::{Deserialize, Serialize};

/// The state of a `[[door]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DoorState {
    #[default]
    Closed,
    /// It has just opened, and it is not known yet whether rightfully. This lasts half a second at most.
    Opening,
    Open,
    /// It was opened without a right.
    Forced,
    /// It is open for longer than `held_s`.
    Held,
}

impl std::fmt::Display for DoorState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Closed => "closed",
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Forced => "forced open",
            Self::Held => "held open",
        })
    }
}
