//! Brings speech to one level: slowly, and only by what the near end says.

/// The level that speech is brought to, as RMS.
const TARGET_DBFS: f32 = -20.0;
/// The gain at the start, and the highest one.
const GAIN_DB: (f32, f32) = (6.0, 20.0);
/// Below this level, nobody speaks.
const SPEECH_DBFS: f32 = -55.0;
/// The near end's share of a hop above which the hop counts as speech.
const PRESENT: f32 = 0.35;
/// How fast the gain rises and falls, in dB per hop: 3 and 15 dB per second.
const SPEED_DB: (f32, f32) = (0.03, 0.15);

/// The gain of one microphone.
pub(super) struct GainControl {
    speech_dbfs: f32,
    gain_db: f32,
}

impl GainControl {
    pub(super) fn new() -> Self {
        Self { speech_dbfs: TARGET_DBFS - GAIN_DB.0, gain_db: GAIN_DB.0 }
    }

    /// The factor for a hop of this power, in which the near end has the share `presence`.
    pub(super) fn factor(&mut self, power: f32, presence: f32) -> f32 {
        let dbfs = 10.0 * (power + 1e-10).log10();
        if presence > PRESENT && dbfs > SPEECH_DBFS {
            // The loud parts of speech count; its gaps do not.
            let speed = if dbfs > self.speech_dbfs { 0.05 } else { 0.01 };
            self.speech_dbfs += speed * (dbfs - self.speech_dbfs);
            let wanted = (TARGET_DBFS - self.speech_dbfs).clamp(0.0, GAIN_DB.1);
            self.gain_db += (wanted - self.gain_db).clamp(-SPEED_DB.1, SPEED_DB.0);
        }
        10.0_f32.powf(self.gain_db / 20.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled_db(dbfs: f32, presence: f32) -> f32 {
        let mut control = GainControl::new();
        let power = 10.0_f32.powf(dbfs / 10.0);
        let factor = (0..2_000).map(|_| control.factor(power, presence)).last().unwrap();
        20.0 * factor.log10()
    }

    #[test]
    fn quiet_speech_is_raised_and_loud_speech_left_alone() {
        assert!((settled_db(-35.0, 1.0) - 15.0).abs() < 0.5);
        assert!(settled_db(-10.0, 1.0).abs() < 0.1);
        assert!((settled_db(-50.0, 1.0) - 20.0).abs() < 0.1);
    }

    #[test]
    fn noise_and_echo_change_nothing() {
        assert!((settled_db(-40.0, 0.1) - 6.0).abs() < 0.01);
        assert!((settled_db(-70.0, 1.0) - 6.0).abs() < 0.01);
    }
}
