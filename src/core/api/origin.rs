//! Where a call or an action comes from.

use serde::{Deserialize, Serialize};

use super::by::By;
use super::memory::{TriggerKind, TriggerName};
use crate::config::{ButtonIndex, Config, DoorIndex, ReaderIndex, ScheduleIndex, SensorIndex, TriggerPath};

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
    /// The n-th `[[reader]]`.
    Reader(ReaderIndex),
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
            Self::Reader(ReaderIndex(index)) => (TriggerKind::Reader, &config.readers.get(index)?.name),
            Self::Station | Self::FarEnd => return None,
        };
        Some(TriggerName { kind, name: name.clone() })
    }

    /// The source of this name. Where there is none, it counts as a command.
    pub(in crate::core) fn of(trigger: Option<&TriggerName>, config: &Config) -> Self {
        let Some(TriggerName { kind, name }) = trigger else { return Self::Station };
        fn place<T>(all: &[T], is_meant: impl Fn(&T) -> bool) -> Option<usize> {
            all.iter().position(is_meant)
        }
        let found = match kind {
            TriggerKind::Button => place(&config.buttons, |one| one.name == *name).map(ButtonIndex).map(Self::Button),
            TriggerKind::Sensor => place(&config.sensors, |one| one.name == *name).map(SensorIndex).map(Self::Sensor),
            TriggerKind::Door => place(&config.doors, |one| one.name == *name).map(DoorIndex).map(Self::Door),
            TriggerKind::Schedule => {
                place(&config.schedules, |one| one.name == *name).map(ScheduleIndex).map(Self::Schedule)
            }
            TriggerKind::Reader => place(&config.readers, |one| one.name == *name).map(ReaderIndex).map(Self::Reader),
        };
        found.unwrap_or(Self::Station)
    }

    /// Whether a trigger that stands there is run by this source.
    pub(in crate::core) fn may_be(self, path: TriggerPath) -> bool {
        let (table, index) = match self {
            Self::Button(ButtonIndex(index)) => ("button", index),
            Self::Sensor(SensorIndex(index)) => ("sensor", index),
            Self::Door(DoorIndex(index)) => ("door", index),
            Self::Schedule(ScheduleIndex(index)) => ("schedule", index),
            Self::Reader(_) => return path.table == "code",
            Self::Station | Self::FarEnd => return path.table == "dtmf",
        };
        (path.table, path.index) == (table, index)
    }

    /// Whether it is a happening at the place of the station, and not the wish of somebody who sees whether it comes true.
    pub(in crate::core) fn is_the_door(self) -> bool {
        matches!(self, Self::Button(_) | Self::Sensor(_) | Self::Door(_) | Self::Schedule(_) | Self::Reader(_))
    }
}
