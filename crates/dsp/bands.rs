//! Splits 48 kHz into a band of 16 kHz, in which speech is processed, and the rest above 8 kHz, which follows it.
//!
//! A linear-phase low-pass reduces the rate and raises it again. The upper band is the difference to the input, so
//! nothing is lost.

use crate::{HOP, dot};

/// From 48 kHz to 16 kHz.
const FACTOR: usize = 3;
/// Samples in a wide hop: 10 ms at 48 kHz.
pub(super) const WIDE_HOP: usize = FACTOR * HOP;
/// Taps of the low-pass; odd, for a delay of 1.5 ms in each direction.
const TAPS: usize = 145;
/// -6 dB at this frequency, -60 dB from 8.6 kHz on.
const CUTOFF_HZ: f32 = 7_600.0;

const DOWN_TAPS: usize = TAPS.next_multiple_of(8);
/// Taps of each phase of the interpolation: its share of the low-pass, and zeros for whole vectors.
const PHASE_TAPS: usize = (TAPS / FACTOR + 1).next_multiple_of(8);

/// Splits hops of 48 kHz into two bands and joins them again.
pub(super) struct Bands {
    /// The low-pass, after zeros for whole vectors.
    taps: [f32; DOWN_TAPS],
    /// The taps for the samples at, one and two samples after a sample of the low band; the oldest comes first.
    phases: [[f32; PHASE_TAPS]; FACTOR],
    down: [f32; DOWN_TAPS - 1 + WIDE_HOP],
    /// One interpolates the low band before processing, the other the processed low band.
    ups: [Up; 2],
    /// The input, delayed until its low band has been reduced and interpolated.
    delayed: [f32; TAPS - 1 + WIDE_HOP],
}

/// Interpolates hops of 16 kHz to 48 kHz.
struct Up {
    history: [f32; PHASE_TAPS + HOP],
}

impl Bands {
    /// The delay of splitting and joining, in samples at 48 kHz.
    pub(super) const DELAY: usize = TAPS - 1;

    pub(super) fn new() -> Self {
        let middle = (TAPS / 2) as f32;
        let cutoff = CUTOFF_HZ / 48_000.0;
        let mut taps = [0.0; TAPS];
        for (index, tap) in taps.iter_mut().enumerate() {
            let at = index as f32 - middle;
            let angle = std::f32::consts::TAU * cutoff * at;
            let sinc = if at == 0.0 { 2.0 * cutoff } else { angle.sin() / (std::f32::consts::PI * at) };
            // The Blackman window.
            let turn = std::f32::consts::TAU * index as f32 / (TAPS - 1) as f32;
            *tap = sinc * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos());
        }
        let sum: f32 = taps.iter().sum();
        taps.iter_mut().for_each(|tap| *tap /= sum);
        let mut phases = [[0.0; PHASE_TAPS]; FACTOR];
        for (phase, filter) in phases.iter_mut().enumerate() {
            for (to, tap) in filter.iter_mut().rev().zip(taps.iter().skip(phase).step_by(FACTOR)) {
                *to = tap * FACTOR as f32;
            }
        }
        let up = || Up { history: [0.0; PHASE_TAPS + HOP] };
        let mut padded = [0.0; DOWN_TAPS];
        padded.iter_mut().skip(DOWN_TAPS - TAPS).zip(taps).for_each(|(to, tap)| *to = tap);
        Self {
            taps: padded,
            phases,
            down: [0.0; DOWN_TAPS - 1 + WIDE_HOP],
            ups: [up(), up()],
            delayed: [0.0; TAPS - 1 + WIDE_HOP],
        }
    }

    /// The band below 8 kHz of a wide hop.
    pub(super) fn low(&mut self, wide: &[f32], low: &mut [f32; HOP]) {
        self.down.copy_within(WIDE_HOP.., 0);
        for (to, from) in self.down.iter_mut().skip(DOWN_TAPS - 1).zip(wide) {
            *to = *from;
        }
        for (index, sample) in low.iter_mut().enumerate() {
            let window = self.down.get(index * FACTOR..).and_then(|window| window.first_chunk::<DOWN_TAPS>());
            *sample = window.map_or(0.0, |window| dot(window, &self.taps));
        }
    }

    /// What a wide hop contains beside its low band. It needs both: the wide hop, and what [`Self::low`] made of it.
    pub(super) fn high(&mut self, wide: &[f32], low: &[f32; HOP], high: &mut [f32; WIDE_HOP]) {
        self.delayed.copy_within(WIDE_HOP.., 0);
        for (to, from) in self.delayed.iter_mut().skip(Self::DELAY).zip(wide) {
            *to = *from;
        }
        let [before, _] = &mut self.ups;
        before.interpolate(&self.phases, low, high);
        for (high, whole) in high.iter_mut().zip(&self.delayed) {
            *high = whole - *high;
        }
    }

    /// A processed low band at 48 kHz.
    pub(super) fn wide(&mut self, low: &[f32; HOP], wide: &mut [f32; WIDE_HOP]) {
        let [_, after] = &mut self.ups;
        after.interpolate(&self.phases, low, wide);
    }
}

