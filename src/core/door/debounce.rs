//! Debounce: which level of a pin counts, and how much the contact behind it bounces.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{GpioBackend, GpioConfig, InputPin};
use crate::core::time::Time;

/// How long a level must last to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settling {
    /// Pressed, or open.
    pub(super) on: Duration,
    /// Back at rest.
    pub(super) off: Duration,
}

/// A level that counts once it has lasted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Debounce {
    raw: bool,
    changed_at: Time,
    stable: bool,
    settled_at: Time,
    /// The level at the opening of the pin is known.
    known: bool,
    /// The kernel debounces, or there is nothing that bounces: what is told has lasted.
    by_kernel: bool,
    edges: u64,
    bounces: u64,
}

impl Debounce {
    /// A pin of this kind, at rest. Simulated ones do not bounce: a page's click of a millisecond counts.
    pub(super) fn of(gpio: &GpioConfig) -> Self {
        Self { by_kernel: gpio.backend == GpioBackend::Simulated, ..Self::default() }
    }

    pub(super) fn settling(&self, pin: &InputPin) -> Settling {
        if self.by_kernel {
            // Both edges come late by the debounce, so a pulse keeps its length.
            let spike = if pin.min_pulse > pin.debounce { pin.min_pulse } else { Duration::ZERO };
            return Settling { on: spike, off: Duration::ZERO };
        }
        Settling { on: pin.debounce.max(pin.min_pulse), off: pin.debounce }
    }

    /// The pin changed its level.
    pub(super) fn edge(&mut self, active: bool, now: Time) {
        if active == self.raw {
            return;
        }
        self.edges += 1;
        if self.raw != self.stable {
            self.bounces += 1;
        }
        self.raw = active;
        self.changed_at = now;
    }

    /// The level at the opening of the pin. One that was known before and has changed meanwhile counts
    /// as a change; the first one does not.
    pub(super) fn found(&mut self, active: bool, by_kernel: bool, now: Time) {
        if self.known {
            self.by_kernel = by_kernel;
            self.edge(active, now);
        } else {
            self.start_at(active, by_kernel, now);
        }
    }

    /// This is the level, and no change of it.
    pub(super) fn start_at(&mut self, active: bool, by_kernel: bool, now: Time) {
        (self.raw, self.stable) = (active, active);
        (self.changed_at, self.settled_at) = (now, now);
        self.known = true;
        self.by_kernel = by_kernel;
    }

    pub(super) fn deadline(&self, settling: Settling) -> Option<Time> {
        (self.raw != self.stable).then(|| self.changed_at + if self.raw { settling.on } else { settling.off })
    }

    /// The new level, once.
    pub(super) fn settle(&mut self, settling: Settling, now: Time) -> Option<bool> {
        let due = self.deadline(settling).is_some_and(|deadline| now >= deadline);
        due.then(|| {
            self.stable = self.raw;
            self.settled_at = now;
            self.stable
        })
    }

    pub(super) fn is_active(&self) -> bool {
        self.stable
    }

    pub(super) fn settled_at(&self) -> Time {
        self.settled_at
    }

    /// Changes of the level, and pulses that did not last.
    pub(super) fn statistics(&self) -> (u64, u64) {
        (self.edges, self.bounces)
    }

    pub(super) fn is_done_by_kernel(&self) -> bool {
        self.by_kernel
    }
}
