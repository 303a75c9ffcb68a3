//! Measures what a place does to sound: a sweep is played and recorded, and the recording is analysed.
//!
//! The sweep is exponential (Farina, AES Convention 108, 2000): the spectrum of the recording, divided by that of the
//! sweep, is the frequency response of the place. In the impulse response, each harmonic that the loudspeaker adds
//! appears separately, before the direct sound.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex32;

/// The range of the sweep, in Hz: what small loudspeakers can play.
const FROM_HZ: f64 = 150.0;
const TO_HZ: f64 = 7_000.0;
/// The length of the sweep, and of the silence before it and after it.
const SWEEP_S: f64 = 2.0;
const SILENCE_S: f64 = 1.0;
/// The peak of the sweep: -12 dBFS.
const LEVEL: f64 = 0.25;
/// The sweep fades in and out over this time, so that it does not click.
const FADE_S: f64 = 0.02;
/// The direct sound must come within this time, which is longer than the buffers of any card.
const LONGEST_DELAY_S: f64 = 0.8;
/// Half the width of the window around a harmonic.
const HARMONIC_S: f64 = 0.01;
/// Half the width of the window around the direct sound.
const ANSWER_S: f64 = 0.05;
/// The harmonics that are counted.
const HARMONICS: std::ops::RangeInclusive<u32> = 2..=5;
/// A sample this close to full scale was clipped.
const CLIPPED: f32 = 0.985;

/// A sweep between two silences, at a card's rate.
pub struct Sweep {
    rate_hz: u32,
    samples: Vec<f32>,
}

/// The result of a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Acoustics {
    /// From a sample that is played to the same sample in the recording, in milliseconds; `None` if the recording does
    /// not contain the sweep.
    pub delay_ms: Option<f64>,
    /// How much quieter the recording is than what was played, in dB; negative if it is louder.
    pub echo_return_loss_db: f64,
    /// RMS of the recording while the sweep is audible, in dBFS.
    pub microphone_dbfs: f64,
    /// RMS before the sweep, in dBFS.
    pub noise_dbfs: f64,
    /// Amplitude of the harmonics relative to the sound itself, in percent.
    pub distortion_percent: f64,
    /// The recording reached full scale.
    pub clipped: bool,
}

impl Sweep {
    /// A sweep for a card of this rate.
    pub fn new(rate_hz: u32) -> Self {
        let rate = f64::from(rate_hz);
        let (silence, length) = ((SILENCE_S * rate) as usize, (SWEEP_S * rate) as usize);
        let ratio = (TO_HZ / FROM_HZ).ln();
        let tone = (0..length).map(|index| {
            let time = index as f64 / rate;
            let phase = std::f64::consts::TAU * FROM_HZ * SWEEP_S / ratio * ((time / SWEEP_S * ratio).exp() - 1.0);
            let edge = (time.min(SWEEP_S - time) / FADE_S).min(1.0);
            (LEVEL * edge * phase.sin()) as f32
        });
        let quiet = |count| std::iter::repeat_n(0.0, count);
        Self { rate_hz, samples: quiet(silence).chain(tone).chain(quiet(silence)).collect() }
    }

