//! Feeds the watchdog of systemd (sd_notify(3), `WATCHDOG=1`), while everything makes progress.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

use crate::audio::Meters;
use crate::core::{Time, Watchdog};

/// Progress is looked at so often, where the watchdog allows more.
const LOOK: Duration = Duration::from_secs(2);

/// Where systemd has asked for it, in `WATCHDOG_USEC`.
pub(super) struct Feeder {
    watchdog: Watchdog,
    every: Duration,
    next: Instant,
}

impl Feeder {
    /// `None` where nobody watches.
    pub(super) fn new(now: Time) -> Option<Self> {
        let limit = sd_notify::watchdog_enabled()?;
        let every = (limit / 3).min(LOOK);
        Some(Self { watchdog: Watchdog::new(now), every, next: Instant::now() + every })
    }

    /// When to look next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Called by the event loop, which therefore runs; looks whether the audio thread does.
    pub(super) fn look(&mut self, meters: &Meters, now: Time) {
        self.next = Instant::now() + self.every;
        if self.watchdog.look(meters.frames.load(Ordering::Relaxed), now) {
            // Without systemd there is nobody to tell.
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }
}
