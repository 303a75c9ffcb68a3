//! Signal processing: pure functions of the samples, in frames of 10 ms. [`Resampler`] converts rates,
//! [`ClockControl`] learns a clock that is almost the same, [`DriftResampler`] follows it, [`Stretch`] gives speech less or more time,
//! [`DigitDetector`] hears DTMF, [`HalfDuplex`] lets one end talk at a time,
//! [`Sweep`] measures a place; the rest is the capture path.
//!
//! [`CapturePath`] is made for one loudspeaker a hand's breadth from one microphone, in the order of the signal:
//! `delay` finds when the echo comes, `loudspeaker` models the driver, `kalman` predicts the echo and takes it away,
//! `suppressor` removes what is left, gently where the near end talks, and steady noise where that is wanted; `gain`
//! brings speech to one level. All of it works at 16 kHz; at 48 kHz `bands` lets the rest follow. Nothing allocates
//! after the start: it runs on the audio thread.

mod acoustics;
mod bands;
mod capture;
mod clock;
mod delay;
mod drift;
mod dtmf;
mod fft;
mod gain;
mod half_duplex;
mod highpass;
mod kalman;
mod loudspeaker;
mod resample;
mod stretch;
mod suppressor;

pub use acoustics::{Acoustics, Sweep};
pub use capture::{CaptureOptions, CapturePath};
pub use clock::ClockControl;
pub use drift::DriftResampler;
pub use dtmf::DigitDetector;
pub use half_duplex::HalfDuplex;
pub use resample::Resampler;
pub use stretch::Stretch;

/// Samples a second of what is processed.
const RATE_HZ: u32 = 16_000;
/// Samples of a hop of 10 ms.
const HOP: usize = 160;

/// The mean of the squares; nothing has none.
pub fn power(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32
}
