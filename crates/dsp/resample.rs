//! Converts between any two rates by a windowed sinc in phases, without the transforms of a library.

use std::sync::Arc;

use crate::dot;

/// Zero crossings of the sinc on each side: a delay of 3 ms at 8 kHz, and of half a millisecond at 48 kHz.
const CROSSINGS: usize = 24;
/// The frequency with half the amplitude, as a share of the lower rate. The pass band ends at 42 % of that rate; images
/// are 60 dB down.
const CUTOFF: f64 = 0.46;
/// The parameter of the Kaiser window, for 63 dB of attenuation.
const BETA: f64 = 6.0;
/// The highest number of phases. Pairs of rates that need more use the nearest phase.
const MAX_PHASES: usize = 1024;

/// Converts one rate to another. If both are the same, samples are copied.
pub struct Resampler {
    /// One filter for each phase, `taps` long; the oldest sample comes first.
    filters: Arc<[f32]>,
    taps: usize,
    /// Both rates without their common factor: `input` samples become `output` samples.
    input: usize,
    output: usize,
    /// Samples in a frame of 10 ms, at both rates.
    frames: (usize, usize),
    /// The last `taps` samples, and room for a frame.
    history: Vec<f32>,
}

fn greatest_common_divisor(one: usize, other: usize) -> usize {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

/// The modified Bessel function of order zero, for the Kaiser window.
pub(crate) fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    (1..30).fold(1.0, |sum, k| {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum + term
    })
}

impl Resampler {
    /// A converter for whole frames of 10 ms at both rates.
    pub fn new(from_hz: u32, to_hz: u32) -> Self {
        let (from, to) = (from_hz.max(100) as usize, to_hz.max(100) as usize);
        let common = greatest_common_divisor(from, to);
        let (input, output) = (from / common, to / common);
        let phases = output.min(MAX_PHASES);
        // Lengths are in input samples: a lower output rate needs a longer sinc.
        let stretch = (from as f64 / to as f64).max(1.0);
        let reach = CROSSINGS as f64 * stretch;
        let taps = 2 * reach.ceil() as usize;
        let mut filters = vec![0.0; phases * taps];
        for (phase, filter) in filters.chunks_exact_mut(taps).enumerate() {
            let offset = phase as f64 / phases as f64;
            for (tap, value) in filter.iter_mut().enumerate() {
                let at = tap as f64 + offset - reach.ceil();
                let angle = std::f64::consts::TAU * CUTOFF / stretch * at;
                let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
                let edge = (at / reach).clamp(-1.0, 1.0);
                *value = (sinc * bessel(BETA * (1.0 - edge * edge).sqrt())) as f32;
            }
            // Every phase passes a constant unchanged.
            let sum: f32 = filter.iter().sum();
            filter.iter_mut().for_each(|value| *value /= sum);
            filter.reverse();
        }
        let frames = (from / 100, to / 100);
        Self { filters: filters.into(), taps, input, output, frames, history: vec![0.0; taps + frames.0] }
    }

    /// The delay of the output, in input samples.
    fn delay(&self) -> usize {
        if self.input == self.output { 0 } else { self.taps / 2 }
    }

    /// Converts whole frames. Returns the number of samples written.
    pub fn process(&mut self, samples: &[f32], converted: &mut [f32]) -> usize {
        let (input, output) = self.frames;
        let frames = samples.chunks_exact(input).zip(converted.chunks_exact_mut(output));
        frames.map(|(from, to)| self.frame(from, to)).sum()
    }

    fn frame(&mut self, from: &[f32], to: &mut [f32]) -> usize {
        if self.input == self.output {
            to.copy_from_slice(from);
            return to.len();
        }
        self.history.copy_within(from.len().., 0);
        let older = self.history.len() - from.len();
        if let Some(newest) = self.history.get_mut(older..) {
            newest.copy_from_slice(from);
        }
        for (index, sample) in to.iter_mut().enumerate() {
            *sample = self.at(older, index);
        }
        to.len()
    }

