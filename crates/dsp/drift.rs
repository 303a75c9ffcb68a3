//! Converts between two clocks that should be equal but are not.

use std::f64::consts::PI;

use wide::f32x8;

/// Samples on each side of the one that is computed: a quarter of a millisecond at 48 kHz.
const REACH: usize = 12;
const TAPS: usize = 2 * REACH;
/// Positions between two samples that have their own filter. Between two filters the output is interpolated linearly,
/// with an error of -85 dB.
const PHASES: usize = 128;
/// The parameter of the Kaiser window, for 63 dB of attenuation.
const BETA: f64 = 6.0;

/// The position is on a whole sample if it is closer than this, in samples.
const ALIGNED: f64 = 1e-6;
/// A tone of 1 kHz moves by a quarter of a hertz while the position is aligned.
const MAX_ALIGN_PPM: f64 = 250.0;

type Filter = [f32x8; TAPS / 8];

/// Follows a clock that runs a little faster or slower than ours. If both clocks have the same rate, samples pass
/// unchanged.
pub struct DriftResampler {
    /// For each phase: its filter, and what the filter of the next phase differs by. The oldest sample comes first.
    filters: Vec<[Filter; 2]>,
    /// The last samples, twice in a row: from `oldest` on they are in order.
    history: [f32; 2 * TAPS],
    oldest: usize,
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
        let taps: Vec<_> = (0..=PHASES).map(filter).collect();
        let with_difference = |(one, next): (&[f32; TAPS], &[f32; TAPS])| {
            let mut difference = *next;
            difference.iter_mut().zip(one).for_each(|(next, one)| *next -= one);
            [*one, difference].map(vectors)
        };
        let filters = taps.iter().zip(taps.iter().skip(1)).map(with_difference).collect();
        Self { filters, history: [0.0; 2 * TAPS], oldest: 0, position: 0.0 }
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

    /// The rate at which the next samples bring the position to a whole sample, in ppm; 0 as soon as it is there. Then
    /// samples pass unchanged, and cost almost nothing.
    pub fn align(&mut self, samples: usize) -> f64 {
        let away = self.position - self.position.round();
        if away.abs() < ALIGNED {
            self.position = self.position.round();
            return 0.0;
        }
        let whole_ppm = -away / samples.max(1) as f64 * 1e6;
        whole_ppm.clamp(-MAX_ALIGN_PPM, MAX_ALIGN_PPM)
    }

    fn take(&mut self, sample: f32) {
        self.position = (self.position - 1.0).max(0.0);
        for copy in [self.oldest, self.oldest + TAPS] {
            if let Some(place) = self.history.get_mut(copy) {
                *place = sample;
            }
        }
        self.oldest = (self.oldest + 1) % TAPS;
    }

    fn value(&self) -> f32 {
        let phase = self.position * PHASES as f64;
        if phase == 0.0 {
            return self.history.get(self.oldest + REACH - 1).copied().unwrap_or_default();
        }
        let index = phase as usize;
        let part = f32x8::splat((phase - index as f64) as f32);
        let heard = self.history.get(self.oldest..).unwrap_or_default().as_chunks().0;
        let Some([one, difference]) = self.filters.get(index) else { return 0.0 };
        let taps = one.iter().zip(difference).map(|(one, difference)| difference.mul_add(part, *one));
        taps.zip(heard).fold(f32x8::ZERO, |sum, (taps, heard)| taps.mul_add(f32x8::new(*heard), sum)).reduce_add()
    }
}

impl Default for DriftResampler {
    fn default() -> Self {
        Self::new()
    }
}

fn vectors(taps: [f32; TAPS]) -> Filter {
    let mut filter = [f32x8::ZERO; TAPS / 8];
    filter.iter_mut().zip(taps.as_chunks().0).for_each(|(vector, taps)| *vector = f32x8::new(*taps));
    filter
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
    fn a_clock_that_turns_out_to_be_the_same_is_followed_without_a_step_until_samples_pass_unchanged() {
        let mut drift = DriftResampler::new();
        let (mut heard, mut taken) = (Vec::new(), 0_usize);
        for frame in 0..100 {
            let ppm = if frame < 50 { 77.0 } else { drift.align(480) };
            let needed = drift.needed(480, ppm);
            let wave = |index: usize| (index as f64 * std::f64::consts::TAU * 1_000.0 / 48_000.0).sin() as f32;
            let input: Vec<f32> = (taken..taken + needed).map(wave).collect();
            taken += needed;
            let mut output = [0.0; 480];
            drift.process(&input, &mut output, ppm);
            heard.extend_from_slice(&output);
            if frame > 60 {
                assert_eq!(drift.align(480), 0.0, "{frame}");
                assert_eq!(output[479 - REACH..], input[input.len() - 2 * REACH - 1..input.len() - REACH], "{frame}");
            }
        }
        // The largest step of this tone is 0.131.
        let steps = heard.windows(2).skip(480).map(|pair| (pair[1] - pair[0]).abs());
        let largest = steps.fold(0.0, f32::max);
        assert!(largest < 0.132, "{largest}");
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
