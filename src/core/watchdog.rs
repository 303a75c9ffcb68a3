//! What must make progress, so that the watchdog is fed (`systemd.service(5)`, `WatchdogSec=`).

use std::time::Duration;

use super::time::Time;

/// What the event loop sees of the audio thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioProgress {
    /// A counter that grows while the audio thread works.
    pub beats: u64,
    /// The audio thread is opening a card, which may take long.
    pub opening: bool,
}

/// Decides whether the watchdog may be fed.
#[derive(Debug, Clone)]
pub struct Watchdog {
    beats: u64,
    progress_at: Time,
}

impl Watchdog {
    /// An audio thread that makes no progress for longer than this has stopped. A session that is overdue by more than
    /// this has stopped as well.
    pub const PATIENCE: Duration = Duration::from_secs(10);
    /// The patience while a card is being opened. A USB device that does not answer may take 5 s for each request of
    /// the kernel, and a restart would only send it the same requests again (docs/workarounds.md, "kernel: a usb device
    /// may block for five seconds").
    pub const PATIENCE_WITH_CARD: Duration = Duration::from_secs(60);

    /// Creates a watchdog; everything counts as running at `now`.
    pub fn new(now: Time) -> Self {
        Self { beats: 0, progress_at: now }
    }

    /// Whether the watchdog may be fed. The event loop calls this, so the loop itself is running. `session_due` is
    /// [`super::Station::session_due`]: a session that works is never overdue by much.
    pub fn look(&mut self, audio: AudioProgress, session_due: Option<Time>, now: Time) -> bool {
        if audio.beats != std::mem::replace(&mut self.beats, audio.beats) {
            self.progress_at = now;
        }
        let patience = if audio.opening { Self::PATIENCE_WITH_CARD } else { Self::PATIENCE };
        let session_lives = session_due.is_some_and(|due| now.since(due) <= Self::PATIENCE);
        session_lives && now.since(self.progress_at) <= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENING: AudioProgress = AudioProgress { beats: 1, opening: true };
    const SOON: Option<Time> = Some(Time(1_000_000));

    #[test]
    fn a_card_that_takes_long_to_open_is_waited_for_but_not_for_ever() {
        let mut watchdog = Watchdog::new(Time(0));
        assert!(watchdog.look(OPENING, SOON, Time(2_000)));
        assert!(watchdog.look(OPENING, SOON, Time(60_000)));
        assert!(!watchdog.look(AudioProgress { opening: false, ..OPENING }, SOON, Time(60_000)));
        assert!(!watchdog.look(OPENING, SOON, Time(63_000)));
    }

    #[test]
    fn a_session_that_does_not_do_what_is_due_is_dead_and_so_is_one_with_nothing_ahead() {
        let mut watchdog = Watchdog::new(Time(0));
        let running = |beats| AudioProgress { beats, opening: false };
        assert!(watchdog.look(running(1), Some(Time(1_000)), Time(9_000)));
        assert!(!watchdog.look(running(2), Some(Time(1_000)), Time(12_000)));
        assert!(watchdog.look(running(3), Some(Time(30_000)), Time(12_500)));
        assert!(!watchdog.look(running(4), None, Time(13_000)));
    }
}
