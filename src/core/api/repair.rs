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
            Self::Both => "in neither direction",
        })
    }
}

/// A step of the repair of a call without media, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepairStep {
    /// New ICE credentials by `update`.
    IceRestart,
    /// A new peer connection by `update`.
    NewPeerConnection,
    /// Hang up and call once more.
    Redial,
}

impl std::fmt::Display for RepairStep {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::IceRestart => "ICE restart",
            Self::NewPeerConnection => "new peer connection",
            Self::Redial => "another call",
        })
    }
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepairOutcome {
    /// It is in work.
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
