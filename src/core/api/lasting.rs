//! How long a change by a person lasts.

use serde::{Deserialize, Serialize};

/// How long a change lasts, for people and programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lasting {
    /// `--keep`.
    UntilToldOtherwise,
    /// As long as the calls that are up.
    UntilTheEndOfTheCall,
    /// There is no call.
    ForAMinute,
}

impl std::fmt::Display for Lasting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::UntilToldOtherwise => "until told otherwise",
            Self::UntilTheEndOfTheCall => "until the end of the call",
            Self::ForAMinute => "for 60 s, since there is no call; --keep keeps it",
        })
    }
}
