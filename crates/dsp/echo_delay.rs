//! Finds the delay of the echo, from loudspeaker to microphone, by GCC-PHAT (Knapp & Carter 1976).

use realfft::num_complex::Complex32;

use crate::fft::Fft;
use crate::{HOP, RATE_HZ, power};

/// Samples in one correlation.
const WINDOW: usize = 4096;
const BINS: usize = WINDOW / 2 + 1;
/// Hops between two estimates: until a delay is known, and from then on.
const EVERY_HOPS: (usize, usize) = (4, 8);
/// The longest delay: 150 ms.
const LONGEST: usize = RATE_HZ as usize * 150 / 1000;
/// The band in which speech has its energy.
const BAND_HZ: (usize, usize) = (300, 4000);
/// Peaks in a row that must agree before a delay is believed.
const AGREEING: u32 = 4;
/// A peak must exceed the RMS of the correlation by this factor.
const STANDS_OUT: f32 = 8.0;

/// Tracks the delay.
pub(super) struct DelayTracker {
    fft: Fft,
    window: Vec<f32>,
    far: Vec<f32>,
    microphone: Vec<f32>,
    /// The next position to write in both rings.
    at: usize,
    hops: usize,
    far_bins: Vec<Complex32>,
    microphone_bins: Vec<Complex32>,
    cross: Vec<Complex32>,
    candidate: usize,
    hits: u32,
    known: Option<usize>,
}

impl DelayTracker {
    pub(super) fn new() -> Self {
        let hann = |index: usize| 0.5 - 0.5 * (std::f32::consts::TAU * index as f32 / (WINDOW - 1) as f32).cos();
        Self {
            fft: Fft::new(WINDOW),
            window: (0..WINDOW).map(hann).collect(),
            far: vec![0.0; WINDOW],
            microphone: vec![0.0; WINDOW],
            at: 0,
            hops: 0,
            far_bins: vec![Complex32::default(); BINS],
            microphone_bins: vec![Complex32::default(); BINS],
            cross: vec![Complex32::default(); BINS],
            candidate: 0,
            hits: 0,
            known: None,
        }
    }

    /// The delay in samples, if it is known. It is estimated at some hops; in between this returns `None`.
    pub(super) fn delay(&mut self) -> Option<usize> {
        if self.hops >= if self.known.is_none() { EVERY_HOPS.0 } else { EVERY_HOPS.1 } {
            self.hops = 0;
            self.look();
            return self.known;
        }
        None
    }

    /// Takes a hop of both signals.
    pub(super) fn hear(&mut self, far: &[f32], microphone: &[f32]) {
        for (far, microphone) in far.iter().zip(microphone).take(HOP) {
            if let (Some(to_far), Some(to_microphone)) = (self.far.get_mut(self.at), self.microphone.get_mut(self.at)) {
                (*to_far, *to_microphone) = (*far, *microphone);
            }
            self.at = (self.at + 1) % WINDOW;
        }
        self.hops += 1;
    }

    fn look(&mut self) {
        if power(&self.far) <= 1e-5 {
            return;
        }
        let Self { fft, window, at, .. } = self;
        let unroll = |ring: &[f32], samples: &mut [f32]| {
            let (newer, older) = ring.split_at(*at);
            for ((sample, value), weight) in samples.iter_mut().zip(older.iter().chain(newer)).zip(window.iter()) {
                *sample = value * weight;
            }
        };
        fft.forward(&mut self.far_bins, |samples| unroll(&self.far, samples));
        fft.forward(&mut self.microphone_bins, |samples| unroll(&self.microphone, samples));
        let bin = |hertz: usize| hertz * WINDOW / RATE_HZ as usize;
        let band = bin(BAND_HZ.0)..bin(BAND_HZ.1);
        let pairs = self.far_bins.iter().zip(&self.microphone_bins);
        for (index, (cross, (far, microphone))) in self.cross.iter_mut().zip(pairs).enumerate() {
            *cross *= 0.9;
            if band.contains(&index) {
                let power = far.norm_sqr();
                // Only partly whitened: bins in which the far end is strong count more.
                *cross +=
                    far.conj() * microphone * (power.powf(0.15) / ((power * microphone.norm_sqr()).sqrt() + 1e-9));
            }
        }
        let correlation = self.fft.inverse(|bins| bins.copy_from_slice(&self.cross));
        let correlation = correlation.get(..LONGEST).unwrap_or_default();
        let mean = correlation.iter().map(|value| value * value).sum::<f32>() / LONGEST as f32;
        let best = correlation.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1));
        let Some((peak, height)) = best else { return };
        if height / (mean.sqrt() + 1e-12) < STANDS_OUT {
            return;
        }
        self.hits = if peak.abs_diff(self.candidate) < 16 { self.hits + 1 } else { 1 };
        self.candidate = peak;
        if self.hits >= AGREEING {
            self.known = Some(peak);
        }
    }
}
