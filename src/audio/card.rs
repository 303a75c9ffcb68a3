//! A sound card as the engine sees it: 10 ms in, 10 ms out, on one clock.

use std::time::{Duration, Instant};

/// Why a card cannot be used any more; it is opened again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct CardError(pub(super) String);

/// Overruns of capture and underruns of playback.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Xruns {
    pub(super) capture: u64,
    pub(super) playback: u64,
}

/// Capture and playback.
pub(super) trait Card {
    /// Waits for the next frame of the microphone. It never waits for longer than a second.
    fn read(&mut self, frame: &mut [f32]) -> Result<(), CardError>;
    /// Gives the next frame to the loudspeaker, without waiting.
    fn write(&mut self, frame: &[f32]) -> Result<(), CardError>;
    /// Stops the streams, which the next frame starts again.
    fn rest(&mut self) -> Result<(), CardError>;
    /// Whether a resting card is still there.
    fn look(&mut self) -> Result<(), CardError>;
    /// Over- and underruns since the last question.
    fn take_xruns(&mut self) -> Xruns;
    /// A microphone is behind it.
    fn is_real(&self) -> bool {
        false
    }
}

/// The time where no card gives it: one tick every 10 ms.
pub(super) struct Pace {
    next: Instant,
}

const TICK: Duration = Duration::from_millis(10);

impl Pace {
    pub(super) fn new() -> Self {
        Self { next: Instant::now() + TICK }
    }

    pub(super) fn wait(&mut self) {
        let now = Instant::now();
        if let Some(rest) = self.next.checked_duration_since(now) {
            std::thread::sleep(rest);
        } else if now.duration_since(self.next) > TICK * 10 {
            // The machine slept, or the card rested: do not catch up.
            self.next = now;
        }
        self.next += TICK;
    }
}

/// No card at all: silence, at the right pace, so that calls live on.
pub(super) struct NoCard(Pace);

impl NoCard {
    pub(super) fn new() -> Self {
        Self(Pace::new())
    }
}

impl Card for NoCard {
    fn read(&mut self, frame: &mut [f32]) -> Result<(), CardError> {
        self.0.wait();
        frame.fill(0.0);
        Ok(())
    }

    fn write(&mut self, _: &[f32]) -> Result<(), CardError> {
        Ok(())
    }

    fn rest(&mut self) -> Result<(), CardError> {
        Ok(())
    }

    fn look(&mut self) -> Result<(), CardError> {
        Ok(())
    }

    fn take_xruns(&mut self) -> Xruns {
        Xruns::default()
    }
}
