//! Removes the echo that the prediction leaves, and backs off where the near end talks.
//!
//! A Wiener gain per bin by the decision-directed estimate (Ephraim & Malah 1984), with comfort noise under what it
//! takes away. Windows of 30 ms each 10 ms: what comes out is 20 ms late.

use realfft::num_complex::Complex32;

use crate::HOP;
use crate::fft::Fft;
use crate::kalman::{self, Prediction};

/// Samples of a window.
const WINDOW: usize = 3 * HOP;
/// Bins of a window.
const BINS: usize = WINDOW / 2 + 1;
/// How late the output is, in samples.
pub(super) const LATENCY: usize = WINDOW - HOP;
/// Overlapping windows squared sum up to this.
const OVERLAP: f32 = 1.5;
/// Bins by which the near end is told: 200 to 6000 Hz.
const SPEECH_BINS: std::ops::Range<usize> = 6..180;
/// Over-subtraction while the echo is alone.
const STRONGEST: f32 = 64.0;
/// Over-subtraction while the near end talks.
const WEAKEST: f32 = 1.5;
/// How much more residual there is than the filter expects.
const UNEXPECTED: f32 = 1.75;
/// Bins whose gain the band above 8 kHz follows: 4 to 7.5 kHz.
const UPPER_BINS: std::ops::Range<usize> = 120..226;
/// Noise is taken down by 12 dB at most: less of it, and none of its character lost.
const NOISE_FLOOR: f32 = 0.25;
/// Hops in which the noise floor is learned at once.
const FIRST_HOPS: u32 = 20;

/// What is known of one bin over time.
#[derive(Clone, Copy)]
struct Bin {
    smooth: f32,
    /// The echo estimate, dying away.
    tail: f32,
    noise: f32,
    /// How much of the echo estimate is left, as a logarithm.
    log_leak: f32,
    /// Near-end power that the last window let through.
    speech: f32,
    cross: Complex32,
    error_power: f32,
    echo_power: f32,
    residual: f32,
    /// What the last window let through of what stands above the noise.
    clear: f32,
}

pub(super) struct Suppressor {
    /// Take steady noise down as well.
    against_noise: bool,
    fft: Fft,
    window: [f32; WINDOW],
    error: [f32; WINDOW],
    echo: [f32; WINDOW],
    error_bins: Vec<Complex32>,
    echo_bins: Vec<Complex32>,
    /// What the filter expected of its own error in this hop and the last.
    expected: [[f32; BINS]; 2],
    bins: [Bin; BINS],
    presence: f32,
    upper_gain: f32,
    hops: u32,
    random: u32,
    output: [f32; WINDOW],
}

impl Suppressor {
    pub(super) fn new(against_noise: bool) -> Self {
        let mut window = [0.0; WINDOW];
        for (index, value) in window.iter_mut().enumerate() {
            // The root of a Hann window, at the analysis and at the synthesis.
            *value = (0.5 - 0.5 * (std::f32::consts::TAU * index as f32 / WINDOW as f32).cos()).sqrt();
        }
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
            window,
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
            output: [0.0; WINDOW],
        }
    }

    /// Takes a hop after the prediction; gives the hop of 20 ms before, without echo.
    pub(super) fn suppress(&mut self, prediction: &Prediction, cleaned: &mut [f32]) {
        append(&mut self.error, &prediction.error);
        append(&mut self.echo, &prediction.echo);
        let Self { fft, window, .. } = self;
        let windowed = |signal: &[f32; WINDOW], samples: &mut [f32]| {
            for ((sample, value), weight) in samples.iter_mut().zip(signal).zip(window.iter()) {
                *sample = value * weight;
            }
        };
        fft.forward(&mut self.error_bins, |samples| windowed(&self.error, samples));
        fft.forward(&mut self.echo_bins, |samples| windowed(&self.echo, samples));
        self.expect(&prediction.expected_error);
        self.estimate();
        let strongest = if self.against_noise { STRONGEST / (NOISE_FLOOR * NOISE_FLOOR) } else { STRONGEST };
        let strength = strongest.powf(1.0 - ((self.presence - 0.1) / 0.5).clamp(0.0, 1.0)).max(WEAKEST);
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
        self.output.iter_mut().skip(WINDOW - HOP).for_each(|sample| *sample = 0.0);
        for ((sum, sample), weight) in self.output.iter_mut().zip(samples).zip(&self.window) {
            *sum += sample * weight / OVERLAP;
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

    /// What was let through between 4 and 7.5 kHz: what is above follows it.
    pub(super) fn upper_gain(&self) -> f32 {
        self.upper_gain
    }

    /// The filter's own bins are wider.
    fn expect(&mut self, expected: &[f32; kalman::BINS]) {
        self.expected.swap(0, 1);
        let [newest, _] = &mut self.expected;
        let step = (kalman::BINS - 1) as f32 / (BINS - 1) as f32;
        for (index, value) in newest.iter_mut().enumerate() {
            let at = index as f32 * step;
            let low = (at as usize).min(kalman::BINS - 2);
            let part = at - low as f32;
            let (Some(one), Some(two)) = (expected.get(low), expected.get(low + 1)) else { continue };
            *value = (one * (1.0 - part) + two * part) * OVERLAP;
        }
    }

    /// Noise, residual echo, and how much of the near end there is.
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

    /// The gain that leaves the near end (Ephraim & Malah 1984, decision-directed).
    fn against_echo(&mut self, power: f32, strength: f32) -> f32 {
        let masked = strength * self.residual + 1e-9;
        let ratio = 0.92 * self.speech / masked + 0.08 * (power / masked - 1.0).max(0.0);
        let gain = ratio / (1.0 + ratio);
        self.speech = gain * gain * power;
        gain
    }

    /// The gain that takes steady noise down, not below its floor.
    fn against_noise(&mut self, power: f32) -> f32 {
        let noise = self.noise + 1e-9;
        let ratio = 0.96 * self.clear / noise + 0.04 * (power / noise - 1.0).max(0.0);
        let gain = ratio / (1.0 + ratio);
        self.clear = gain * gain * power;
        gain.max(NOISE_FLOOR)
    }

    /// A low quantile of residual over echo, where the echo stands above the noise.
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

/// A number of size 1 in any direction (xorshift, Marsaglia 2003).
pub(super) fn unit(random: &mut u32) -> Complex32 {
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    let (sin, cos) = (*random as f32 * (std::f32::consts::TAU / 4_294_967_296.0)).sin_cos();
    Complex32::new(cos, sin)
}
