//! WAV files (RIFF, Microsoft's "Multimedia Programming Interface and Data Specifications 1.0") as they are found in
//! practice.
//!
//! A program that writes into a pipe cannot know how long its sound will be. It leaves a size of 0, the highest
//! possible size, or a size of some gigabytes in the header. The sound then reaches to the end of the file.

use std::io::{Cursor, Read};
use std::path::Path;
use std::time::Duration;

/// The format of a file is in this many bytes at its beginning, in each file that is not made to be odd.
const HEAD_BYTES: u64 = 64 * 1024;
/// Larger files are not read: an hour at 48 kHz and 16 bits, in stereo.
const MAX_BYTES: u64 = 700 * 1024 * 1024;
/// A sound that never exceeds this level is silent: -60 dBFS.
const SILENCE: f32 = 1e-3;

/// A sound with one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Wav {
    /// Samples per second.
    pub rate_hz: u32,
    /// The number of channels in the file.
    pub channels: u16,
    /// Within ±1. Several channels of the file become their mean.
    pub samples: Vec<f32>,
}

/// Why a file cannot be used as a sound.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("has more than {} MB", MAX_BYTES / 1024 / 1024)]
    TooLarge,
    #[error("lasts {seconds:.0} s")]
    TooLong { seconds: f64 },
    /// Another kind of file; its first bytes.
    #[error("is not a WAV file{}", kind(.0))]
    NotWav(Vec<u8>),
    #[error("is a WAV file without any sample")]
    Empty,
    #[error("is a WAV file that says 0 samples per second")]
    NoRate,
    /// A compressed file, or one in an unusual form; its coding.
    #[error("is a WAV file of {0}, and not PCM; make it PCM: sox FILE -e signed-integer -b 16 NEW.wav")]
    NotPcm(&'static str),
    /// A copy that was not finished.
    #[error("is a WAV file that is cut off: it has {there} of its {said} bytes of sound; copy it again")]
    CutOff { said: usize, there: usize },
    /// No format, no sound, or a format that contradicts itself.
    #[error("is a WAV file that is damaged or cut off")]
    Damaged,
}

/// What kind of file it is, by its first bytes.
fn kind(head: &[u8]) -> &'static str {
    match head {
        [b'O', b'g', b'g', b'S', ..] => ", but Ogg",
        [b'I', b'D', b'3', ..] | [0xFF, 0xE0..=0xFF, ..] => ", but MP3",
        [b'f', b'L', b'a', b'C', ..] => ", but FLAC",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => ", but MP4 or M4A",
        [] => "; it is empty",
        _ => "",
    }
}

/// The coding of a format number (RFC 2361); `None` for PCM.
fn coding(format: u16) -> Option<&'static str> {
    match format {
        0x0001 => None,
        0x0002 | 0x0011 => Some("ADPCM"),
        0x0003 => Some("floats that are not of 32 bits"),
        0x0006 => Some("A-law"),
        0x0007 => Some("µ-law"),
        0x0031 => Some("GSM"),
        0x0055 => Some("MP3"),
        _ => Some("another coding"),
    }
}

