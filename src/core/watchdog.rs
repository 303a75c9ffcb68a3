//! Who must make progress for the watchdog to be fed (`systemd.service(5)`, `WatchdogSec=`).

use std::time::Duration;

use super::time::Time;

/// When the event loop looks at the count of frames that the audio thread has carried.
#[derive(Debug, Clone)]
pub struct Watchdog {
    frames: u64,
    progress_at: Time,
}

impl Watchdog {
    /// A thread that made no progress for longer stands still.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Everything runs at the start.
    pub fn new(now: Time) -> Self {
        Self { frames: 0, progress_at: now }
    }

    /// Whether the watchdog may be fed. The event loop asks, and therefore runs; the audio thread counts
    /// frames, and attempts to open the card while there is none.
    pub fn look(&mut self, frames: u64, now: Time) -> bool {
        if frames != std::mem::replace(&mut self.frames, frames) {
            self.progress_at = now;
        }
        now.since(self.progress_at) <= Self::PATIENCE
    }
}
