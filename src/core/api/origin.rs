//! Why there is a call, or an action.

use serde::{Deserialize, Serialize};

use super::by::By;
use crate::config::{ButtonIndex, SensorIndex};

/// Why there is this call, or this action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) struct Origin {
    /// What the station goes by.
    pub(in crate::core) source: Source,
    /// What people are told.
    pub(in crate::core) by: By,
}

/// Where something begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) enum Source {
    /// The n-th `[[button]]`.
    Button(ButtonIndex),
    /// The n-th `[[sensor]]`.
    Sensor(SensorIndex),
    /// A code or a command.
    Station,
    /// The far end.
    FarEnd,
}