impl Wav {
    /// Reads a file of integers or floats, with any rate and any number of channels.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not such a file, or has no samples.
    pub fn read(path: &Path) -> Result<Self, WavError> {
        let mut file = crate::regular_file::open(path)?;
        if file.metadata()?.len() > MAX_BYTES {
            return Err(WavError::TooLarge);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Self::parse(bytes)
    }

    /// Reads a file of a sound that must not be longer than `longest`. Of a file that is much longer only the beginning
    /// is read.
    ///
    /// # Errors
    ///
    /// As for [`Self::read`], and the sound is longer.
    pub fn read_short(path: &Path, longest: Duration) -> Result<Self, WavError> {
        let bytes = std::fs::metadata(path)?.len();
        // Reading begins with a few bytes, because the whole file may be larger than the memory of a small board.
        if let Some(bytes_per_s) =
            crate::regular_file::open(path).ok().filter(|_| bytes > HEAD_BYTES).and_then(bytes_per_s)
        {
            let seconds = bytes as f64 / f64::from(bytes_per_s);
            // There may also be a picture in the file.
            if seconds > 2.0 * longest.as_secs_f64() {
                return Err(WavError::TooLong { seconds });
            }
        }
        let wav = Self::read(path)?;
        if wav.length() > longest { Err(WavError::TooLong { seconds: wav.seconds() }) } else { Ok(wav) }
    }

    fn parse(mut bytes: Vec<u8>) -> Result<Self, WavError> {
        if !(matches!(bytes.get(..4), Some(b"RIFF" | b"RIFX" | b"RF64")) && bytes.get(8..12) == Some(b"WAVE")) {
            bytes.truncate(12);
            return Err(WavError::NotWav(bytes));
        }
        if matches!(bytes.get(..4), Some(b"RIFX" | b"RF64")) {
            return Err(WavError::NotPcm("an unusual kind (RIFX or RF64)"));
        }
        let (format, plain) = plain(&bytes).ok_or(WavError::Damaged)??;
        drop(bytes);
        let mut reader = hound::WavReader::new(Cursor::new(plain))
            .map_err(|_| coding(format).map_or(WavError::Damaged, WavError::NotPcm))?;
        let spec = reader.spec();
        let channels = usize::from(spec.channels.max(1));
        let all: Vec<f32> = match spec.sample_format {
            hound::SampleFormat::Float => reader.samples::<f32>().map_while(Result::ok).collect(),
            hound::SampleFormat::Int => {
                let full = f64::from(1_u32 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
                reader.samples::<i32>().map_while(Result::ok).map(|sample| sample as f32 / full).collect()
            }
        };
        let usable = |sample: f32| if sample.is_finite() { sample } else { 0.0 };
        let samples: Vec<f32> = all
            .chunks_exact(channels)
            .map(|frame| frame.iter().copied().map(usable).sum::<f32>() / channels as f32)
            .collect();
        if spec.sample_rate == 0 {
            return Err(WavError::NoRate);
        }
        if samples.is_empty() {
            return Err(WavError::Empty);
        }
        Ok(Self { rate_hz: spec.sample_rate, channels: spec.channels, samples })
    }

    /// The length of the sound.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.seconds())
    }

    /// The length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate_hz)
    }

    /// Whether a person at the station would hear the sound within two seconds: for a fifth of a second in total, it is
    /// as loud as soft speech (-30 dBFS), at frequencies that people hear and loudspeakers play.
    pub fn is_heard(&self) -> bool {
        const LOUD: f32 = 0.03;
        /// In hertz.
        const HEARD: std::ops::RangeInclusive<f32> = 150.0..=8_000.0;
        const BLOCK_S: f32 = 0.02;
        let rate_hz = self.rate_hz as f32;
        let block = ((rate_hz * BLOCK_S) as usize).max(1);
        let is_heard = |block: &&[f32]| {
            let count = block.len() as f32;
            let middle = block.iter().sum::<f32>() / count;
            let power = block.iter().map(|sample| (sample - middle) * (sample - middle)).sum::<f32>() / count;
            let crossings = block.iter().zip(block.iter().skip(1)).filter(|(a, b)| (**a < middle) != (**b < middle));
            let hertz = crossings.count() as f32 / 2.0 / (count / rate_hz);
            power >= LOUD * LOUD && HEARD.contains(&hertz)
        };
        let first_s = 2.0;
        self.samples.chunks(block).take((first_s / BLOCK_S) as usize).filter(is_heard).count() >= 10
    }

    /// Whether nobody would hear the sound: its samples hardly change, even if they are not 0.
    pub fn is_silent(&self) -> bool {
        let (least, most) = self
            .samples
            .iter()
            .fold((f32::MAX, f32::MIN), |(least, most), sample| (least.min(*sample), most.max(*sample)));
        most - least < 2.0 * SILENCE
    }
}

