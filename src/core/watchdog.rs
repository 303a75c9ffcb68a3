//! Who must make progress for the watchdog to be fed (`systemd.service(5)`, `WatchdogSec=`).

use std::time::Duration;

use super::time::Time;

/// Something that must not stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The event loop: what it does, it does at once.
    Loop,
    /// The audio thread: sound flows, or it tries to open the card.
    Audio,
}

/// When each part last made progress.
#[derive(Debug, Clone)]
pub struct Watchdog {
    looped: Time,
    sounded: Time,
}

impl Watchdog {
    /// A part that made no progress for longer stands still.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Everything runs at the start.
    pub fn new(now: Time) -> Self {
        Self { looped: now, sounded: now }
    }

    /// A part did something.
    pub fn progress(&mut self, part: Part, now: Time) {
        match part {
            Part::Loop => self.looped = now,
            Part::Audio => self.sounded = now,
        }
    }

    /// Whether everything makes progress.
    pub fn may_feed(&self, now: Time) -> bool {
        now.since(self.looped.min(self.sounded)) <= Self::PATIENCE
    }
}
