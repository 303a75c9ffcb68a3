//! Removes the echo that the prediction leaves, and does less while the near end talks.
//!
//! A Wiener gain for each bin by the decision-directed estimate (Ephraim & Malah 1984), with comfort noise in place of
//! what is removed. A window of 45 ms is taken every 10 ms, and only its last 25 ms reach the output. So the frequency
//! resolution is fine, and the output is only 15 ms late (asymmetric windows, after Mauler & Martin, EUSIPCO 2007).

use std::f32::consts::PI;
use std::ops::Range;

use wide::f32x8;

use crate::fft::Fft;
use crate::kalman::{self, Prediction};
use crate::noise::Noise;
use crate::spectrum::{Spectrum, vectors};
use crate::{HOP, RATE_HZ};

/// Samples in a window.
const WINDOW: usize = 45 * RATE_HZ as usize / 1000;
/// Samples at the end of a window that reach the output.
const HEARD: usize = 25 * RATE_HZ as usize / 1000;
/// Bins of a window.
const BINS: usize = WINDOW / 2 + 1;
const VECTORS: usize = vectors(BINS);
/// The delay of the output, in samples.
pub(super) const LATENCY: usize = HEARD - HOP;
/// Bins that show whether the near end talks.
const SPEECH_BINS: Range<usize> = bin_of(200)..bin_of(6_000);
/// The over-subtraction while there is only echo; there is none while the near end talks.
const STRONGEST: f32 = 64.0;
/// The factor by which the residual exceeds what the filter expects.
const UNEXPECTED: f32 = 1.4;
/// Bins whose gain the band above 8 kHz follows.
const UPPER_BINS: Range<usize> = bin_of(4_000)..bin_of(7_533);
/// Noise is reduced by 12 dB at most: it becomes quieter and keeps its character.
const NOISE_FLOOR: f32 = 0.25;
/// The number of hops at the start in which the noise floor follows a fall of the level at once.
const FIRST_HOPS: u32 = 20;

const fn bin_of(hertz: usize) -> usize {
    hertz * WINDOW / RATE_HZ as usize
}

/// The window before the transform and the one after it. Both together are the identity.
struct Windows {
    analysis: [f32; WINDOW],
    synthesis: [f32; HEARD],
    /// The sum of the squares of the analysis window.
    power: f32,
}

impl Windows {
    fn new() -> Self {
        // Half a sine, smeared over a hop: copies of it at a distance of a hop add up to 1.
        let product = |index: usize| {
            let (until, hop, length) = (index as f32 + 0.5, HOP as f32, LATENCY as f32);
            let cos = |at: f32| (PI * at.clamp(0.0, length) / length).cos();
            0.5 * (cos(until - hop) - cos(until))
        };
        let highest = product(HEARD / 2);
        let (before, rise) = (WINDOW - HEARD, WINDOW - HEARD / 2);
        let (mut analysis, mut synthesis) = ([0.0; WINDOW], [0.0; HEARD]);
        for (index, value) in analysis.iter_mut().enumerate() {
            *value = match index.checked_sub(before) {
                Some(heard) if index >= rise => (product(heard) / highest).sqrt(),
                _ => (PI * (index as f32 + 0.5) / (2 * rise) as f32).sin(),
            };
        }
        for (index, (value, analysis)) in synthesis.iter_mut().zip(analysis.iter().skip(before)).enumerate() {
            *value = product(index) / analysis;
        }
        let power = analysis.iter().map(|value| value * value).sum();
        Self { analysis, synthesis, power }
    }
}

/// The state of eight bins over time.
#[derive(Clone, Copy)]
struct Bins {
    /// 1 for the bins of [`SPEECH_BINS`], else 0; and the same for [`UPPER_BINS`].
    is_speech: f32x8,
    is_upper: f32x8,
    smooth: f32x8,
    /// The echo estimate, with a decay.
    tail: f32x8,
    noise: f32x8,
    /// The share of the echo estimate that is left as residual, as a natural logarithm.
    log_leak: f32x8,
    /// The power of the near end that the last window let through.
    speech: f32x8,
    cross: (f32x8, f32x8),
    error_power: f32x8,
    echo_power: f32x8,
    residual: f32x8,
    /// The power above the noise that the last window let through.
    clear: f32x8,
}