/// How many bytes a second of a file's sound has, by the format at its beginning.
fn bytes_per_s(file: std::fs::File) -> Option<u32> {
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    let mut at = 12;
    loop {
        let (name, size) = (head.get(at..at + 4)?, head.get(at + 4..at + 8)?);
        if name == b"fmt " {
            let rate = u32::from_le_bytes(head.get(at + 12..at + 16)?.try_into().ok()?);
            let block = u16::from_le_bytes(head.get(at + 20..at + 22)?.try_into().ok()?);
            return rate.checked_mul(block.into()).filter(|bytes| *bytes > 0);
        }
        let size = usize::try_from(u32::from_le_bytes(size.try_into().ok()?)).ok()?;
        at = at.checked_add(8)?.checked_add(size)?.checked_add(size % 2)?;
    }
}

/// Programs that write into a pipe do not know the size of what follows, and write one from here on.
const SIZES_OF_A_PIPE: usize = 0x7FFF_0000;

/// The number of the format, and a WAV file that holds only the format and the sound, with their real sizes
/// (docs/workarounds.md, "hound: sizes of a pipe are refused"); `None` if one of them is missing.
fn plain(bytes: &[u8]) -> Option<Result<(u16, Vec<u8>), WavError>> {
    let mut format: &[u8] = &[];
    // The first chunk comes after "RIFF", the size of the file and "WAVE".
    let mut at = 12;
    loop {
        let name = bytes.get(at..at + 4)?;
        let size = u32::from_le_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?);
        let (begin, size) = (at + 8, usize::try_from(size).ok()?);
        let there = bytes.get(begin..)?;
        if name == b"data" {
            let is_known = size > 0 && size < SIZES_OF_A_PIPE;
            if is_known && there.len() < size - size / 100 && !there.is_empty() {
                return Some(Err(WavError::CutOff { said: size, there: there.len() }));
            }
            let size = if is_known { size.min(there.len()) } else { there.len() };
            let block = usize::from(u16::from_le_bytes(format.get(12..14)?.try_into().ok()?)).max(1);
            // A program that was stopped in the middle of a frame leaves an incomplete one.
            let sound = there.get(..size / block * block)?;
            let chunk = |name: &[u8], content: &[u8]| {
                let size = u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes();
                [name, &size, content].concat()
            };
            let wave = [b"WAVE".as_slice(), &chunk(b"fmt ", format), &chunk(b"data", sound)].concat();
            let number = u16::from_le_bytes(format.get(..2)?.try_into().ok()?);
            return Some(Ok((number, chunk(b"RIFF", &wave))));
        }
        if name == b"fmt " {
            format = there.get(..size)?;
        }
        // Chunks begin at even offsets.
        at = begin.checked_add(size)?.checked_add(size % 2)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of a tone with 16 bits, in stereo, and the position of the size of its data chunk.
    fn file() -> (Vec<u8>, usize) {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut bytes = Vec::new();
        let mut writer = hound::WavWriter::new(Cursor::new(&mut bytes), spec).unwrap();
        for index in 0..16_000 {
            writer.write_sample((f32::sin(index as f32 / 9.0) * 9_000.0) as i16).unwrap();
        }
        writer.finalize().unwrap();
        let data = bytes.windows(4).position(|window| window == b"data").unwrap();
        (bytes, data + 4)
    }

    #[test]
    fn a_sound_from_a_pipe_is_read_to_its_end() {
        let (bytes, size) = file();
        let whole = Wav::parse(bytes.clone()).unwrap();
        assert_eq!((whole.samples.len(), whole.seconds()), (8_000, 1.0));
        // What ffmpeg, sox, and programs that leave the sizes empty write.
        for (riff, data) in [(u32::MAX, u32::MAX), (0x7FFF_F024, 0x7FFF_F000), (0, 0), (36, 0)] {
            let mut piped = bytes.clone();
            piped[4..8].copy_from_slice(&riff.to_le_bytes());
            piped[size..size + 4].copy_from_slice(&data.to_le_bytes());
            assert_eq!(Wav::parse(piped).unwrap(), whole, "{data:#x}");
        }
        let mut cut = bytes.clone();
        cut.truncate(bytes.len() - 3);
        assert_eq!(Wav::parse(cut.clone()).unwrap().samples.len(), 7_999);
        cut.truncate(size + 4 + 1_000);
        let error = Wav::parse(cut).unwrap_err().to_string();
        assert!(error.contains("it has 1000 of its 32000 bytes of sound"), "{error}");
    }

    #[test]
    fn chunks_before_the_sound_are_passed_over() {
        let (mut bytes, size) = file();
        bytes.splice(size - 4..size - 4, *b"LIST\x05\0\0\0INFO\0\0");
        let data = bytes.windows(4).position(|window| window == b"data").unwrap() + 4;
        bytes[data..data + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Wav::parse(bytes).unwrap().samples.len(), 8_000);
    }

    #[test]
    fn a_file_that_is_not_a_sound_is_reported_with_the_true_reason() {
        let (bytes, size) = file();
        let message = |bytes: &[u8]| Wav::parse(bytes.to_vec()).unwrap_err().to_string();
        assert_eq!(message(&bytes[..size + 4]), "is a WAV file without any sample");
        assert_eq!(message(b""), "is not a WAV file; it is empty");
        assert_eq!(message(b"OggS and so on"), "is not a WAV file, but Ogg");
        assert_eq!(message(b"hello, world"), "is not a WAV file");
        assert_eq!(message(&bytes[..30]), "is a WAV file that is damaged or cut off");
        for (format, coding) in [(2, "ADPCM"), (6, "A-law"), (7, "µ-law"), (0x31, "GSM"), (0x55, "MP3")] {
            let mut compressed = bytes.clone();
            compressed[20] = format;
            assert!(
                message(&compressed).starts_with(&format!("is a WAV file of {coding}, and not PCM; make it")),
                "{coding}"
            );
        }
        let mut still = bytes.clone();
        // The rate, and the bytes per second that follow from it.
        still[24..32].fill(0);
        assert_eq!(message(&still), "is a WAV file that says 0 samples per second");
        let mut turned = bytes;
        turned[3] = b'X';
        assert!(message(&turned).contains("an unusual kind"));
    }

    #[test]
    fn silence_is_known() {
        let wav = |one: f32, other: f32| Wav { rate_hz: 8_000, channels: 1, samples: [one, other].repeat(40) };
        assert!(wav(0.0005, -0.0005).is_silent() && !wav(0.1, -0.1).is_silent());
        assert!(wav(0.5, 0.5).is_silent(), "a loudspeaker that is pushed out and stays there");
    }

    #[test]
    fn what_is_late_or_constant_or_too_high_is_not_heard() {
        let wav = |sample: &dyn Fn(usize) -> f32| Wav {
            rate_hz: 48_000,
            channels: 1,
            samples: (0..48_000 * 8).map(sample).collect(),
        };
        let tone = |index: usize, hertz: f32| (index as f32 * std::f32::consts::TAU * hertz / 48_000.0).sin() * 0.3;
        assert!(wav(&|index| tone(index, 440.0)).is_heard());
        assert!(wav(&|index| if index < 48_000 { 0.0 } else { tone(index, 1_000.0) }).is_heard());
        assert!(!wav(&|index| if index < 48_000 * 5 { 0.0 } else { tone(index, 440.0) }).is_heard());
        assert!(!wav(&|_| 0.5).is_heard());
        assert!(!wav(&|index| tone(index, 2.0)).is_heard());
        assert!(!wav(&|index| tone(index, 23_900.0)).is_heard());
        assert!(!wav(&|index| tone(index, 440.0) * 0.01).is_heard());
    }
}
