//! Where a call or an action comes from.

use serde::{Deserialize, Serialize};

use super::by::By;
use super::memory::{TriggerKind, TriggerName};
use crate::config::{ButtonIndex, Config, DoorIndex, ScheduleIndex, SensorIndex};

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
    /// The table of the configuration, by its name.
    pub(in crate::core) fn named(self, config: &Config) -> Option<TriggerName> {
        let (kind, name) = match self {
            Self::Button(ButtonIndex(index)) => (TriggerKind::Button, &config.buttons.get(index)?.name),
            Self::Sensor(SensorIndex(index)) => (TriggerKind::Sensor, &config.sensors.get(index)?.name),
            Self::Door(DoorIndex(index)) => (TriggerKind::Door, &config.doors.get(index)?.name),
            Self::Schedule(ScheduleIndex(index)) => (TriggerKind::Schedule, &config.schedules.get(index)?.name),
            Self::Station | Self::FarEnd => return None,
        };
        Some(TriggerName { kind, name: name.clone() })
    }

    /// The source of this name. Where there is none, it counts as a command.
    pub(in crate::core) fn of(trigger: Option<&TriggerName>, config: &Config) -> Self {
        let Some(TriggerName { kind, name }) = trigger else { return Self::Station };
        let found = match kind {
            TriggerKind::Button => {
                config.buttons.iter().position(|one| one.name == *name).map(ButtonIndex).map(Self::Button)
            }
            TriggerKind::Sensor => {
                config.sensors.iter().position(|one| one.name == *name).map(SensorIndex).map(Self::Sensor)
            }
            TriggerKind::Door => config.doors.iter().position(|one| one.name == *name).map(DoorIndex).map(Self::Door),
            TriggerKind::Schedule => {
                config.schedules.iter().position(|one| one.name == *name).map(ScheduleIndex).map(Self::Schedule)
            }
        };
        found.unwrap_or(Self::Station)
    }

    /// Whether it is a happening at the place of the station, and not the wish of somebody who sees whether it comes true.
    pub(in crate::core) fn is_the_door(self) -> bool {
        matches!(self, Self::Button(_) | Self::Sensor(_) | Self::Door(_) | Self::Schedule(_))
    }
}
