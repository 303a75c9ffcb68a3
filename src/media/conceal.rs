//! Concealment for G.711: the last pitch period goes on and fades (in the manner of ITU-T G.711
//! Appendix I, without its overlap delay).

/// Samples at 8 kHz that are remembered: three periods of the lowest voice.
const HISTORY: usize = 360;
/// Shortest and longest pitch period that is looked for, in samples: 400 to 66 Hz.
const LAGS: (usize, usize) = (20, 120);
/// Samples over which the sound fades to nothing: 60 ms.
const FADE: f32 = 480.0;

/// Remembers decoded speech and goes on with it where packets are missing.
pub(super) struct Concealer {
    history: [f32; HISTORY],
    lost_samples: usize,
    lag: usize,
}

impl Concealer {
    pub(super) fn new() -> Self {
        Self { history: [0.0; HISTORY], lost_samples: 0, lag: LAGS.1 }
    }

    /// Notes decoded samples; the first ones after a gap are faded in over what was made up.
    pub(super) fn decoded(&mut self, samples: &mut [f32]) {
        if self.lost_samples > 0 {
            let overlap = samples.len().min(32);
            for (index, sample) in samples.iter_mut().take(overlap).enumerate() {
                let weight = (index as f32 + 1.0) / (overlap as f32 + 1.0);
                *sample = *sample * weight + self.next_made_up() * (1.0 - weight);
            }
            self.lost_samples = 0;
        }
        self.remember(samples);
    }

    /// Fills a gap.
    pub(super) fn conceal(&mut self, samples: &mut [f32]) {
        if self.lost_samples == 0 {
            self.lag = self.pitch();
        }
        for sample in samples {
            *sample = self.next_made_up();
            self.lost_samples += 1;
        }
    }

    fn next_made_up(&mut self) -> f32 {
        let gain = (1.0 - self.lost_samples as f32 / FADE).max(0.0);
        let position = HISTORY - self.lag + self.lost_samples % self.lag;
        self.history.get(position).copied().unwrap_or_default() * gain
    }

    fn remember(&mut self, samples: &[f32]) {
        let kept = samples.len().min(HISTORY);
        self.history.copy_within(kept.., 0);
        let newest = samples.get(samples.len() - kept..).unwrap_or_default();
        if let Some(end) = self.history.get_mut(HISTORY - kept..) {
            end.copy_from_slice(newest);
        }
    }

    /// The lag at which the history is most like itself.
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
}