pub(super) struct Suppressor {
    /// Reduces steady noise as well.
    against_noise: bool,
    fft: Fft,
    windows: Windows,
    error: [f32; WINDOW],
    echo: [f32; WINDOW],
    error_spectrum: Spectrum<VECTORS>,
    echo_spectrum: Spectrum<VECTORS>,
    cleaned: Spectrum<VECTORS>,
    /// The error that the filter expected in this hop and in the last one.
    expected: [[f32x8; VECTORS]; 2],
    bins: [Bins; VECTORS],
    presence: f32,
    upper_gain: f32,
    hops: u32,
    comfort: Noise,
    output: [f32; HEARD],
}

impl Suppressor {
    pub(super) fn new(against_noise: bool) -> Self {
        Self {
            against_noise,
            fft: Fft::new(WINDOW),
            windows: Windows::new(),
            error: [0.0; WINDOW],
            echo: [0.0; WINDOW],
            error_spectrum: Spectrum::ZERO,
            echo_spectrum: Spectrum::ZERO,
            cleaned: Spectrum::ZERO,
            expected: [[f32x8::ZERO; VECTORS]; 2],
            bins: std::array::from_fn(Bins::new),
            presence: 0.0,
            upper_gain: 1.0,
            hops: 0,
            comfort: Noise::new(),
            output: [0.0; HEARD],
        }
    }

    /// Takes the prediction for a hop. Fills `cleaned` with the hop of 15 ms before, without echo.
    pub(super) fn suppress(&mut self, prediction: &Prediction, cleaned: &mut [f32]) {
        append(&mut self.error, &prediction.error);
        append(&mut self.echo, &prediction.echo);
        let Self { fft, windows, .. } = self;
        let windowed = |signal: &[f32; WINDOW], samples: &mut [f32]| {
            for ((sample, value), weight) in samples.iter_mut().zip(signal).zip(&windows.analysis) {
                *sample = value * weight;
            }
        };
        fft.spectrum(&mut self.error_spectrum, |samples| windowed(&self.error, samples));
        fft.spectrum(&mut self.echo_spectrum, |samples| windowed(&self.echo, samples));
        self.expect(&prediction.expected_error);
        self.estimate();
        let strongest = if self.against_noise { STRONGEST / (NOISE_FLOOR * NOISE_FLOOR) } else { STRONGEST };
        let strength = strongest.powf(1.0 - ((self.presence - 0.1) / 0.5).clamp(0.0, 1.0));
        let (mut upper_before, mut upper_after) = (f32x8::ZERO, f32x8::ZERO);
        let floor = if self.against_noise { NOISE_FLOOR * NOISE_FLOOR } else { 1.0 };
        let values = self.cleaned.parts_mut().zip(self.error_spectrum.parts()).zip(&mut self.bins);
        for (((re, im), error), bins) in values {
            let power = error.0 * error.0 + error.1 * error.1;
            let echo_gain = bins.against_echo(power, strength);
            let kept = echo_gain * echo_gain;
            let gain = if self.against_noise { echo_gain * bins.against_noise(power * kept) } else { echo_gain };
            let comfort = ((1.0 - kept) * bins.noise * floor).sqrt();
            let unit = self.comfort.units();
            (*re, *im) = (error.0 * gain + unit.0 * comfort, error.1 * gain + unit.1 * comfort);
            upper_before += bins.is_upper * power;
            upper_after += bins.is_upper * power * gain * gain;
        }
        let samples = self.fft.inverse(|bins| self.cleaned.give(bins));
        self.upper_gain = (upper_after.reduce_add() / (upper_before.reduce_add() + 1e-12)).sqrt();
        self.output.copy_within(HOP.., 0);
        self.output.iter_mut().skip(LATENCY).for_each(|sample| *sample = 0.0);
        let heard = samples.iter().skip(WINDOW - HEARD);
        for ((sum, sample), weight) in self.output.iter_mut().zip(heard).zip(&self.windows.synthesis) {
            *sum += sample * weight;
        }
        for (to, from) in cleaned.iter_mut().zip(&self.output).take(HOP) {
            *to = *from;
        }
        self.hops = self.hops.saturating_add(1);
    }

