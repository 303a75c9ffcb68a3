//! The sounds of the station: built-in tones, or WAV files in place of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tones::Tone;
use crate::config::{Playable, Prompt, PromptIndex, Sound, SoundFile};
use crate::sound::Resampler;
use crate::wav::{Wav, WavError};

/// Why a sound file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path} {error}; name a PCM WAV file", path = path.display())]
pub struct SoundError {
    path: PathBuf,
    error: WavError,
}

/// All sounds and prompts, at the card's rate.
#[derive(Clone)]
pub struct SoundBank {
    sounds: Vec<(Sound, Stored)>,
    prompts: Vec<Stored>,
}

/// A sound that can be played.
#[derive(Clone)]
enum Stored {
    Tone(Tone),
    /// Samples with 16 bits: 16,384 is half of full scale.
    File(Arc<[i16]>),
}

impl SoundBank {
    /// The built-in tones, with files in place of some of them, and the prompts.
    pub fn new(rate_hz: u32, files: &[SoundFile], prompts: &[Prompt]) -> Result<Self, SoundError> {
        let sounds = Sound::ALL.into_iter().map(|sound| {
            let stored = match files.iter().find(|file| file.sound == sound) {
                Some(file) => Stored::load(&file.path, rate_hz)?,
                None => Stored::Tone(Tone::new(sound, rate_hz)),
            };
            Ok((sound, stored))
        });
        let prompts = prompts.iter().map(|prompt| Stored::load(&prompt.path, rate_hz));
        Ok(Self { sounds: sounds.collect::<Result<_, _>>()?, prompts: prompts.collect::<Result<_, _>>()? })
    }

    /// The sample of a sound or prompt at a position; `None` after its end.
    pub(super) fn sample(&self, what: Playable, position: usize) -> Option<f32> {
        let stored = match what {
            Playable::Sound(sound) => self.sounds.iter().find(|(of, _)| *of == sound).map(|(_, stored)| stored),
            Playable::Prompt(PromptIndex(index)) => self.prompts.get(index),
        };
        match stored? {
            Stored::Tone(tone) => tone.sample(position),
            Stored::File(samples) => samples.get(position).map(|sample| f32::from(*sample) / 32_768.0),
        }
    }
}

impl Stored {
    fn load(path: &Path, rate_hz: u32) -> Result<Self, SoundError> {
        let wav = Wav::read(path).map_err(|error| SoundError { path: path.to_owned(), error })?;
        let samples = Resampler::convert(&wav.samples, wav.rate_hz, rate_hz);
        Ok(Self::File(samples.into_iter().map(to_i16).collect()))
    }
}

fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_file_of_any_rate_takes_the_place_of_a_tone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bell.wav");
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 24,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for index in 0..44_100 {
            let sample = (index as f32 * std::f32::consts::TAU * 1000.0 / 44_100.0).sin() * 0.5 * 8_388_607.0;
            writer.write_sample(sample as i32).unwrap();
            writer.write_sample(sample as i32).unwrap();
        }
        writer.finalize().unwrap();
        let length = std::time::Duration::from_secs(1);
        let file = SoundFile { sound: Sound::Ringback, path: path.clone(), length };
        let prompt = Prompt { name: "here".into(), path, length };
        let bank = SoundBank::new(16_000, &[file], &[prompt]).unwrap();
        let all = |what| (0..).map_while(|position| bank.sample(what, position)).collect::<Vec<_>>();
        let samples = all(Playable::Sound(Sound::Ringback));
        assert_eq!(samples, all(Playable::Prompt(PromptIndex(0))));
        assert!(all(Playable::Prompt(PromptIndex(1))).is_empty());
        assert_eq!(samples.len(), 16_000);
        let middle = &samples[4_000..12_000];
        let level = (middle.iter().map(|sample| sample * sample).sum::<f32>() / middle.len() as f32).sqrt();
        assert!((level - 0.3535).abs() < 0.01, "{level}");
        assert!(!all(Playable::Sound(Sound::Busy)).is_empty());
    }

    #[test]
    fn a_file_that_is_not_a_sound_is_an_error_with_its_name() {
        let file = SoundFile { sound: Sound::Busy, path: "/etc/hostname".into(), length: Default::default() };
        let error = SoundBank::new(48_000, &[file], &[]).err().unwrap();
        assert!(error.to_string().contains("/etc/hostname"), "{error}");
    }
}
