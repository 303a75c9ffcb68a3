//! What is reported about the media of a call that is up.

use serde::{Deserialize, Serialize};

/// Which direction of a call is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingSound {
    /// Nothing comes from the far end: it may be muted.
    Downlink,
    /// The server does not hear us.
    Uplink,
    /// Both.
    Both,
}

impl std::fmt::Display for MissingSound {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Downlink => "nothing comes from the far end",
            Self::Uplink => "the server does not hear us",
            Self::Both => "in either direction",
        })
    }
}

/// The steps that repair a call without media, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepairStep {
    /// New ICE credentials by `update`.
    IceRestart,
    /// A new peer connection by `update`.
    NewPeerConnection,
    /// Hang up, and call once more.
    Redial,
}

impl std::fmt::Display for RepairStep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::IceRestart => "ICE restart",
            Self::NewPeerConnection => "new peer connection",
            Self::Redial => "redial",
        })
    }
}

/// The result of a repair step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepairOutcome {
    /// The step is in progress.
    Started,
    /// There is media again.
    Worked,
    /// It did not help.
    Failed,
}

impl std::fmt::Display for RepairOutcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Started => "started",
            Self::Worked => "worked",
            Self::Failed => "failed",
        })
    }
}
