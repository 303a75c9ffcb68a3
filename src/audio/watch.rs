//! Detects microphones that deliver samples, but not what they hear.

use std::time::Instant;

use crate::core::MicrophoneFault;
use crate::sound::{FRAME_MS, power};

/// Frames after which a fault is believed: 5 s.
const FRAMES: u32 = 500;
/// Power of a frame, -6 dBFS. Nobody shouts this loudly for 5 s without a pause.
const OVERDRIVEN: f32 = 0.25;
/// Frames over which the rate is measured: 10 s.
const RATE_FRAMES: u32 = 1_000;
/// A larger deviation means another rate: 44.1 instead of 48 kHz is 8 %.
const RATE_OFF: f64 = 0.03;

/// Examines each frame of a running card.
#[derive(Default)]
pub(super) struct MicrophoneWatch {
    silent_frames: u32,
    overdriven_frames: u32,
    /// The start of the rate measurement.
    began: Option<Instant>,
    frames: u32,
    wrong_rate: bool,
    told: Option<MicrophoneFault>,
}

impl MicrophoneWatch {
    /// The card stopped or lost frames: the measurement of the rate starts again.
    pub(super) fn interrupted(&mut self) {
        (self.began, self.frames) = (None, 0);
    }

    /// Takes a frame. If the fault changes, returns the new one, or `Some(None)` if there is none any more.
    pub(super) fn frame(&mut self, samples: &[f32], now: Instant) -> Option<Option<MicrophoneFault>> {
        let mut steps = samples.windows(2);
        let silent = steps.all(|pair| matches!(pair, [one, other] if one == other));
        let overdriven = power(samples) > OVERDRIVEN;
        self.silent_frames = if silent { self.silent_frames.saturating_add(1) } else { 0 };
        self.overdriven_frames = if overdriven { self.overdriven_frames.saturating_add(1) } else { 0 };
        self.look_at_rate(now);
        let fault = if self.silent_frames >= FRAMES {
            Some(MicrophoneFault::Silent)
        } else if self.overdriven_frames >= FRAMES {
            Some(MicrophoneFault::Overdriven)
        } else if self.wrong_rate {
            Some(MicrophoneFault::WrongRate)
        } else {
            None
        };
        (fault != self.told).then(|| {
            self.told = fault;
            fault
        })
    }

    fn look_at_rate(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        self.frames += 1;
        if self.frames > RATE_FRAMES {
            let expected_s = f64::from(RATE_FRAMES * FRAME_MS) / 1_000.0;
            self.wrong_rate = (now.duration_since(began).as_secs_f64() / expected_s - 1.0).abs() > RATE_OFF;
            (self.began, self.frames) = (Some(now), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Runs this many frames with the same samples, one every `pace_us`. Returns the faults that were reported.
    fn run(watch: &mut MicrophoneWatch, frames: u32, pace_us: u64, frame: &[f32]) -> Vec<Option<MicrophoneFault>> {
        watch.interrupted();
        let begin = Instant::now();
        (0..frames).filter_map(|index| watch.frame(frame, begin + Duration::from_micros(pace_us) * index)).collect()
    }

    const VOICE: [f32; 4] = [0.1, -0.1, 0.2, 0.0];

    #[test]
    fn zeros_and_a_stuck_converter_are_named_and_forgotten_with_the_first_sound() {
        for stuck in [0.0, -1.0] {
            let mut watch = MicrophoneWatch::default();
            assert_eq!(run(&mut watch, 499, 10_000, &[stuck; 4]), []);
            assert_eq!(run(&mut watch, 300, 10_000, &[stuck; 4]), [Some(MicrophoneFault::Silent)]);
            assert_eq!(run(&mut watch, 300, 10_000, &VOICE), [None]);
        }
    }

    #[test]
    fn noise_at_full_scale_is_overdriven() {
        let mut watch = MicrophoneWatch::default();
        let mut random: u32 = 1;
        let noise: Vec<f32> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random as i32 as f32 / 2_147_483_648.0
        })
        .take(480)
        .collect();
        assert_eq!(run(&mut watch, 900, 10_000, &noise), [Some(MicrophoneFault::Overdriven)]);
        assert_eq!(run(&mut watch, 1, 10_000, &VOICE), [None]);
        // Somebody shouts, with pauses.
        for _ in 0..10 {
            assert_eq!(run(&mut watch, 100, 10_000, &noise), []);
            assert_eq!(run(&mut watch, 20, 10_000, &VOICE), []);
        }
    }

    #[test]
    fn a_card_that_runs_at_another_rate_than_it_says_is_named() {
        let mut watch = MicrophoneWatch::default();
        assert_eq!(run(&mut watch, 2_500, 10_000, &VOICE), []);
        assert_eq!(run(&mut watch, 1_200, 10_884, &VOICE), [Some(MicrophoneFault::WrongRate)]);
        assert_eq!(run(&mut watch, 1_200, 10_000, &VOICE), [None]);
    }
}