    /// The share of the near end in the last windows, 0 to 1.
    pub(super) fn presence(&self) -> f32 {
        self.presence
    }

    /// The gain between 4 and 7.5 kHz, which the band above 8 kHz follows.
    pub(super) fn upper_gain(&self) -> f32 {
        self.upper_gain
    }

    /// Converts the expected error to the bins of a window: those of the filter are wider.
    fn expect(&mut self, expected: &[f32; kalman::BINS]) {
        self.expected.swap(0, 1);
        let [newest, _] = &mut self.expected;
        let scale = self.windows.power / HOP as f32;
        let step = (kalman::BINS - 1) as f32 / (BINS - 1) as f32;
        for (vector, values) in newest.iter_mut().enumerate() {
            let interpolated = |lane: usize| {
                let at = (8 * vector + lane) as f32 * step;
                let low = (at as usize).min(kalman::BINS - 2);
                let part = at - low as f32;
                let (Some(one), Some(two)) = (expected.get(low), expected.get(low + 1)) else { return 0.0 };
                (one * (1.0 - part) + two * part) * scale
            };
            *values = f32x8::new(std::array::from_fn(interpolated));
        }
    }

    /// Estimates the noise, the residual echo, and the share of the near end.
    fn estimate(&mut self) {
        let hops = self.hops;
        let [newest, last] = &self.expected;
        let spectra = self.error_spectrum.parts().zip(self.echo_spectrum.parts());
        let (mut above, mut whole) = (f32x8::ZERO, f32x8::ZERO);
        for ((bins, (error, echo)), (newest, last)) in self.bins.iter_mut().zip(spectra).zip(newest.iter().zip(last)) {
            let power = error.0 * error.0 + error.1 * error.1;
            let echo_power = echo.0 * echo.0 + echo.1 * echo.1;
            bins.smooth = 0.7 * bins.smooth + 0.3 * power;
            bins.tail = echo_power.fast_max(0.5 * bins.tail);
            bins.learn_noise(hops);
            bins.learn_leak(power);
            bins.residual = bins.log_leak.exp() * bins.tail + UNEXPECTED * newest.fast_max(*last);
            bins.cross.0 = 0.85 * bins.cross.0 + 0.15 * (error.0 * echo.0 + error.1 * echo.1);
            bins.cross.1 = 0.85 * bins.cross.1 + 0.15 * (error.1 * echo.0 - error.0 * echo.1);
            bins.error_power = 0.85 * bins.error_power + 0.15 * power;
            bins.echo_power = 0.85 * bins.echo_power + 0.15 * echo_power;
            let together = bins.cross.0 * bins.cross.0 + bins.cross.1 * bins.cross.1;
            let coherence = together / (bins.error_power * bins.echo_power + 1e-12);
            bins.residual = bins.residual.fast_max((coherence - 0.3).fast_max(f32x8::ZERO) * bins.error_power);
            let near = (power - 3.0 * bins.residual - 2.0 * bins.noise).fast_max(f32x8::ZERO);
            above += bins.is_speech * near.sqrt();
            whole += bins.is_speech * power.sqrt();
        }
        let (above, whole) = (above.reduce_add(), whole.reduce_add());
        let talk = above / (whole + 1e-9);
        let keep = if talk > self.presence { 0.4 } else { 0.9 };
        self.presence = keep * self.presence + (1.0 - keep) * talk;
    }
}