    /// The samples to play.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    fn seconds(&self, seconds: f64) -> usize {
        (seconds * f64::from(self.rate_hz)) as usize
    }

    /// Analyses a recording that began with the first played sample. `full_scale` is the full scale of its converter.
    pub fn analyse(&self, recorded: &[f32], full_scale: f32) -> Acoustics {
        let answer = self.answer(recorded);
        let (delay, found) = self.delay(&answer);
        let begin = self.seconds(SILENCE_S);
        // The noise is measured before anything was played, but after the card's start.
        let noise = power(recorded.get(begin / 2..begin).unwrap_or_default());
        let heard_from = begin + if found { delay } else { 0 };
        let heard = recorded.get(heard_from..).unwrap_or_default();
        let heard = heard.get(..self.seconds(SWEEP_S).min(heard.len())).unwrap_or_default();
        let played = power(self.samples.get(begin..begin + self.seconds(SWEEP_S)).unwrap_or_default());
        let level = power(heard);
        Acoustics {
            delay_ms: found.then(|| delay as f64 * 1_000.0 / f64::from(self.rate_hz)),
            echo_return_loss_db: db(played) - db((level - noise).max(1e-10)),
            microphone_dbfs: db(level),
            noise_dbfs: db(noise),
            distortion_percent: if found { self.distortion_percent(&answer, delay) } else { 0.0 },
            clipped: heard.iter().filter(|sample| sample.abs() > CLIPPED * full_scale).count() > 3,
        }
    }

    /// The impulse response of the place. The harmonics come before time 0, so they wrap around to its end.
    fn answer(&self, recorded: &[f32]) -> Vec<f32> {
        let length = (self.samples.len() + self.seconds(LONGEST_DELAY_S)).next_power_of_two();
        let mut planner = RealFftPlanner::<f32>::new();
        let forward = planner.plan_fft_forward(length);
        let transform = |samples: &[f32]| {
            let (mut padded, mut bins) = (forward.make_input_vec(), forward.make_output_vec());
            padded.iter_mut().zip(samples).for_each(|(to, from)| *to = *from);
            // The lengths are those of the plan, so this cannot fail.
            let _ = forward.process(&mut padded, &mut bins);
            bins
        };
        let (played, mut heard) = (transform(&self.samples), transform(recorded));
        let strongest = played.iter().map(Complex32::norm_sqr).fold(0.0, f32::max);
        for (heard, played) in heard.iter_mut().zip(&played) {
            *heard *= played.conj() / (played.norm_sqr() + strongest * 1e-4);
        }
        if let [first, .., last] = heard.as_mut_slice() {
            (first.im, last.im) = (0.0, 0.0);
        }
        let inverse = planner.plan_fft_inverse(length);
        let mut answer = inverse.make_output_vec();
        let _ = inverse.process(&mut heard, &mut answer);
        answer
    }

    /// The position of the peak of the impulse response, and whether the peak stands out.
    fn delay(&self, answer: &[f32]) -> (usize, bool) {
        let causal = answer.get(..self.seconds(LONGEST_DELAY_S)).unwrap_or_default();
        let strongest = causal.iter().enumerate().max_by(|one, other| one.1.abs().total_cmp(&other.1.abs()));
        let Some((delay, peak)) = strongest else { return (0, false) };
        let all = power(causal).sqrt();
        (delay, f64::from(peak.abs()) > (8.0 * all).max(1e-7))
    }

    fn distortion_percent(&self, answer: &[f32], delay: usize) -> f64 {
        let around = |middle: isize, seconds: f64| {
            let half = self.seconds(seconds) as isize;
            let at = |index: isize| answer.get(index.rem_euclid(answer.len() as isize) as usize).copied();
            (middle - half..middle + half).filter_map(at).map(|sample| f64::from(sample * sample)).sum::<f64>()
        };
        let ratio = (TO_HZ / FROM_HZ).ln();
        let harmonics: f64 = HARMONICS
            .map(|order| {
                let earlier = self.seconds(SWEEP_S * f64::from(order).ln() / ratio) as isize;
                around(delay as isize - earlier, HARMONIC_S)
            })
            .sum();
        (harmonics / around(delay as isize, ANSWER_S).max(1e-20)).sqrt() * 100.0
    }
}

fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

fn db(power: f64) -> f64 {
    10.0 * power.max(1e-10).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 16_000;

    /// A place with a delay in samples, a gain, a cubic distortion of the loudspeaker, and noise.
    fn record(sweep: &Sweep, delay: usize, gain: f32, cube: f32, noise: f32) -> Vec<f32> {
        let mut random = 3;
        (0..sweep.samples().len())
            .map(|index| {
                let played = index.checked_sub(delay).map_or(0.0, |index| sweep.samples()[index]);
                let bent = played + cube * (4.0 * played).powi(3) / 4.0;
                (gain * bent + crate::noise::random(&mut random) * noise).clamp(-1.0, 1.0)
            })
            .collect()
    }

    #[test]
    fn delay_loss_and_noise_of_a_place_are_found() {
        let sweep = Sweep::new(RATE_HZ);
        for (delay, gain) in [(0, 0.5), (640, 0.1), (4_000, 1.0)] {
            let found = sweep.analyse(&record(&sweep, delay, gain, 0.0, 1e-3), 1.0);
            let delay_ms = found.delay_ms.unwrap();
            assert!((delay_ms - delay as f64 / 16.0).abs() < 0.2, "{delay_ms}");
            let loss_db = f64::from(-20.0 * gain.log10());
            assert!((found.echo_return_loss_db - loss_db).abs() < 0.5, "{found:?}");
            assert!((found.noise_dbfs + 63.0).abs() < 6.0, "{found:?}");
            assert!(found.distortion_percent < 2.5, "{found:?}");
            assert!(!found.clipped);
        }
    }

    #[test]
    fn a_loudspeaker_that_distorts_and_a_microphone_that_clips_are_reported() {
        let sweep = Sweep::new(RATE_HZ);
        let clean = sweep.analyse(&record(&sweep, 500, 0.5, 0.0, 1e-3), 1.0).distortion_percent;
        let bent = sweep.analyse(&record(&sweep, 500, 0.5, 0.4, 1e-3), 1.0).distortion_percent;
        assert!(bent > 5.0 && bent > 5.0 * clean, "{clean} {bent}");
        assert!(sweep.analyse(&record(&sweep, 500, 8.0, 0.0, 1e-3), 1.0).clipped);
    }

    #[test]
    fn a_microphone_that_hears_nothing_has_no_delay() {
        let sweep = Sweep::new(RATE_HZ);
        assert_eq!(sweep.analyse(&record(&sweep, 500, 0.0, 0.0, 1e-2), 1.0).delay_ms, None);
        assert_eq!(sweep.analyse(&vec![0.0; sweep.samples().len()], 1.0).delay_ms, None);
        assert_eq!(sweep.analyse(&[], 1.0).delay_ms, None);
    }
}
