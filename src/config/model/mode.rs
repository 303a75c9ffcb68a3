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

impl Mode {
    /// Whether it is on: by what somebody has chosen, else by its hours.
    pub fn state(&self, by_hand: Option<bool>, local: Option<LocalTime>, calendar: &Calendar) -> ModeState {
        let on_or_off = |is_on| if is_on { ModeState::On } else { ModeState::Off };
        match (by_hand, &self.hours, local) {
            (Some(is_on), ..) => on_or_off(is_on),
            (None, None, _) => ModeState::Off,
            (None, Some(_), None) => ModeState::Unknown,
            (None, hours, local) => on_or_off(Hours::hold(hours.as_ref(), local, calendar)),
        }
    }
}

/// Whether a mode is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ModeState {
    On,
    #[default]
    Off,
    /// It goes by its hours, and nobody knows what time it is. Then no rule that asks for it holds, neither for "night" nor
    /// for "not night".
    Unknown,
}

/// What conditions are judged by.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// `None` while the clock is not set: hours do not hold then.
    pub local: Option<LocalTime>,
    pub calendar: &'a Calendar,
    /// The modes, in the order of the configuration.
    pub modes: &'a [ModeState],
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
    pub(in crate::config) fn holds(self, modes: &[ModeState]) -> bool {
        let ModeIndex(index) = self.mode;
        match modes.get(index) {
            Some(ModeState::On) => self.is_on,
            Some(ModeState::Off) | None => !self.is_on,
            Some(ModeState::Unknown) => false,
        }
    }
}
