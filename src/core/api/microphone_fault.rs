//! What may be wrong with a microphone.

use serde::{Deserialize, Serialize};

/// What is wrong with a microphone that works, but does not deliver what it hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MicrophoneFault {
    /// The same sample for 5 s.
    Silent,
    /// Full scale for 5 s.
    Overdriven,
    /// The card delivers frames faster or slower than at the rate that it reports.
    WrongRate,
}

impl std::fmt::Display for MicrophoneFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Silent => "the microphone delivers nothing at all; it may be unplugged, or off in the card's mixer",
            Self::Overdriven => "the microphone is overdriven; lower audio.capture_gain_db",
            Self::WrongRate => "the card runs at another rate than it reports; try plughw: in place of hw:",
        })
    }
}