    /// The output sample at `index`, counted from the input sample at `begin` of the history.
    fn at(&self, begin: usize, index: usize) -> f32 {
        let position = index * self.input;
        let (whole, part) = (position / self.output, position % self.output);
        let phases = self.output.min(MAX_PHASES);
        let filter = part * phases / self.output * self.taps;
        let filter = self.filters.get(filter..filter + self.taps).unwrap_or_default();
        let newest = begin + whole;
        let oldest = (newest + 1).saturating_sub(self.taps);
        let heard = self.history.get(oldest..=newest).unwrap_or_default();
        dot(filter, heard)
    }

    /// Converts a whole signal, without delay.
    pub fn convert(samples: &[f32], from_hz: u32, to_hz: u32) -> Vec<f32> {
        let mut all = Self::new(from_hz, to_hz);
        if all.input == all.output {
            return samples.to_vec();
        }
        let delay = all.delay();
        all.history = vec![0.0; all.taps];
        all.history.extend_from_slice(samples);
        all.history.extend(std::iter::repeat_n(0.0, delay));
        let length = samples.len() * all.output / all.input;
        (0..length).map(|index| all.at(all.taps + delay, index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f32, rate_hz: u32) -> Vec<f32> {
        (0..rate_hz).map(|index| (std::f32::consts::TAU * hertz * index as f32 / rate_hz as f32).sin() * 0.5).collect()
    }

    fn level(samples: &[f32]) -> f32 {
        (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn a_tone_keeps_its_level_over_both_conversions() {
        for rate in [48_000, 16_000, 44_100, 32_000] {
            let mut up = Resampler::new(8_000, rate);
            let mut down = Resampler::new(rate, 8_000);
            let mut wide = vec![0.0; rate as usize];
            assert_eq!(up.process(&tone(1_000.0, 8_000), &mut wide), rate as usize);
            let mut narrow = vec![0.0; 8_000];
            assert_eq!(down.process(&wide, &mut narrow), 8_000);
            assert!((level(&narrow[4_000..]) - 0.3535).abs() < 0.002, "{rate}: {}", level(&narrow[4_000..]));
        }
    }

    #[test]
    fn telephone_speech_passes_up_to_3300_hz_and_its_images_do_not() {
        let mut wide = vec![0.0; 48_000];
        Resampler::new(8_000, 48_000).process(&tone(3_300.0, 8_000), &mut wide);
        assert!((level(&wide[24_000..]) - 0.3535).abs() < 0.02, "{}", level(&wide[24_000..]));
        // Without the tone, its image at 4700 Hz and above remains.
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (index, sample) in wide[24_000..].iter().enumerate() {
            let angle = std::f64::consts::TAU * 3_300.0 * index as f64 / 48_000.0;
            sine += f64::from(*sample) * angle.sin() / 12_000.0;
            cosine += f64::from(*sample) * angle.cos() / 12_000.0;
        }
        let rest: Vec<f32> = wide[24_000..]
            .iter()
            .enumerate()
            .map(|(index, sample)| {
                let angle = std::f64::consts::TAU * 3_300.0 * index as f64 / 48_000.0;
                *sample - (sine * angle.sin() + cosine * angle.cos()) as f32
            })
            .collect();
        let image_db = 20.0 * (level(&rest) / 0.3535).log10();
        assert!(image_db < -55.0, "{image_db}");
    }

    #[test]
    fn what_a_lower_rate_cannot_hold_is_gone() {
        let mut narrow = vec![0.0; 8_000];
        Resampler::new(48_000, 8_000).process(&tone(5_000.0, 48_000), &mut narrow);
        assert!(20.0 * (level(&narrow[4_000..]) / 0.3535).log10() < -55.0);
    }

    #[test]
    fn a_whole_signal_comes_without_delay_at_any_rates() {
        for (from, to) in [(44_100, 48_000), (22_050, 16_000), (11_025, 48_000), (47_999, 48_000)] {
            let converted = Resampler::convert(&tone(500.0, from), from, to);
            let wanted = tone(500.0, to);
            assert_eq!(converted.len(), to as usize);
            let middle = 2_000..to as usize - 2_000;
            let worst = middle.map(|index| (converted[index] - wanted[index]).abs()).fold(0.0, f32::max);
            assert!(worst < 0.003, "{from} to {to}: {worst}");
        }
    }
}
