//! Where a call or an action comes from.

use serde::{Deserialize, Serialize};

use super::by::By;
use crate::config::{ButtonIndex, DoorIndex, ScheduleIndex, SensorIndex};

/// Where a call or an action comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) struct Origin {
    /// The station decides by this.
    pub(in crate::core) source: Source,
    /// Facts and logs report this.
    pub(in crate::core) by: By,
}

/// What started a call or an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) enum Source {
    /// The n-th `[[button]]`.
    Button(ButtonIndex),
    /// The n-th `[[sensor]]`.
    Sensor(SensorIndex),
    /// The n-th `[[door]]`.
    Door(DoorIndex),
    /// The n-th `[[schedule]]`.
    Schedule(ScheduleIndex),
    /// A code or a command.
    Station,
    /// The far end.
    FarEnd,
}

impl Source {
    /// Whether it is a happening at the place of the station, and not the wish of somebody who sees whether it comes true.
    pub(in crate::core) fn is_the_door(self) -> bool {
        matches!(self, Self::Button(_) | Self::Sensor(_) | Self::Door(_) | Self::Schedule(_))
    }
}
