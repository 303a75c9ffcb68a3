//! Converts between two clocks that should be equal but are not.

use std::f64::consts::PI;

/// Samples on each side of the one that is computed: a quarter of a millisecond at 48 kHz.
const REACH: usize = 12;
const TAPS: usize = 2 * REACH;
/// Positions between two samples that have their own filter. Between two filters the output is interpolated linearly,
/// with an error of -85 dB.
const PHASES: usize = 128;
/// The parameter of the Kaiser window, for 63 dB of attenuation.
const BETA: f64 = 6.0;

/// Follows a clock that runs a little faster or slower than ours. If both clocks have the same rate, samples pass
/// unchanged.
pub struct DriftResampler {
    /// One filter for each phase, and one for the phase after the last; the oldest sample comes first.
    filters: Vec<[f32; TAPS]>,
    history: [f32; TAPS],
    /// The position of the next output sample, in input samples after the middle of the history.
    position: f64,
}

impl DriftResampler {
    /// A resampler that has heard silence until now.
    pub fn new() -> Self {
        let filter = |phase: usize| {
            let offset = phase as f64 / PHASES as f64;
            let mut taps = [0.0; TAPS];
            for (index, tap) in taps.iter_mut().enumerate() {
                let at = index as f64 - (REACH as f64 - 1.0) - offset;
                let sinc = if at == 0.0 { 1.0 } else { (PI * at).sin() / (PI * at) };
                let edge = (at / REACH as f64).clamp(-1.0, 1.0);
                *tap = (sinc * crate::resample::bessel(BETA * (1.0 - edge * edge).sqrt())) as f32;
            }
            let sum: f32 = taps.iter().sum();
            taps.map(|tap| tap / sum)
        };
        Self { filters: (0..=PHASES).map(filter).collect(), history: [0.0; TAPS], position: 0.0 }
    }

    /// The number of input samples that `outputs` output samples need. `ppm` is how much faster the far clock runs.
    pub fn needed(&self, outputs: usize, ppm: f64) -> usize {
        (self.position + outputs.saturating_sub(1) as f64 * step(ppm)) as usize
    }

    /// The number of output samples that `inputs` input samples produce.
    pub fn given(&self, inputs: usize, ppm: f64) -> usize {
        ((inputs as f64 + 1.0 - self.position) / step(ppm)).ceil() as usize
    }

    /// Fills the output and takes all of the input. One of the two must have the length that [`Self::needed`] or
    /// [`Self::given`] returns for the other.
    pub fn process(&mut self, input: &[f32], output: &mut [f32], ppm: f64) {
        let (step, mut input) = (step(ppm), input.iter());
        for sample in output {
            while self.position >= 1.0 {
                self.take(input.next().copied().unwrap_or_default());
            }
            *sample = self.value();
            self.position += step;
        }
        input.for_each(|sample| self.take(*sample));
    }

    fn take(&mut self, sample: f32) {
        self.position = (self.position - 1.0).max(0.0);
        self.history.copy_within(1.., 0);
        if let Some(newest) = self.history.last_mut() {
            *newest = sample;
        }
    }

    fn value(&self) -> f32 {
        let phase = self.position * PHASES as f64;
        let (index, part) = (phase as usize, phase.fract() as f32);
        let (Some(one), Some(next)) = (self.filters.get(index), self.filters.get(index + 1)) else { return 0.0 };
        let filtered =
            |filter: &[f32; TAPS]| -> f32 { filter.iter().zip(&self.history).map(|(tap, sample)| tap * sample).sum() };
        let value = filtered(one);
        if part == 0.0 { value } else { value + part * (filtered(next) - value) }
    }
}

impl Default for DriftResampler {
    fn default() -> Self {
        Self::new()
    }
}

fn step(ppm: f64) -> f64 {
    1.0 + ppm * 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ppm: f64, seconds: usize) -> (Vec<f32>, usize) {
        let mut drift = DriftResampler::new();
        let (mut heard, mut taken) = (Vec::new(), 0_usize);
        for _ in 0..seconds * 100 {
            let needed = drift.needed(160, ppm);
            let input: Vec<f32> = (taken..taken + needed)
                .map(|index| (index as f64 * std::f64::consts::TAU * 1_000.0 / 16_000.0).sin() as f32)
                .collect();
            taken += needed;
            let mut output = [0.0; 160];
            drift.process(&input, &mut output, ppm);
            heard.extend_from_slice(&output);
        }
        (heard, taken)
    }

    #[test]
    fn a_clock_that_runs_alike_is_passed_on_as_it_is() {
        let (heard, taken) = run(0.0, 1);
        assert_eq!(taken, 15_999);
        for (index, heard) in heard.iter().enumerate().skip(1_000).take(500) {
            let sent = ((index - REACH - 1) as f64 * std::f64::consts::TAU * 1_000.0 / 16_000.0).sin() as f32;
            assert!((heard - sent).abs() < 1e-6, "{index}");
        }
    }

    #[test]
    fn what_is_given_takes_all_of_the_input() {
        for ppm in [0.0, 333.0, -333.0] {
            let (mut drift, mut outputs) = (DriftResampler::new(), 0);
            for frame in 0..2_000 {
                let given = drift.given(160, ppm);
                outputs += given;
                drift.process(&[0.0; 160], &mut [0.0; 200][..given], ppm);
                assert!((1.0..2.001).contains(&drift.position), "frame {frame}: {}", drift.position);
            }
            let expected = 2_000.0 * 160.0 / step(ppm);
            assert!((outputs as f64 - expected).abs() < 2.0, "{ppm} ppm: {outputs}");
        }
    }

    #[test]
    fn a_tone_keeps_its_line_at_200_ppm() {
        let (heard, taken) = run(200.0, 10);
        assert!((160_030..=160_032).contains(&taken), "{taken}");
        // The residual after the tone, which is 200 ppm higher, is removed.
        let heard = &heard[16_000..];
        let hertz = 1_000.0 * (1.0 + 200e-6);
        let angle = |index: usize| index as f64 * std::f64::consts::TAU * hertz / 16_000.0;
        let count = heard.len() as f64;
        let (sine, cosine) = heard.iter().enumerate().fold((0.0, 0.0), |(sine, cosine), (index, sample)| {
            (sine + f64::from(*sample) * angle(index).sin(), cosine + f64::from(*sample) * angle(index).cos())
        });
        let (sine, cosine) = (2.0 * sine / count, 2.0 * cosine / count);
        let rest: f64 = heard
            .iter()
            .enumerate()
            .map(|(index, sample)| {
                (f64::from(*sample) - sine * angle(index).sin() - cosine * angle(index).cos()).powi(2)
            })
            .sum();
        let rest_db = 10.0 * (rest / count / 0.5).log10();
        assert!(rest_db < -70.0, "{rest_db}");
    }
}
