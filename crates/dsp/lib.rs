//! Signal processing: pure functions of the samples, in frames of 10 ms. [`Resampler`] converts rates. [`ClockControl`]
//! learns the rate of a clock that is almost the same as ours, and [`DriftResampler`] follows it. [`Stretch`] shortens
//! or lengthens speech. [`DigitDetector`] detects DTMF. [`HalfDuplex`] lets one end talk at a time. [`Sweep`] measures
//! the acoustics of a place. The rest is the capture path.
//!
//! [`CapturePath`] is made for one loudspeaker a hand's width away from one microphone. Its modules, in the order of
//! the signal: `echo_delay` finds the delay of the echo, `loudspeaker` models the driver, `kalman` predicts the echo and
//! subtracts it, `suppressor` removes what is left (gently while the near end talks) and, where it is wanted, steady
//! noise, and `gain` brings speech to one level. All of them work at 16 kHz; at 48 kHz, `bands` lets the band above 8
//! kHz follow. Nothing allocates after the start, because the path runs on the audio thread.

mod acoustics;
mod bands;
mod capture;
mod clock;
mod drift;
mod echo_delay;
mod fft;
mod gain;
mod half_duplex;
mod highpass;
mod kalman;
mod loudspeaker;
mod noise;
mod resample;
mod spectrum;
mod stretch;
mod suppressor;
mod tone_digits;

pub use acoustics::{Acoustics, Sweep};
pub use capture::{CaptureOptions, CapturePath};
pub use clock::ClockControl;
pub use drift::DriftResampler;
pub use half_duplex::HalfDuplex;
pub use resample::Resampler;
pub use stretch::Stretch;
pub use tone_digits::DigitDetector;

use wide::f32x8;

/// Samples per second of the processed signal.
const RATE_HZ: u32 = 16_000;
/// Samples in a hop of 10 ms.
const HOP: usize = 160;

/// The mean of the squares; 0 for no samples.
pub fn power(samples: &[f32]) -> f32 {
    dot(samples, samples) / samples.len().max(1) as f32
}

/// The sum of the products, in whole vectors: the compiler keeps the order of floating-point additions, so it would take
/// one sample at a time.
#[inline]
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let (ones, one_rest) = one.as_chunks();
    let (others, other_rest) = other.as_chunks();
    let vectors = ones.iter().zip(others);
    let sums = vectors.fold(f32x8::ZERO, |sums, (one, other)| f32x8::new(*one).mul_add(f32x8::new(*other), sums));
    sums.reduce_add() + one_rest.iter().zip(other_rest).map(|(one, other)| one * other).sum::<f32>()
}
