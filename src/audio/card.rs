//! A sound card as the engine sees it: 10 ms in, 10 ms out, on one clock.

use std::time::{Duration, Instant};

/// Why a card cannot be used any more. It is opened again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct CardError(pub(super) String);

/// Counts of capture overruns and playback underruns.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Xruns {
    pub(super) capture: u64,
    pub(super) playback: u64,
}

/// The periods and the lead of a card, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CardTiming {
    /// How much sound of the microphone comes at once.
    pub capture_period_ms: u32,
    /// How much sound the loudspeaker takes at once.
    pub playback_period_ms: u32,
    /// How much sound waits in the card before it is heard.
    pub lead_ms: u32,
}

impl CardTiming {
    /// A longer period is heard as a delay, so people are told about it.
    const LONG_MS: u32 = 100;

    /// What to do about a period that is heard as a delay, in one sentence; `None` if there is no such period.
    pub fn remark(&self) -> Option<String> {
        let (what, period_ms) = match (self.capture_period_ms, self.playback_period_ms) {
            (capture, playback) if capture >= playback => ("microphone", capture),
            (_, playback) => ("loudspeaker", playback),
        };
        (period_ms > Self::LONG_MS).then(|| {
            format!(
                "the card moves the sound of the {what} in periods of {period_ms} ms, which everybody hears as a \
                 delay; if this is a dmix, dsnoop or plug of your own, set period_time 10000 in it; otherwise name \
                 the hardware: plughw:CARD=…"
            )
        })
    }
}

/// The capture and playback streams of a card.
pub(super) trait Card {
    /// Waits for the next frame of the microphone, for a second at most.
    fn read(&mut self, frame: &mut [f32]) -> Result<(), CardError>;
    /// Passes the next frame to the loudspeaker, without waiting.
    fn write(&mut self, frame: &[f32]) -> Result<(), CardError>;
    /// Stops the streams. The next frame starts them again.
    fn rest(&mut self) -> Result<(), CardError>;
    /// Checks that a resting card is still there.
    fn look(&mut self) -> Result<(), CardError>;
    /// Over- and underruns since the last call.
    fn take_xruns(&mut self) -> Xruns;
    /// The periods and the lead as they are now.
    fn timing(&self) -> CardTiming {
        CardTiming::default()
    }
    /// Whether the frames come from a real microphone.
    fn is_real(&self) -> bool {
        false
    }
}

/// Keeps the time where no card does: one tick every 10 ms.
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
            // The machine was suspended, or the card rested: do not catch up.
            self.next = now;
        }
        self.next += TICK;
    }
}

/// Stands in for a missing card: silence at the right pace, so that calls stay alive.
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
