//! Debounce: when a level of a pin counts, and how often the pin bounces.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{GpioBackend, GpioConfig, InputPin};
use crate::core::time::Time;

/// How long a level must last before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settling {
    /// The active level: pressed, or open.
    pub(super) on: Duration,
    /// The level at rest.
    pub(super) off: Duration,
}

/// The level of one input pin. A new level counts once it has lasted for the time in [`Settling`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Debounce {
    raw: bool,
    changed_at: Time,
    stable: bool,
    settled_at: Time,
    /// The pin has been opened once, so its level is known.
    known: bool,
    /// The kernel debounces, or nothing bounces. So each level that is reported has lasted already.
    by_kernel: bool,
    edges: u64,
    bounces: u64,
}

impl Debounce {
    /// A pin of this kind, at rest. Simulated pins do not bounce, so even a click of one millisecond on a page counts; and
    /// nobody reports their first level, which is known.
    pub(super) fn of(gpio: &GpioConfig) -> Self {
        let simulated = gpio.backend == GpioBackend::Simulated;
        Self { by_kernel: simulated, known: simulated, ..Self::default() }
    }

    pub(super) fn settling(&self, pin: &InputPin) -> Settling {
        if self.by_kernel {
            // The kernel reports both edges late by the debounce time, so a pulse keeps its length.
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

    /// The pin was opened, and this is its level. If the pin was open before, a different level counts as a change. The
    /// very first level does not.
    pub(super) fn found(&mut self, active: bool, by_kernel: bool, now: Time) {
        if self.known {
            self.by_kernel = by_kernel;
            self.edge(active, now);
        } else {
            self.start_at(active, by_kernel, now);
        }
    }

    /// Sets the level without a change.
    pub(super) fn start_at(&mut self, active: bool, by_kernel: bool, now: Time) {
        (self.raw, self.stable) = (active, active);
        (self.changed_at, self.settled_at) = (now, now);
        self.known = true;
        self.by_kernel = by_kernel;
    }

    pub(super) fn deadline(&self, settling: Settling) -> Option<Time> {
        (self.raw != self.stable).then(|| self.changed_at + if self.raw { settling.on } else { settling.off })
    }

    /// The new level if it counts from now on; each change is returned once.
    pub(super) fn settle(&mut self, settling: Settling, now: Time) -> Option<bool> {
        let due = self.deadline(settling).is_some_and(|deadline| now >= deadline);
        due.then(|| {
            self.stable = self.raw;
            self.settled_at = now;
            self.stable
        })
    }

    /// Whether the pin has been read once.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    pub(super) fn is_active(&self) -> bool {
        self.stable
    }

    pub(super) fn settled_at(&self) -> Time {
        self.settled_at
    }

    /// The number of changes of the level, and of pulses that did not last.
    pub(super) fn statistics(&self) -> (u64, u64) {
        (self.edges, self.bounces)
    }

    pub(super) fn is_done_by_kernel(&self) -> bool {
        self.by_kernel
    }
}
