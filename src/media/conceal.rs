//! Concealment for G.711: the last pitch period is repeated and fades into the background noise. It works like ITU-T
//! G.711 Appendix I, but without the overlap delay of that method.

use crate::sound::power;

/// Samples at 8 kHz that are remembered: three periods of the lowest voice.
const HISTORY: usize = 360;
/// Shortest and longest pitch period that is searched for, in samples: 400 to 66 Hz.
const LAGS: (usize, usize) = (20, 120);
/// Samples over which the sound fades: 60 ms.
const FADE: f32 = 480.0;
/// Samples over which the sound after a gap is faded in: 5 ms.
const OVERLAP: usize = 40;
/// Samples in a piece of background noise: 10 ms.
const PIECE: usize = 80;
/// Factor by which each piece raises the power of the quietest one, so that it is forgotten within some seconds.
const FORGET: f32 = 1.005;
/// Sound louder than this is not background noise: -40 dBFS.
const LOUDEST_NOISE: f32 = 1e-4;

/// The quietest recent sound, and noise that sounds like it.
struct Background {
    piece: [f32; PIECE],
    power: f32,
    /// White noise, the newest sample first.
    white: [f32; PIECE],
    random: u32,
}

impl Background {
    fn new() -> Self {
        Self { piece: [0.0; PIECE], power: LOUDEST_NOISE, white: [0.0; PIECE], random: 1 }
    }

    fn heard(&mut self, samples: &[f32]) {
        for piece in samples.chunks_exact(PIECE) {
            let power = power(piece);
            self.power = (self.power * FORGET).min(LOUDEST_NOISE);
            if power < self.power {
                self.power = power;
                self.piece.copy_from_slice(piece);
            }
        }
    }

    /// Returns the next sample of noise. White noise that is filtered with the quietest piece has the spectrum and the
    /// power of that piece.
    fn next(&mut self) -> f32 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let uniform = (self.random >> 8) as f32 / (1 << 23) as f32 - 1.0;
        self.white.copy_within(..PIECE - 1, 1);
        if let Some(newest) = self.white.first_mut() {
            // The white noise has the power 1 / PIECE.
            *newest = uniform * (3.0 / PIECE as f32).sqrt();
        }
        self.piece.iter().zip(&self.white).map(|(tap, sample)| tap * sample).sum()
    }
}

/// Remembers decoded speech, and continues it where packets are missing.
pub(super) struct Concealer {
    history: [f32; HISTORY],
    /// One pitch period that can be repeated without a step: `cycle[..lag]`.
    cycle: [f32; LAGS.1],
    lag: usize,
    lost_samples: usize,
    background: Background,
}

impl Concealer {
    pub(super) fn new() -> Self {
        Self {
            history: [0.0; HISTORY],
            cycle: [0.0; LAGS.1],
            lag: LAGS.1,
            lost_samples: 0,
            background: Background::new(),
        }
    }

    /// Notes decoded samples. After a gap, the first ones are cross-faded with the concealment.
    pub(super) fn decoded(&mut self, samples: &mut [f32]) {
        if self.lost_samples > 0 {
            let overlap = samples.len().min(OVERLAP);
            for (index, sample) in samples.iter_mut().take(overlap).enumerate() {
                let weight = (index as f32 + 1.0) / (overlap as f32 + 1.0);
                *sample = *sample * weight + self.next_made_up() * (1.0 - weight);
            }
            self.lost_samples = 0;
        }
        self.background.heard(samples);
        self.remember(samples);
    }

    /// Fills a gap with concealment.
    pub(super) fn conceal(&mut self, samples: &mut [f32]) {
        if self.lost_samples == 0 {
            self.take_cycle();
        }
        for sample in samples {
            *sample = self.next_made_up();
        }
    }

    fn next_made_up(&mut self) -> f32 {
        let gain = (1.0 - self.lost_samples as f32 / FADE).max(0.0);
        let voice = self.cycle.get(self.lost_samples % self.lag).copied().unwrap_or_default();
        self.lost_samples = self.lost_samples.saturating_add(1);
        voice * gain + self.background.next() * (1.0 - gain)
    }

