//! Shortens or lengthens speech without a click: one period of the voice is left out, or repeated.
//!
//! Where two neighbouring pieces of sound are similar, or almost silent, one is faded into the other (WSOLA: Verhelst
//! and Roelands, ICASSP 1993, with the period of the voice as its step).

use crate::power;

/// The shortest and the longest period, in samples at [`SEARCH_HZ`]: 2.5 to 12.5 ms.
const PERIODS: std::ops::RangeInclusive<usize> = 20..=100;
/// The search for similar pieces starts at this rate, and goes on at our rate around the place that was found.
const SEARCH_HZ: usize = 8_000;
/// How similar two pieces must be; a correlation of 1 means that they are equal.
const ALIKE: f32 = 0.7;
/// If a delay is off its target by more than the first time, in seconds, the pieces may be less similar; beyond the
/// second time they need not be similar at all, because noise has no periods.
const CHOOSY_S: f32 = 0.02;
const DESPERATE_S: f32 = 0.1;
/// A lower correlation means noise, of which the longest possible piece is taken.
const NOISE: f32 = 0.3;
/// If the RMS is below this, nobody hears that something is left out: -55 dBFS.
const NOTHING: f32 = 0.0018;
/// The longest sound that is searched, in samples at [`SEARCH_HZ`]: 40 ms.
const LONGEST: usize = 320;

/// Shortens and lengthens sound of one rate.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// Our samples for each sample at [`SEARCH_HZ`].
    factor: usize,
}

impl Stretch {
    /// `rate_hz` is a multiple of 8 kHz.
    pub fn new(rate_hz: u32) -> Self {
        Self { factor: (rate_hz as usize / SEARCH_HZ).max(1) }
    }

    /// How many samples both operations need to find any period: 25 ms.
    pub fn needed(&self) -> usize {
        2 * PERIODS.end() * self.factor
    }

    /// Leaves out one period at the beginning, if that is closer to `wanted` samples than leaving out none. Returns how
    /// many samples remain, at the beginning of `samples`.
    pub fn shorten(&self, samples: &mut [f32], wanted: usize) -> usize {
        let length = samples.len();
        let Some(period) = self.period(samples, wanted) else { return length };
        for index in 0..period {
            let weight = (index as f32 + 0.5) / period as f32;
            let later = samples.get(index + period).copied().unwrap_or_default();
            if let Some(sample) = samples.get_mut(index) {
                *sample += (later - *sample) * weight;
            }
        }
        samples.copy_within((2 * period).min(length).., period);
        length - period
    }

    /// Repeats one period at the beginning, if that is closer to `wanted` more samples than repeating none. `samples`
    /// holds `length` samples of sound, and free room after them. Returns the new length, which is the old one if there
    /// is no room or no period.
    pub fn lengthen(&self, samples: &mut [f32], length: usize, wanted: usize) -> usize {
        let Some(period) = samples.get(..length).and_then(|sound| self.period(sound, wanted)) else { return length };
        if length + period > samples.len() {
            return length;
        }
        samples.copy_within(period..length, 2 * period);
        // The second period is faded into the first, which is followed by the second again.
        for index in 0..period {
            let weight = (index as f32 + 0.5) / period as f32;
            let first = samples.get(index).copied().unwrap_or_default();
            let second = samples.get(index + 2 * period).copied().unwrap_or_default();
            if let Some(sample) = samples.get_mut(index + period) {
                *sample = second + (first - second) * weight;
            }
        }
        length + period
    }

    /// The distance of two similar pieces at the beginning, in samples: at most twice what is wanted.
    fn period(&self, samples: &[f32], wanted: usize) -> Option<usize> {
        let mut coarse = [0.0; LONGEST];
        let length = (samples.len() / self.factor).min(LONGEST);
        for (to, from) in coarse.iter_mut().zip(samples.chunks_exact(self.factor)) {
            *to = from.iter().sum::<f32>() / self.factor as f32;
        }
        let coarse = coarse.get(..length)?;
        let wanted = wanted / self.factor;
        let wanted_s = wanted as f32 / SEARCH_HZ as f32;
        let least_alike = ALIKE * ((DESPERATE_S - wanted_s) / (DESPERATE_S - CHOOSY_S)).clamp(0.0, 1.0);
        let longest = (*PERIODS.end()).min(length / 2).min(2 * wanted);
        if power(coarse) < NOTHING * NOTHING {
            return (longest >= *PERIODS.start()).then_some(longest.min(wanted).max(*PERIODS.start()) * self.factor);
        }
        let best = (*PERIODS.start()..=longest)
            .map(|period| (period, likeness(coarse, period, period)))
            .max_by(|one, other| one.1.total_cmp(&other.1))?;
        let (period, alike) = best;
        if alike < least_alike {
            return None;
        }
        if alike < NOISE {
            return Some(longest * self.factor);
        }
        // The same search at our rate, around the place that was found.
        let (middle, radius) = (period * self.factor, self.factor - 1);
        (middle.saturating_sub(radius)..=middle + radius)
            .filter(|period| 2 * period <= samples.len())
            .map(|period| (period, likeness(samples, period, middle - radius)))
            .max_by(|one, other| one.1.total_cmp(&other.1))
            .map(|(period, _)| period)
    }
}

