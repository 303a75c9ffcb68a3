//! `[modes]`: states of the house, and the conditions of rules.

use serde::{Deserialize, Serialize};

use super::calendar::Calendar;
use super::hours::Hours;
use super::index::ModeIndex;
use super::local_time::LocalTime;

/// A state of the house that rules ask for, such as `night` or `away`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mode {
    /// Unique among modes.
    pub name: String,
    /// When the mode is on by itself. `None`: it is switched by hand alone.
    pub hours: Option<Hours>,
    /// The volume of the loudspeaker while the mode is on. If several modes have one, the lowest counts.
    pub volume: Option<u8>,
}

/// A change of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModeChange {
    On,
    Off,
    Toggle,
    /// As its hours say; off if it has none.
    Auto,
}

/// When a rule matches. All parts must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Conditions {
    pub hours: Option<Hours>,
    pub when: Option<ModeCondition>,
}

/// `when = "night"` or `"not night"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeCondition {
    pub mode: ModeIndex,
    /// Whether the mode must be on or off.
    pub is_on: bool,
}

/// What conditions are judged by.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// `None` while the clock is not set: hours do not hold then.
    pub local: Option<LocalTime>,
    pub calendar: &'a Calendar,
    /// Which modes are on, in the order of the configuration.
    pub modes: &'a [bool],
}

impl Conditions {
    pub fn hold(&self, moment: Moment<'_>) -> bool {
        let Moment { local, calendar, modes } = moment;
        Hours::hold(self.hours.as_ref(), local, calendar) && self.when.is_none_or(|when| when.holds(modes))
    }

    /// Whether there is no condition.
    pub fn are_none(&self) -> bool {
        self.hours.is_none() && self.when.is_none()
    }

    /// The conditions as people read them; empty if there is none.
    pub fn text(&self, modes: &[Mode]) -> String {
        let when = self.when.and_then(|when| {
            let ModeIndex(index) = when.mode;
            let name = &modes.get(index)?.name;
            Some(if when.is_on { name.clone() } else { format!("not {name}") })
        });
        let hours = self.hours.as_ref().map(|hours| hours.text().to_owned());
        when.into_iter().chain(hours).collect::<Vec<_>>().join(", ")
    }
}

impl ModeCondition {
    pub(in crate::config) fn holds(self, modes: &[bool]) -> bool {
        let ModeIndex(index) = self.mode;
        modes.get(index).copied().unwrap_or(false) == self.is_on
    }
}
