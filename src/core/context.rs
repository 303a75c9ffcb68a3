//! The context that the machines of the core work with: time, configuration, randomness, and the queue of effects.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::api::{By, Effect, Fact, RememberedMode};
use super::deadline::{Deadline, DeadlineReason};
use super::modes::{Changed, Modes};
use super::random::Random;
use super::schedules::Clock;
use super::time::Now;
use crate::config::{Config, ModeChange, ModeIndex, Moment, Sound};

/// More waiting effects than this mean that nobody drains them. One input causes far fewer.
const MAX_EFFECTS: usize = 4096;

/// A larger difference to the server's clock means that one of the two is wrong.
const TRUSTED_MS: u64 = 120_000;

/// Hours have a resolution of one minute.
const MODE_CHECK: Duration = Duration::from_secs(60);

/// What a machine needs from outside itself.
///
/// The [`Station`](super::Station) owns the only one, and lends it as `cx` to the machine that handles an input. No
/// machine keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Context {
    pub(super) now: Now,
    pub(super) config: Arc<Config>,
    /// The modes of the house, which conditions of rules ask for.
    pub(super) modes: Modes,
    pub(super) random: Random,
    /// By how much the server's clock is ahead of ours.
    #[serde(default)]
    server_ahead_ms: i64,
    /// The daemon is about to stop: nothing new begins.
    pub(super) shutting_down: bool,
    /// Drained before the next input, and therefore not part of the state.
    #[serde(skip)]
    effects: VecDeque<Effect>,
}

impl Context {
    pub(super) fn new(config: Arc<Config>, seed: u64, now: Now) -> Self {
        let modes = Modes::new(&config, now);
        Self {
            now,
            config,
            modes,
            random: Random::new(seed),
            server_ahead_ms: 0,
            shutting_down: false,
            effects: VecDeque::new(),
        }
    }

    /// What the conditions of rules are judged by.
    pub(super) fn moment(&self) -> Moment<'_> {
        Moment { local: self.trusted().local, calendar: &self.config.calendar, modes: self.modes.states() }
    }

    /// The time by which hours are judged: without a local time while our clock and the server's differ, because one of
    /// them is wrong.
    fn trusted(&self) -> Now {
        Now { local: self.now.local.filter(|_| self.clock_fault().is_none()), ..self.now }
    }

    /// What schedules are judged by.
    pub(super) fn clock(&self) -> Clock {
        Clock { now: self.now, trusted: self.trusted().local }
    }

    /// The server has said what time it is.
    pub(super) fn server_time(&mut self, ahead_ms: i64) {
        let before = self.clock_fault().is_some();
        self.server_ahead_ms = ahead_ms;
        let fault = self.clock_fault();
        if fault.is_some() != before {
            self.fact(Fact::Clock { fault });
        }
    }

    /// What is wrong with the clock.
    pub(super) fn clock_fault(&self) -> Option<String> {
        let differs_ms = self.server_ahead_ms.unsigned_abs();
        (differs_ms > TRUSTED_MS).then(|| {
            let way = if self.server_ahead_ms > 0 { "ahead of" } else { "behind" };
            format!(
                "the server's clock is {} min {way} ours, so rules with hours do not match; see `timedatectl`",
                differs_ms.div_ceil(60_000)
            )
        })
    }

    /// The volume that is configured for now.
    pub(super) fn configured_volume(&self) -> u8 {
        self.modes.volume(&self.config).unwrap_or(self.config.audio.volume)
    }

    /// Takes over what was chosen before a restart.
    pub(super) fn recall_modes(&mut self, remembered: Vec<RememberedMode>) {
        self.modes.recall(remembered, &self.config, self.trusted());
    }

    /// Uses another configuration from now on.
    pub(super) fn reconfigure(&mut self, config: Arc<Config>) {
        self.modes.reconfigure(&self.config, &config, self.trusted());
        self.config = config;
    }

    /// When the hours of the modes must be judged again; `None` if no mode has any.
    pub(super) fn mode_deadline(&self) -> Option<Deadline> {
        let any = self.config.modes.iter().any(|mode| mode.hours.is_some());
        any.then(|| Deadline::new(self.now.at + MODE_CHECK, DeadlineReason::ModeHours))
    }

    /// Switches a mode by hand.
    pub(super) fn change_mode(&mut self, mode: ModeIndex, change: ModeChange, by: &By) {
        self.modes.change(mode, change, by, &self.config, self.trusted());
    }

    /// Judges the hours of the modes, and reports what has changed.
    pub(super) fn settle_modes(&mut self) {
        self.modes.update(&self.config, self.trusted());
        for Changed { mode: ModeIndex(index), is_on, by } in self.modes.take_changes() {
            let name = self.config.modes.get(index).map(|mode| mode.name.clone()).unwrap_or_default();
            self.fact(Fact::Mode { mode: name, on: is_on, by });
        }
    }

    pub(super) fn push(&mut self, effect: Effect) {
        debug_assert!(self.effects.len() < MAX_EFFECTS, "nobody drains the effects");
        self.effects.push_back(effect);
    }

    pub(super) fn fact(&mut self, fact: Fact) {
        self.push(Effect::Fact(fact));
    }

    /// Reports a problem that a developer should see.
    pub(super) fn protocol_problem(&mut self, problem: impl Into<String>) {
        self.fact(Fact::Protocol { problem: problem.into() });
    }

    /// Plays a sound once at the loudspeaker. `to_calls`: it is also played into every established call.
    pub(super) fn play(&mut self, sound: Sound, to_calls: bool) {
        self.push(Effect::Play { sound, to_calls });
    }

    /// Removes and returns the oldest effect.
    pub(super) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The number of effects that are not drained yet.
    pub(super) fn waiting_effects(&self) -> usize {
        self.effects.len()
    }
}
