//! Removes the echo that the prediction leaves, and does less while the near end talks.
//!
//! A Wiener gain for each bin by the decision-directed estimate (Ephraim & Malah 1984), with comfort noise in place of
//! what is removed. A window of 45 ms is taken every 10 ms, and only its last 25 ms reach the output. So the frequency
//! resolution is fine, and the output is only 15 ms late (asymmetric windows, after Mauler & Martin, EUSIPCO 2007).

use std::f32::consts::PI;
use std::ops::Range;

use realfft::num_complex::Complex32;

use crate::fft::Fft;
use crate::kalman::{self, Prediction};
use crate::{HOP, RATE_HZ};

/// Samples in a window.
const WINDOW: usize = 45 * RATE_HZ as usize / 1000;
/// Samples at the end of a window that reach the output.
const HEARD: usize = 25 * RATE_HZ as usize / 1000;
/// Bins of a window.
const BINS: usize = WINDOW / 2 + 1;
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

/// The state of one bin over time.
#[derive(Clone, Copy)]
struct Bin {
    smooth: f32,
    /// The echo estimate, with a decay.
    tail: f32,
    noise: f32,
    /// The share of the echo estimate that is left as residual, as a natural logarithm.
    log_leak: f32,
    /// The power of the near end that the last window let through.
    speech: f32,
    cross: Complex32,
    error_power: f32,
    echo_power: f32,
    residual: f32,
    /// The power above the noise that the last window let through.
    clear: f32,
}

pub(super) struct Suppressor {
    /// Reduces steady noise as well.
    against_noise: bool,
    fft: Fft,
    windows: Windows,
    error: [f32; WINDOW],
    echo: [f32; WINDOW],
    error_bins: Vec<Complex32>,
    echo_bins: Vec<Complex32>,
    /// The error that the filter expected in this hop and in the last one.
    expected: [[f32; BINS]; 2],
    bins: [Bin; BINS],
    presence: f32,
    upper_gain: f32,
    hops: u32,
    random: u32,
    output: [f32; HEARD],
}

impl Suppressor {
    pub(super) fn new(against_noise: bool) -> Self {
        let bin = Bin {
            smooth: 0.0,
            tail: 0.0,
            noise: 1e-3,
            log_leak: 0.3_f32.ln(),
            speech: 0.0,
            cross: Complex32::default(),
            error_power: 0.0,
            echo_power: 0.0,
            residual: 0.0,
            clear: 0.0,
        };
        Self {
            against_noise,
            fft: Fft::new(WINDOW),
            windows: Windows::new(),
            error: [0.0; WINDOW],
            echo: [0.0; WINDOW],
            error_bins: vec![Complex32::default(); BINS],
            echo_bins: vec![Complex32::default(); BINS],
            expected: [[0.0; BINS]; 2],
            bins: [bin; BINS],
            presence: 0.0,
            upper_gain: 1.0,
            hops: 0,
            random: 1,
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
        fft.forward(&mut self.error_bins, |samples| windowed(&self.error, samples));
        fft.forward(&mut self.echo_bins, |samples| windowed(&self.echo, samples));
        self.expect(&prediction.expected_error);
        self.estimate();
        let strongest = if self.against_noise { STRONGEST / (NOISE_FLOOR * NOISE_FLOOR) } else { STRONGEST };
        let strength = strongest.powf(1.0 - ((self.presence - 0.1) / 0.5).clamp(0.0, 1.0));
        let Self { bins, error_bins, random, against_noise, .. } = self;
        let (mut upper_before, mut upper_after) = (0.0, 0.0);
        let samples = self.fft.inverse(|output| {
            let values = output.iter_mut().zip(error_bins.iter()).zip(bins.iter_mut());
            for (index, ((output, error), bin)) in values.enumerate() {
                let power = error.norm_sqr();
                let echo_gain = bin.against_echo(power, strength);
                let noise_gain = if *against_noise { bin.against_noise(power * echo_gain * echo_gain) } else { 1.0 };
                let gain = echo_gain * noise_gain;
                let floor = if *against_noise { NOISE_FLOOR * NOISE_FLOOR } else { 1.0 };
                let comfort = ((1.0 - echo_gain * echo_gain) * bin.noise * floor).sqrt();
                *output = error * gain + unit(random) * comfort;
                if UPPER_BINS.contains(&index) {
                    upper_before += power;
                    upper_after += power * gain * gain;
                }
            }
        });
        self.upper_gain = (upper_after / (upper_before + 1e-12)).sqrt();
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
        for (index, value) in newest.iter_mut().enumerate() {
            let at = index as f32 * step;
            let low = (at as usize).min(kalman::BINS - 2);
            let part = at - low as f32;
            let (Some(one), Some(two)) = (expected.get(low), expected.get(low + 1)) else { continue };
            *value = (one * (1.0 - part) + two * part) * scale;
        }
    }

    /// Estimates the noise, the residual echo, and the share of the near end.
    fn estimate(&mut self) {
        let hops = self.hops;
        let [newest, last] = &self.expected;
        let values = self.error_bins.iter().zip(&self.echo_bins).zip(newest.iter().zip(last));
        let (mut above, mut whole) = (0.0, 0.0);
        for (index, (bin, ((error, echo), (newest, last)))) in self.bins.iter_mut().zip(values).enumerate() {
            let (power, echo_power) = (error.norm_sqr(), echo.norm_sqr());
            bin.smooth = 0.7 * bin.smooth + 0.3 * power;
            bin.tail = echo_power.max(0.5 * bin.tail);
            bin.learn_noise(hops);
            bin.learn_leak(power);
            bin.residual = bin.log_leak.exp() * bin.tail + UNEXPECTED * newest.max(*last);
            bin.cross = bin.cross * 0.85 + error * echo.conj() * 0.15;
            bin.error_power = 0.85 * bin.error_power + 0.15 * power;
            bin.echo_power = 0.85 * bin.echo_power + 0.15 * echo_power;
            let coherence = bin.cross.norm_sqr() / (bin.error_power * bin.echo_power + 1e-12);
            bin.residual = bin.residual.max((coherence - 0.3).max(0.0) * bin.error_power);
            if SPEECH_BINS.contains(&index) {
                above += (power - 3.0 * bin.residual - 2.0 * bin.noise).max(0.0).sqrt();
                whole += power.sqrt();
            }
        }
        let talk = above / (whole + 1e-9);
        let keep = if talk > self.presence { 0.4 } else { 0.9 };
        self.presence = keep * self.presence + (1.0 - keep) * talk;
    }
}

impl Bin {
    fn learn_noise(&mut self, hops: u32) {
        match hops {
            0 => self.noise = self.smooth + 1e-3,
            1 | 2 => self.noise = self.smooth.max(1e-7),
            _ if hops < FIRST_HOPS => self.noise = self.noise.min(self.smooth.max(1e-7)),
            _ => {}
        }
        self.noise = if self.smooth < self.noise { 0.9 * self.noise + 0.1 * self.smooth } else { self.noise * 1.004 };
    }

