//! How long a change of the volume or the microphone lasts.

use serde::{Deserialize, Serialize};

/// How long a change of the volume or the microphone lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lasting {
    /// Until the next change (`--keep`).
    UntilToldOtherwise,
    /// Until the calls that exist now are over.
    UntilTheEndOfTheCall,
    /// For 60 s, because there is no call.
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
