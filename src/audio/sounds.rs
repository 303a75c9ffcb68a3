//! The sounds of the station: built-in tones, or WAV files in place of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tones::Tone;
use crate::config::Sound;
use crate::sound::Resampler;
use crate::wav::{Wav, WavError};

/// Why a sound file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path} {error}; name a PCM WAV file of at most 30 s", path = path.display())]
pub struct SoundError {
    path: PathBuf,
    error: WavError,
}

/// All sounds, at the card's rate.
#[derive(Clone)]
pub struct SoundBank(Vec<(Sound, Stored)>);

/// A sound that can be played.
#[derive(Clone)]
enum Stored {
    Tone(Tone),
    /// Samples with 16 bits: 16,384 is half of full scale.
    File(Arc<[i16]>),
}

impl SoundBank {
    /// The built-in tones, with files in place of some of them.
    pub fn new(rate_hz: u32, files: &[(Sound, PathBuf)]) -> Result<Self, SoundError> {
        let bank = Sound::ALL.into_iter().map(|sound| {
            let file = files.iter().find(|(of, _)| *of == sound).map(|(_, path)| path);
            let stored = match file {
                Some(path) => Stored::File(load(path, rate_hz)?.into_iter().map(to_i16).collect()),
                None => Stored::Tone(Tone::new(sound, rate_hz)),
            };
            Ok((sound, stored))
        });
        bank.collect::<Result<_, _>>().map(Self)
    }

    /// The sample of a sound at a position; `None` after the end of the sound.
    pub(super) fn sample(&self, sound: Sound, position: usize) -> Option<f32> {
        match self.0.iter().find(|(of, _)| *of == sound).map(|(_, stored)| stored)? {
            Stored::Tone(tone) => tone.sample(position),
            Stored::File(samples) => samples.get(position).map(|sample| f32::from(*sample) / 32_768.0),
        }
    }
}

fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}

fn load(path: &Path, rate_hz: u32) -> Result<Vec<f32>, SoundError> {
    let wav = Wav::read(path).map_err(|error| SoundError { path: path.to_owned(), error })?;
    Ok(Resampler::convert(&wav.samples, wav.rate_hz, rate_hz))
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
        let bank = SoundBank::new(16_000, &[(Sound::Ringback, path)]).unwrap();
        let all = |sound| (0..).map_while(|position| bank.sample(sound, position)).collect::<Vec<_>>();
        let samples = all(Sound::Ringback);
        assert_eq!(samples.len(), 16_000);
        let middle = &samples[4_000..12_000];
        let level = (middle.iter().map(|sample| sample * sample).sum::<f32>() / middle.len() as f32).sqrt();
        assert!((level - 0.3535).abs() < 0.01, "{level}");
        assert!(!all(Sound::Busy).is_empty());
    }

    #[test]
    fn a_file_that_is_not_a_sound_is_an_error_with_its_name() {
        let error = SoundBank::new(48_000, &[(Sound::Busy, "/etc/hostname".into())]).err().unwrap();
        assert!(error.to_string().contains("/etc/hostname"), "{error}");
    }
}
