//! The modes of the house: which are on, by their hours or by hand.

use serde::{Deserialize, Serialize};

use super::api::{By, ModeStatus, RememberedMode};
use super::time::Now;
use crate::config::{Config, ModeChange, ModeIndex, ModeState};

/// The modes, in the order of the configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Modes {
    by_hand: Vec<Option<Choice>>,
    states: Vec<ModeState>,
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
        let mut modes = Self { by_hand: vec![None; count], states: vec![ModeState::Off; count], told: Vec::new() };
        modes.update(config, now);
        modes.told = modes.which_are_on();
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
        self.told = self.which_are_on();
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

    /// The modes now.
    pub(super) fn states(&self) -> &[ModeState] {
        &self.states
    }

    fn which_are_on(&self) -> Vec<bool> {
        self.states.iter().map(|state| *state == ModeState::On).collect()
    }

    /// Switches a mode by hand.
    pub(super) fn change(&mut self, mode: ModeIndex, change: ModeChange, by: &By, config: &Config, now: Now) {
        let ModeIndex(index) = mode;
        let was_on = self.states.get(index) == Some(&ModeState::On);
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
        for ((mode, choice), state) in config.modes.iter().zip(&self.by_hand).zip(&mut self.states) {
            let by_hand = choice.as_ref().map(|choice| choice.is_on);
            *state = mode.state(by_hand, now.local, &config.calendar);
        }
    }

    /// What has changed since the last time.
    pub(super) fn take_changes(&mut self) -> Vec<Changed> {
        let changed = self.states.iter().zip(&mut self.told).zip(&self.by_hand).enumerate();
        changed
            .filter_map(|(index, ((state, told), choice))| {
                let is_on = *state == ModeState::On;
                let by = choice.as_ref().map_or(By::Hours, |choice| choice.by.clone());
                let differs = std::mem::replace(told, is_on) != is_on;
                differs.then_some(Changed { mode: ModeIndex(index), is_on, by })
            })
            .collect()
    }

    /// The volume that the modes ask for; `None` if none of those that are on does.
    pub(super) fn volume(&self, config: &Config) -> Option<u8> {
        let all = config.modes.iter().zip(&self.states);
        all.filter_map(|(mode, state)| mode.volume.filter(|_| *state == ModeState::On)).min()
    }

    pub(super) fn status(&self, config: &Config) -> Vec<ModeStatus> {
        let modes = config.modes.iter().zip(&self.states).zip(&self.by_hand);
        modes
            .map(|((mode, state), choice)| ModeStatus {
                name: mode.name.clone(),
                on: *state == ModeState::On,
                hours: mode.hours.as_ref().map(|hours| hours.text().to_owned()),
                by: choice.as_ref().map(|choice| choice.by.clone()),
            })
            .collect()
    }
}