    /// The gain that keeps the near end (Ephraim & Malah 1984, decision-directed).
    fn against_echo(&mut self, power: f32, strength: f32) -> f32 {
        let masked = strength * self.residual + 1e-9;
        let ratio = 0.92 * self.speech / masked + 0.08 * (power / masked - 1.0).max(0.0);
        let gain = ratio / (1.0 + ratio);
        self.speech = gain * gain * power;
        gain
    }

    /// The gain that reduces steady noise, but not by more than [`NOISE_FLOOR`].
    fn against_noise(&mut self, power: f32) -> f32 {
        let noise = self.noise + 1e-9;
        let ratio = 0.96 * self.clear / noise + 0.04 * (power / noise - 1.0).max(0.0);
        let gain = ratio / (1.0 + ratio);
        self.clear = gain * gain * power;
        gain.max(NOISE_FLOOR)
    }

    /// Follows a low quantile of the ratio of residual to echo, where the echo is above the noise.
    fn learn_leak(&mut self, power: f32) {
        if self.tail <= 4.0 * self.noise {
            return;
        }
        let distance = (power - self.noise).max(1e-9).ln() - (self.tail + 1e-9).ln() - self.log_leak;
        let toward = if distance > 0.0 { 0.4 } else { -0.6 };
        let step = 0.07 * toward * (distance.abs() * 2.0).min(1.0);
        self.log_leak = (self.log_leak + step).clamp(1e-4_f32.ln(), 2.0_f32.ln());
    }
}

fn append(signal: &mut [f32; WINDOW], hop: &[f32; HOP]) {
    signal.copy_within(HOP.., 0);
    for (to, from) in signal.iter_mut().skip(WINDOW - HOP).zip(hop) {
        *to = *from;
    }
}

/// A complex number of magnitude 1 and random phase (xorshift, Marsaglia 2003).
pub(super) fn unit(random: &mut u32) -> Complex32 {
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    let (sin, cos) = (*random as f32 * (std::f32::consts::TAU / 4_294_967_296.0)).sin_cos();
    Complex32::new(cos, sin)
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