impl Up {
    fn interpolate(&mut self, phases: &[[f32; PHASE_TAPS]; FACTOR], low: &[f32; HOP], wide: &mut [f32; WIDE_HOP]) {
        self.history.copy_within(HOP.., 0);
        for (to, from) in self.history.iter_mut().skip(PHASE_TAPS).zip(low) {
            *to = *from;
        }
        // The first window ends with the first sample of this hop.
        let windows = self.history.windows(PHASE_TAPS).skip(1);
        for (samples, window) in wide.chunks_exact_mut(FACTOR).zip(windows) {
            for (sample, filter) in samples.iter_mut().zip(phases) {
                *sample = dot(filter, window);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_and_join(hertz: f32) -> (f32, f32, f32) {
        let mut bands = Bands::new();
        let input: Vec<f32> =
            (0..WIDE_HOP * 60).map(|index| (std::f32::consts::TAU * hertz * index as f32 / 48_000.0).sin()).collect();
        let (mut output, mut low_power, mut high_power) = (Vec::new(), 0.0, 0.0);
        for (index, wide) in input.chunks_exact(WIDE_HOP).enumerate() {
            let (mut low, mut high, mut joined) = ([0.0; HOP], [0.0; WIDE_HOP], [0.0; WIDE_HOP]);
            bands.low(wide, &mut low);
            bands.high(wide, &low, &mut high);
            bands.wide(&low, &mut joined);
            output.extend(joined.iter().zip(&high).map(|(low, high)| low + high));
            if index < 10 {
                // The tone has just begun.
                continue;
            }
            low_power += low.iter().map(|sample| sample * sample).sum::<f32>() / HOP as f32;
            high_power += high.iter().map(|sample| sample * sample).sum::<f32>() / WIDE_HOP as f32;
        }
        let worst = input[..input.len() - Bands::DELAY]
            .iter()
            .zip(&output[Bands::DELAY..])
            .map(|(input, output)| (input - output).abs())
            .fold(0.0, f32::max);
        (worst, 10.0 * (low_power / 25.0).log10(), 10.0 * (high_power / 25.0).log10())
    }

    #[test]
    fn what_is_split_is_joined_to_what_it_was() {
        for hertz in [300.0, 3_000.0, 7_500.0, 8_000.0, 12_000.0] {
            assert!(split_and_join(hertz).0 < 1e-4, "{hertz} Hz: {}", split_and_join(hertz).0);
        }
    }

    #[test]
    fn each_band_has_what_belongs_to_it() {
        let (_, low, high) = split_and_join(1_000.0);
        assert!(low > -0.1 && high < -45.0, "{low} {high}");
        let (_, low, high) = split_and_join(12_000.0);
        assert!(low < -55.0 && high > -0.1, "{low} {high}");
    }
}