/// The normalised correlation of the first `length` samples with those that come `period` later.
fn likeness(samples: &[f32], period: usize, length: usize) -> f32 {
    let later = samples.get(period..).unwrap_or_default();
    let (product, one, other) = samples
        .iter()
        .take(length)
        .zip(later)
        .fold((0.0, 0.0, 0.0), |(product, one, other), (a, b)| (product + a * b, one + a * a, other + b * b));
    product / ((one * other).sqrt() + 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice of 140 Hz with its harmonics.
    fn voice(rate_hz: u32, length: usize) -> Vec<f32> {
        let sample = |index: usize| -> f32 {
            let time = index as f32 / rate_hz as f32;
            (1..8).map(|n| (std::f32::consts::TAU * 140.0 * n as f32 * time).sin() * 0.2 / n as f32).sum()
        };
        (0..length).map(sample).collect()
    }

    /// The largest step between two samples.
    fn step(samples: &[f32]) -> f32 {
        samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_voice_loses_or_gains_one_period_and_has_no_step() {
        for rate_hz in [8_000, 16_000, 48_000] {
            let stretch = Stretch::new(rate_hz);
            let length = rate_hz as usize * 30 / 1000;
            let period = rate_hz as f32 / 140.0;
            let original = voice(rate_hz, length);

            let mut shorter = original.clone();
            let left = stretch.shorten(&mut shorter, period as usize);
            assert!(((length - left) as f32 - period).abs() < 2.0, "{rate_hz}: {}", length - left);
            assert!(step(&shorter[..left]) <= step(&original) * 1.1);
            assert_eq!(shorter[left - 1], original[length - 1]);

            let mut longer = original.clone();
            longer.resize(2 * length, 0.0);
            let left = stretch.lengthen(&mut longer, length, period as usize);
            assert!(((left - length) as f32 - period).abs() < 2.0, "{rate_hz}: {}", left - length);
            assert!(step(&longer[..left]) <= step(&original) * 1.1);
            assert_eq!(longer[left - 1], original[length - 1]);
        }
    }

    #[test]
    fn a_period_of_more_than_twice_what_is_wanted_stays() {
        let stretch = Stretch::new(16_000);
        let mut voice = voice(16_000, 480);
        // A period of 7 ms.
        let period = 16_000 / 140;
        assert_eq!(stretch.shorten(&mut voice, period * 4 / 10), 480);
        assert!(stretch.shorten(&mut voice, period * 6 / 10) < 480);
    }

    #[test]
    fn silence_can_be_cut_and_noise_only_where_much_is_wanted() {
        let stretch = Stretch::new(16_000);
        assert_eq!(stretch.shorten(&mut [0.0; 400], 1_000), 200);
        assert_eq!(stretch.shorten(&mut [0.0; 400], 80), 320);
        let mut random = 1;
        let mut noise: Vec<f32> = (0..400).map(|_| crate::noise::random(&mut random) * 0.3).collect();
        assert_eq!(stretch.shorten(&mut noise, 300), 400);
        assert!(stretch.shorten(&mut noise, 1_600) < 400, "a tenth of a second too late");
    }

    #[test]
    fn too_little_sound_or_room_is_left_as_it_is() {
        let stretch = Stretch::new(48_000);
        assert_eq!(stretch.shorten(&mut [], 1_000), 0);
        assert_eq!(stretch.shorten(&mut [0.0; 100], 1_000), 100);
        let mut full = voice(48_000, 1_440);
        assert_eq!(stretch.lengthen(&mut full, 1_440, 1_000), 1_440);
    }
}
