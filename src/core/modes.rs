//! The modes of the house: which are on, by their hours or by hand.

use serde::{Deserialize, Serialize};

use super::api::{By, ModeStatus, RememberedMode};
use super::time::Now;
use crate::config::{Config, Hours, Mode, ModeChange, ModeIndex};

/// The modes, in the order of the configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Modes {
    by_hand: Vec<Option<Choice>>,
    on: Vec<bool>,
    told: Vec<bool>,
}

/// What somebody has chosen. It lasts until the next choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Choice {
    is_on: bool,
    by: By,
}

/// A mode that has just changed.
pub(super) struct Changed {
    pub(super) mode: ModeIndex,
    pub(super) is_on: bool,
    pub(super) by: By,
}

impl Modes {
    pub(super) fn new(config: &Config, now: Now) -> Self {
        let count = config.modes.len();
        let mut modes = Self { by_hand: vec![None; count], on: vec![false; count], told: Vec::new() };
        modes.update(config, now);
        modes.told.clone_from(&modes.on);
        modes
    }

    /// Takes over what was chosen before a restart.
    pub(super) fn recall(&mut self, remembered: Vec<RememberedMode>, config: &Config, now: Now) {
        for RememberedMode { name, is_on, by } in remembered {
            let place = config.modes.iter().position(|mode| mode.name == name);
            if let Some(choice) = place.and_then(|index| self.by_hand.get_mut(index)) {
                *choice = Some(Choice { is_on, by });
            }
        }
        self.update(config, now);
        self.told.clone_from(&self.on);
    }

    /// What must outlive the process.
    pub(super) fn remembered(&self, config: &Config) -> Vec<RememberedMode> {
        let chosen = config.modes.iter().zip(&self.by_hand);
        chosen
            .filter_map(|(mode, choice)| {
                let Choice { is_on, by } = choice.clone()?;
                Some(RememberedMode { name: mode.name.clone(), is_on, by })
            })
            .collect()
    }

    /// The configuration has changed: a mode keeps what was chosen by its name.
    pub(super) fn reconfigure(&mut self, old: &Config, new: &Config, now: Now) {
        let remembered = self.remembered(old);
        *self = Self::new(new, now);
        self.recall(remembered, new, now);
    }

    /// Which modes are on now.
    pub(super) fn on(&self) -> &[bool] {
        &self.on
    }

    /// Switches a mode by hand.
    pub(super) fn change(&mut self, mode: ModeIndex, change: ModeChange, by: &By, config: &Config, now: Now) {
        let ModeIndex(index) = mode;
        let was_on = self.on.get(index).copied().unwrap_or(false);
        let Some(choice) = self.by_hand.get_mut(index) else { return };
        let chosen = |is_on| Some(Choice { is_on, by: by.clone() });
        *choice = match change {
            ModeChange::On => chosen(true),
            ModeChange::Off => chosen(false),
            ModeChange::Toggle => chosen(!was_on),
            ModeChange::Auto => None,
        };
        self.update(config, now);
    }

    /// Judges the hours again.
    pub(super) fn update(&mut self, config: &Config, now: Now) {
        for ((mode, choice), is_on) in config.modes.iter().zip(&self.by_hand).zip(&mut self.on) {
            *is_on = choice.as_ref().map_or_else(|| is_on_by_hours(mode, config, now), |choice| choice.is_on);
        }
    }

    /// What has changed since the last time.
    pub(super) fn take_changes(&mut self) -> Vec<Changed> {
        let changed = self.on.iter().zip(&mut self.told).zip(&self.by_hand).enumerate();
        changed
            .filter_map(|(index, ((is_on, told), choice))| {
                let by = choice.as_ref().map_or(By::Hours, |choice| choice.by.clone());
                let differs = std::mem::replace(told, *is_on) != *is_on;
                differs.then_some(Changed { mode: ModeIndex(index), is_on: *is_on, by })
            })
            .collect()
    }

    /// The volume that the modes ask for; `None` if none of those that are on does.
    pub(super) fn volume(&self, config: &Config) -> Option<u8> {
        config.modes.iter().zip(&self.on).filter_map(|(mode, is_on)| mode.volume.filter(|_| *is_on)).min()
    }

    pub(super) fn status(&self, config: &Config) -> Vec<ModeStatus> {
        let modes = config.modes.iter().zip(&self.on).zip(&self.by_hand);
        modes
            .map(|((mode, is_on), choice)| ModeStatus {
                name: mode.name.clone(),
                on: *is_on,
                hours: mode.hours.as_ref().map(|hours| hours.text().to_owned()),
                by: choice.as_ref().map(|choice| choice.by.clone()),
            })
            .collect()
    }
}

fn is_on_by_hours(mode: &Mode, config: &Config, now: Now) -> bool {
    mode.hours.is_some() && Hours::hold(mode.hours.as_ref(), now.local, &config.calendar)
}