impl Bins {
    fn new(vector: usize) -> Self {
        let share = |range: Range<usize>| {
            f32x8::new(std::array::from_fn(|lane| if range.contains(&(8 * vector + lane)) { 1.0 } else { 0.0 }))
        };
        Self {
            is_speech: share(SPEECH_BINS),
            is_upper: share(UPPER_BINS),
            smooth: f32x8::ZERO,
            tail: f32x8::ZERO,
            noise: f32x8::splat(1e-3),
            log_leak: f32x8::splat(0.3_f32.ln()),
            speech: f32x8::ZERO,
            cross: (f32x8::ZERO, f32x8::ZERO),
            error_power: f32x8::ZERO,
            echo_power: f32x8::ZERO,
            residual: f32x8::ZERO,
            clear: f32x8::ZERO,
        }
    }

    fn learn_noise(&mut self, hops: u32) {
        let smooth = self.smooth;
        match hops {
            0 => self.noise = smooth + 1e-3,
            1 | 2 => self.noise = smooth.fast_max(f32x8::splat(1e-7)),
            _ if hops < FIRST_HOPS => self.noise = self.noise.fast_min(smooth.fast_max(f32x8::splat(1e-7))),
            _ => {}
        }
        self.noise = smooth.simd_lt(self.noise).select(0.9 * self.noise + 0.1 * smooth, self.noise * 1.004);
    }

    /// The gain that keeps the near end (Ephraim & Malah 1984, decision-directed).
    fn against_echo(&mut self, power: f32x8, strength: f32) -> f32x8 {
        let masked = strength * self.residual + 1e-9;
        let ratio = (0.92 * self.speech + 0.08 * (power - masked).fast_max(f32x8::ZERO)) / masked;
        let gain = ratio / (1.0 + ratio);
        self.speech = gain * gain * power;
        gain
    }

    /// The gain that reduces steady noise, but not by more than [`NOISE_FLOOR`].
    fn against_noise(&mut self, power: f32x8) -> f32x8 {
        let noise = self.noise + 1e-9;
        let ratio = (0.96 * self.clear + 0.04 * (power - noise).fast_max(f32x8::ZERO)) / noise;
        let gain = ratio / (1.0 + ratio);
        self.clear = gain * gain * power;
        gain.fast_max(f32x8::splat(NOISE_FLOOR))
    }

    /// Follows a low quantile of the ratio of residual to echo, where the echo is above the noise.
    fn learn_leak(&mut self, power: f32x8) {
        let heard = self.tail.simd_gt(4.0 * self.noise);
        let left = (power - self.noise).fast_max(f32x8::splat(1e-9));
        let distance = (left / (self.tail + 1e-9)).ln() - self.log_leak;
        let toward = distance.simd_gt(f32x8::ZERO).select(f32x8::splat(0.4), f32x8::splat(-0.6));
        let step = 0.07 * toward * (distance.abs() * 2.0).fast_min(f32x8::ONE);
        let least_and_most = (f32x8::splat(1e-4_f32.ln()), f32x8::splat(2.0_f32.ln()));
        let leak = (self.log_leak + step).fast_max(least_and_most.0).fast_min(least_and_most.1);
        self.log_leak = heard.select(leak, self.log_leak);
    }
}

fn append(signal: &mut [f32; WINDOW], hop: &[f32; HOP]) {
    signal.copy_within(HOP.., 0);
    for (to, from) in signal.iter_mut().skip(WINDOW - HOP).zip(hop) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_to_the_bins_and_back_is_what_it_was() {
        let Windows { analysis, synthesis, .. } = Windows::new();
        let both: Vec<f32> = analysis[WINDOW - HEARD..].iter().zip(&synthesis).map(|(one, two)| one * two).collect();
        for index in 0..HOP {
            let sum: f32 = both.iter().skip(index).step_by(HOP).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{index}: {sum}");
        }
    }
}