    /// Takes the last pitch period. Its end is faded into the sound that came before its beginning.
    fn take_cycle(&mut self) {
        self.lag = self.pitch();
        let begin = HISTORY - self.lag;
        let fade = self.lag / 4;
        for (index, sample) in self.cycle.iter_mut().take(self.lag).enumerate() {
            let at = |position: usize| self.history.get(position).copied().unwrap_or_default();
            let weight = (index + fade).saturating_sub(self.lag) as f32 / fade as f32;
            *sample = at(begin + index) * (1.0 - weight) + at((begin + index).saturating_sub(self.lag)) * weight;
        }
    }

    fn remember(&mut self, samples: &[f32]) {
        let kept = samples.len().min(HISTORY);
        self.history.copy_within(kept.., 0);
        let newest = samples.get(samples.len() - kept..).unwrap_or_default();
        if let Some(end) = self.history.get_mut(HISTORY - kept..) {
            end.copy_from_slice(newest);
        }
    }

    /// Returns the lag at which the history is most similar to itself.
    fn pitch(&self) -> usize {
        let window = LAGS.1;
        let end = self.history.get(HISTORY - window..).unwrap_or_default();
        let likeness = |lag: usize| {
            let earlier = self.history.get(HISTORY - window - lag..HISTORY - lag).unwrap_or_default();
            let (product, energy) =
                end.iter().zip(earlier).fold((0.0_f32, 1e-9_f32), |(product, energy), (one, other)| {
                    (product + one * other, energy + other * other)
                });
            product / energy.sqrt()
        };
        (LAGS.0..=LAGS.1).max_by(|one, other| likeness(*one).total_cmp(&likeness(*other))).unwrap_or(LAGS.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(from: usize, length: usize) -> Vec<f32> {
        (from..from + length).map(|index| (index as f32 * std::f32::consts::TAU * 200.0 / 8000.0).sin() * 0.5).collect()
    }

    #[test]
    fn a_voice_goes_on_over_a_lost_packet_without_a_step() {
        let mut concealer = Concealer::new();
        concealer.decoded(&mut tone(0, 480));
        let mut made_up = vec![0.0; 160];
        concealer.conceal(&mut made_up);
        let truth = tone(480, 160);
        let error: f32 = made_up.iter().zip(&truth).map(|(one, other)| (one - other).powi(2)).sum();
        let energy: f32 = truth.iter().map(|sample| sample.powi(2)).sum();
        assert!(error / energy < 0.1, "{}", error / energy);
    }

    #[test]
    fn a_long_gap_fades_to_silence() {
        let mut concealer = Concealer::new();
        concealer.decoded(&mut tone(0, 480));
        let mut made_up = vec![0.0; 800];
        concealer.conceal(&mut made_up);
        assert!(made_up[500..].iter().all(|sample| sample.abs() < 1e-6));
    }

    #[test]
    fn a_cycle_repeats_without_a_step() {
        let mut concealer = Concealer::new();
        // A period that is not a whole number of samples, with an amplitude that grows.
        let voice: Vec<f32> = (0..480).map(|index| (index as f32 * 0.119).sin() * index as f32 / 1_000.0).collect();
        concealer.decoded(&mut voice.clone());
        let mut made_up = vec![0.0; 320];
        concealer.conceal(&mut made_up);
        let step = |samples: &[f32]| samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(step(&made_up) < step(&voice) * 1.2, "{} {}", step(&made_up), step(&voice));
    }

    #[test]
    fn behind_a_voice_that_faded_is_the_noise_of_the_place() {
        let mut concealer = Concealer::new();
        let mut random = 7_u32;
        let mut noise = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((random >> 8) as f32 / (1 << 23) as f32 - 1.0) * 0.003
        };
        for _ in 0..20 {
            concealer.decoded(&mut std::array::from_fn::<f32, 160, _>(|_| noise()));
        }
        let mut made_up = vec![0.0; 8_000];
        concealer.conceal(&mut made_up);
        let ratio = power(&made_up[800..]) / 3e-6;
        assert!((0.4..1.6).contains(&ratio), "{ratio}");
    }
}
