//! The context that the machines of the core work with: time, configuration, randomness, and the queue of effects.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::api::{Effect, Fact};
use super::random::Random;
use super::time::Now;
use crate::config::{Config, Sound};

/// More waiting effects than this mean that nobody drains them. One input causes far fewer.
const MAX_EFFECTS: usize = 4096;

/// What a machine needs from outside itself.
///
/// The [`Station`](super::Station) owns the only one, and lends it as `cx` to the machine that handles an input. No
/// machine keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Context {
    pub(super) now: Now,
    pub(super) config: Arc<Config>,
    pub(super) random: Random,
    /// The daemon is about to stop: nothing new begins.
    pub(super) shutting_down: bool,
    /// Drained before the next input, and therefore not part of the state.
    #[serde(skip)]
    effects: VecDeque<Effect>,
}

impl Context {
    pub(super) fn new(config: Arc<Config>, seed: u64, now: Now) -> Self {
        Self { now, config, random: Random::new(seed), shutting_down: false, effects: VecDeque::new() }
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
