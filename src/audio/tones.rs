//! The built-in sounds, computed at the card's rate.

use crate::config::Sound;

/// -16 dBFS: clear at a door, and not painful at a desk.
const LEVEL: f32 = 0.16;
/// Every tone fades in and out over this time, so that it does not click.
const RAMP_S: f32 = 0.005;

/// A part of a sound: frequencies that sound together (none is a pause), and their duration in seconds.
type Part = (&'static [f32], f32);

fn parts(sound: Sound) -> &'static [Part] {
    match sound {
        // 425 Hz with the cadences of ITU-T E.180 for most of Europe.
        Sound::Ringback => &[(&[425.0], 1.0), (&[], 4.0)],
        Sound::Busy => {
            &[(&[425.0], 0.5), (&[], 0.5), (&[425.0], 0.5), (&[], 0.5), (&[425.0], 0.5), (&[], 0.5), (&[425.0], 0.5)]
        }
        Sound::Refused => &[(&[425.0], 0.2), (&[], 0.2), (&[425.0], 0.2), (&[], 0.2), (&[340.0], 0.6)],
        // The ringing has ended: its tone twice, then a lower one.
        Sound::NoAnswer => &[(&[425.0], 0.4), (&[], 0.2), (&[425.0], 0.4), (&[], 0.2), (&[350.0], 0.8)],
        // Falling tones: the far end is away.
        Sound::NotReachable => &[(&[650.0], 0.25), (&[520.0], 0.25), (&[390.0], 0.5), (&[], 0.3), (&[390.0], 0.5)],
        // Number unobtainable: one long tone, as in many countries (ITU-T E.180, supplement 2).
        Sound::NotFound => &[(&[400.0], 2.5)],
        // Special information tone (ITU-T E.180, 7.4).
        Sound::NoConnection => &[
            (&[950.0], 0.33),
            (&[1400.0], 0.33),
            (&[1800.0], 0.33),
            (&[], 0.5),
            (&[950.0], 0.33),
            (&[1400.0], 0.33),
            (&[1800.0], 0.33),
        ],
        Sound::Connecting => &[(&[660.0], 0.08), (&[], 0.05), (&[880.0], 0.08)],
        Sound::Answer => &[(&[880.0, 1320.0], 0.12), (&[], 0.03), (&[1320.0, 1760.0], 0.15)],
        Sound::TalkWarning => &[(&[1000.0], 0.15), (&[], 0.1), (&[1000.0], 0.15)],
        Sound::DoorOpen => &[(&[587.0], 0.15), (&[740.0], 0.15), (&[880.0], 0.3)],
        Sound::Key => &[(&[1000.0], 0.06)],
        Sound::Accepted => &[(&[784.0], 0.12), (&[1047.0], 0.21)],
        Sound::Ring => &[(&[784.0, 988.0], 0.4), (&[659.0, 784.0], 0.6), (&[], 2.0)],
    }
}

/// A built-in sound, computed while it is played, so that it takes no memory.
#[derive(Clone, Copy)]
pub(super) struct Tone {
    parts: &'static [Part],
    rate_hz: f32,
}

impl Tone {
    pub(super) fn new(sound: Sound, rate_hz: u32) -> Self {
        Self { parts: parts(sound), rate_hz: rate_hz as f32 }
    }

    /// The sample at a position; `None` after the end.
    pub(super) fn sample(&self, position: usize) -> Option<f32> {
        let mut index = position;
        for (frequencies, length_s) in self.parts {
            let count = (length_s * self.rate_hz) as usize;
            if index < count {
                let (time, rest) = (index as f32 / self.rate_hz, (count - index) as f32 / self.rate_hz);
                let ramp = (time / RAMP_S).min(rest / RAMP_S).min(1.0);
                let wave: f32 = frequencies.iter().map(|hertz| (std::f32::consts::TAU * hertz * time).sin()).sum();
                return Some(wave * ramp * LEVEL / frequencies.len().max(1) as f32);
            }
            index -= count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_lasts_as_long_as_the_configuration_says() {
        for sound in Sound::ALL {
            let length: f32 = parts(sound).iter().map(|(_, seconds)| seconds).sum();
            assert!((length - sound.built_in_length().as_secs_f32()).abs() < 0.001, "{sound:?}");
        }
    }

    #[test]
    fn no_sound_clips_or_clicks() {
        for sound in Sound::ALL {
            let tone = Tone::new(sound, 48_000);
            let samples: Vec<f32> = (0..).map_while(|position| tone.sample(position)).collect();
            assert!(samples.iter().all(|sample| sample.abs() <= LEVEL * 1.01), "{sound:?}");
            let step = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
            assert!(step < 0.05, "{sound:?} steps by {step}");
            assert!(samples.first().unwrap().abs() < 0.01 && samples.last().unwrap().abs() < 0.01);
        }
    }
}
