//! `callbox dsp`: the signal processing of the daemon, offline, on files.

use std::path::{Path, PathBuf};

use callbox_dsp::{CaptureOptions, CapturePath};
use clap::{Args, Subcommand};

use super::{Exit, complain};
use crate::sound::frame_samples;

#[derive(Debug, Subcommand)]
pub(super) enum DspCommand {
    /// Take the echo out of a recording
    Echo(EchoArgs),
}

#[derive(Debug, Args)]
pub(super) struct EchoArgs {
    /// What the loudspeaker was given: mono WAV, 16 or 48 kHz
    #[arg(long, value_name = "F.wav")]
    far: PathBuf,
    /// What the microphone heard in the same time
    #[arg(long, value_name = "M.wav")]
    mic: PathBuf,
    /// Where to write what the far end would hear; the delay of the processing is taken out
    #[arg(long, value_name = "O.wav")]
    out: PathBuf,
    /// Take steady noise down as well, as audio.noise_suppression
    #[arg(long)]
    noise_suppression: bool,
    /// Bring speech to one level, as audio.gain_control
    #[arg(long)]
    gain_control: bool,
}

/// Why a file cannot be processed.
#[derive(Debug, thiserror::Error)]
enum DspError {
    #[error("{path}: {error}", path = path.display())]
    Wav { path: PathBuf, error: hound::Error },
    #[error("{path}: {rate_hz} Hz and {channels} channels; give mono WAV, 16000 or 48000 Hz", path = path.display())]
    Format { path: PathBuf, rate_hz: u32, channels: u16 },
    #[error("{path}: {rate_hz} Hz, but the other file has {other_hz}; give both at one rate", path = path.display())]
    Rates { path: PathBuf, rate_hz: u32, other_hz: u32 },
}

pub(super) fn dsp(command: &DspCommand) -> Exit {
    let result = match command {
        DspCommand::Echo(args) => echo(args),
    };
    match result {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}

fn echo(args: &EchoArgs) -> Result<(), DspError> {
    let ((far, far_hz), (microphone, rate_hz)) = (read(&args.far)?, read(&args.mic)?);
    if far_hz != rate_hz {
        return Err(DspError::Rates { path: args.far.clone(), rate_hz: far_hz, other_hz: rate_hz });
    }
    let EchoArgs { noise_suppression, gain_control, .. } = *args;
    let options = CaptureOptions { rate_hz, echo: true, noise_suppression, gain_control };
    let mut path = CapturePath::new(options);
    let (latency, frame) = (options.latency(), frame_samples(rate_hz));
    let mut cleaned = Vec::with_capacity(microphone.len() + latency + frame);
    let (mut played, mut heard) = (vec![0.0; frame], vec![0.0; frame]);
    for begin in (0..microphone.len() + latency).step_by(frame) {
        take(&far, begin, &mut played);
        take(&microphone, begin, &mut heard);
        path.played(&played);
        path.captured(&mut heard);
        cleaned.extend_from_slice(&heard);
    }
    write(&args.out, rate_hz, cleaned.get(latency..).unwrap_or_default().iter().take(microphone.len()))
}

/// A frame of a signal, and silence after its end.
fn take(signal: &[f32], begin: usize, frame: &mut [f32]) {
    for (offset, sample) in frame.iter_mut().enumerate() {
        *sample = signal.get(begin + offset).copied().unwrap_or_default();
    }
}

/// Samples and rate.
fn read(path: &Path) -> Result<(Vec<f32>, u32), DspError> {
    let failed = |error| DspError::Wav { path: path.to_owned(), error };
    let mut reader = hound::WavReader::open(path).map_err(failed)?;
    let hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    if channels != 1 || !matches!(sample_rate, 16_000 | 48_000) {
        return Err(DspError::Format { path: path.to_owned(), rate_hz: sample_rate, channels });
    }
    let samples: Result<Vec<f32>, _> = match sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect(),
        hound::SampleFormat::Int => {
            let full = (1_u64 << (bits_per_sample.clamp(1, 32) - 1)) as f32;
            reader.samples::<i32>().map(|sample| sample.map(|sample| sample as f32 / full)).collect()
        }
    };
    Ok((samples.map_err(failed)?, sample_rate))
}

fn write<'a>(path: &Path, sample_rate: u32, samples: impl Iterator<Item = &'a f32>) -> Result<(), DspError> {
    let failed = |error| DspError::Wav { path: path.to_owned(), error };
    let spec =
        hound::WavSpec { channels: 1, sample_rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec).map_err(failed)?;
    for sample in samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).map_err(failed)?;
    }
    writer.finalize().map_err(failed)
}
