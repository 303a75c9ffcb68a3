//! `callbox dsp`: runs the signal processing of the daemon on files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::output::say;
use callbox_dsp::{CaptureOptions, CapturePath, DigitDetector};
use clap::{Args, Subcommand};

use super::{Exit, complain};
use crate::config::Codec;
use crate::media::offline::{OfflineReceiver, OfflineSender};
use crate::media::rtpdump::{self, RecordedPacket, TraceError};
use crate::media::{MediaError, OPUS_TYPE, ReceiveCounters};
use crate::sound::{FRAME_MS, frame_samples};
use crate::wav::{Wav, WavError};

/// The longest recording that is played: the whole output is kept in memory, and the times in a file may be wrong.
const LONGEST_MS: u32 = 60 * 60 * 1_000;
/// How much sound is written after the last packet.
const AFTER_MS: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum DspCommand {
    /// Remove the echo from a recording
    Echo(EchoArgs),
    /// Play recorded packets in the same way as a call does, in virtual time
    Receive(ReceiveArgs),
    /// Make the packets that a call would send, one every 20 ms
    Send(SendArgs),
    /// Print the DTMF digits in a recording, as a call with in_band = true detects them
    Digits(DigitsArgs),
}

#[derive(Debug, Args)]
pub(super) struct EchoArgs {
    /// What the loudspeaker played: mono WAV, 16 or 48 kHz
    #[arg(long, value_name = "F.wav")]
    far: PathBuf,
    /// What the microphone heard at the same time
    #[arg(long, value_name = "M.wav")]
    mic: PathBuf,
    /// Where to write what the far end would hear; the delay of the processing is removed
    #[arg(long, value_name = "O.wav")]
    out: PathBuf,
    /// Reduce steady noise as well, like audio.noise_suppression
    #[arg(long)]
    noise_suppression: bool,
    /// Bring speech to one level, like audio.gain_control
    #[arg(long)]
    gain_control: bool,
    #[command(flatten)]
    measured: Measured,
}

/// For `make bench-arm`: two numbers of passes differ in the processing alone, and not in reading and writing files.
#[derive(Debug, Args)]
struct Measured {
    /// Process the same input so many times, each time from the start
    #[arg(long, hide = true, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    passes: u32,
}

impl Measured {
    /// The result of the last pass.
    fn run<Sound>(&self, mut process: impl FnMut() -> Sound) -> Sound {
        (1..self.passes).for_each(|_| drop(process()));
        process()
    }
}

#[derive(Debug, Args)]
pub(super) struct ReceiveArgs {
    /// RTP packets in the format of rtpdump: G.711 with the payload types 0 and 8, Opus with the type of --opus-type
    #[arg(long, value_name = "F.rtpdump")]
    trace: PathBuf,
    /// Where to write what is heard, from the start of the recording to a second after the last packet
    #[arg(long, value_name = "O.wav")]
    out: PathBuf,
    /// The sound card's rate: 16000 or 48000
    #[arg(long, value_name = "HZ", default_value_t = 48_000, value_parser = card_rate)]
    rate: u32,
    /// The payload type of Opus
    #[arg(long, value_name = "TYPE", default_value_t = OPUS_TYPE, value_parser = clap::value_parser!(u8).range(0..=127))]
    opus_type: u8,
    #[command(flatten)]
    measured: Measured,
}

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The sound to send: mono WAV, 16 or 48 kHz
    #[arg(long, value_name = "I.wav")]
    input: PathBuf,
    /// Where to write the packets, in the format of rtpdump
    #[arg(long, value_name = "F.rtpdump")]
    trace: PathBuf,
    /// Codec: opus, pcma or pcmu
    #[arg(long, default_value = "opus", value_parser = codec)]
    codec: Codec,
    /// The share of packets that the far end reports as lost
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    loss: u8,
    #[command(flatten)]
    measured: Measured,
}

#[derive(Debug, Args)]
pub(super) struct DigitsArgs {
    /// The sound of the far end: mono WAV, 8, 16 or 48 kHz
    #[arg(long, value_name = "I.wav")]
    input: PathBuf,
}

fn codec(text: &str) -> Result<Codec, String> {
    match text {
        "opus" => Ok(Codec::Opus),
        "pcma" => Ok(Codec::Pcma),
        "pcmu" => Ok(Codec::Pcmu),
        _ => Err("give opus, pcma or pcmu".to_owned()),
    }
}

fn card_rate(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|rate| matches!(rate, 16_000 | 48_000)).ok_or_else(|| "give 16000 or 48000".to_owned())
}

/// Why a file cannot be processed.
#[derive(Debug, thiserror::Error)]
enum DspError {
    #[error("{path} {error}", path = path.display())]
    Wav { path: PathBuf, error: WavError },
    #[error("{path} cannot be written: {error}", path = path.display())]
    WriteWav { path: PathBuf, error: hound::Error },
    #[error("{path}: {rate_hz} Hz and {channels} channels; give mono WAV at one of {rates_hz:?} Hz", path = path.display())]
    Format { path: PathBuf, rate_hz: u32, channels: u16, rates_hz: &'static [u32] },
    #[error("{path}: {rate_hz} Hz, but the other file has {other_hz}; give both at one rate", path = path.display())]
    Rates { path: PathBuf, rate_hz: u32, other_hz: u32 },
    #[error("{path}: {error}", path = path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{path}: {error}", path = path.display())]
    Write { path: PathBuf, error: std::io::Error },
    #[error("{path}: {error}", path = path.display())]
    Trace { path: PathBuf, error: TraceError },
    #[error("{path}: it has no packet of Opus ({opus_type}) or G.711 (0, 8); give --opus-type if Opus has another type", path = path.display())]
    NoSpeech { path: PathBuf, opus_type: u8 },
    #[error("{path}: its last packet comes {minutes} minutes after the start; a recording may last an hour at most", path = path.display())]
    TooLong { path: PathBuf, minutes: u32 },
    #[error("{0}")]
    Media(MediaError),
}

pub(super) fn dsp(command: &DspCommand) -> Exit {
    let result = match command {
        DspCommand::Echo(args) => echo(args),
        DspCommand::Receive(args) => receive(args),
        DspCommand::Send(args) => send(args),
        DspCommand::Digits(args) => digits(args),
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
    let ((far, far_hz), (microphone, rate_hz)) = (read(&args.far, CARD_RATES_HZ)?, read(&args.mic, CARD_RATES_HZ)?);
    if far_hz != rate_hz {
        return Err(DspError::Rates { path: args.far.clone(), rate_hz: far_hz, other_hz: rate_hz });
    }
    let EchoArgs { noise_suppression, gain_control, .. } = *args;
    let options = CaptureOptions { rate_hz, echo: true, noise_suppression, gain_control };
    let cleaned = args.measured.run(|| without_echo(&far, &microphone, options));
    write(&args.out, rate_hz, cleaned.get(options.latency()..).unwrap_or_default().iter().take(microphone.len()))
}

/// What the far end would hear, late by the latency of the options.
fn without_echo(far: &[f32], microphone: &[f32], options: CaptureOptions) -> Vec<f32> {
    let mut path = CapturePath::new(options);
    let (latency, frame) = (options.latency(), frame_samples(options.rate_hz));
    let mut cleaned = Vec::with_capacity(microphone.len() + latency + frame);
    let (mut played, mut heard) = (vec![0.0; frame], vec![0.0; frame]);
    for begin in (0..microphone.len() + latency).step_by(frame) {
        take(far, begin, &mut played);
        take(microphone, begin, &mut heard);
        path.played(&played);
        path.captured(&mut heard);
        cleaned.extend_from_slice(&heard);
    }
    cleaned
}

fn receive(args: &ReceiveArgs) -> Result<(), DspError> {
    let path = &args.trace;
    let bytes = std::fs::read(path).map_err(|error| DspError::Read { path: path.clone(), error })?;
    let mut packets = rtpdump::read(&bytes).map_err(|error| DspError::Trace { path: path.clone(), error })?;
    packets.sort_by_key(|packet| packet.at_ms);
    let last_ms = packets.last().map_or(0, |packet| packet.at_ms);
    if last_ms > LONGEST_MS {
        return Err(DspError::TooLong { path: path.clone(), minutes: last_ms / 60_000 });
    }
    let heard = args.measured.run(|| Heard::of(&packets, last_ms, args))?;
    let Heard { sound, counters, delay_ms, target_ms } = heard;
    write(&args.out, args.rate, sound.iter())?;
    let ReceiveCounters { received, late, lost, concealed_ms, shortened_ms, lengthened_ms } = counters;
    say!("received   {received} packets, {late} of them too late or duplicate");
    say!("lost       {lost} packets, {concealed_ms:.0} ms concealed");
    say!("stretched  {shortened_ms:.0} ms left out, {lengthened_ms:.0} ms repeated");
    say!("delay      {delay_ms:.1} ms more than that of the fastest packet, target {target_ms:.1} ms");
    Ok(())
}

/// What became of the packets of a recording.
struct Heard {
    sound: Vec<f32>,
    counters: ReceiveCounters,
    /// Means.
    delay_ms: f64,
    target_ms: f64,
}

impl Heard {
    fn of(packets: &[RecordedPacket], last_ms: u32, args: &ReceiveArgs) -> Result<Self, DspError> {
        let mut receiver = OfflineReceiver::new(args.rate).map_err(DspError::Media)?.with_opus_type(args.opus_type);
        let mut waiting = packets.iter().peekable();
        let mut heard = Vec::new();
        let (mut delays_ms, mut targets_ms, mut frames) = (0.0, 0.0, 0_u32);
        for now_ms in (0..=last_ms.saturating_add(AFTER_MS)).step_by(FRAME_MS as usize) {
            while let Some(packet) = waiting.next_if(|packet| packet.at_ms <= now_ms) {
                receiver.packet(&packet.bytes, f64::from(packet.at_ms));
            }
            heard.extend(receiver.frame());
            if now_ms <= last_ms {
                let (delay_ms, target_ms) = receiver.delay_and_target_ms();
                delays_ms += delay_ms;
                targets_ms += target_ms;
                frames += 1;
            }
        }
        let counters = receiver.counters();
        if counters.received == 0 {
            return Err(DspError::NoSpeech { path: args.trace.clone(), opus_type: args.opus_type });
        }
        let (delay_ms, target_ms) = (delays_ms / f64::from(frames), targets_ms / f64::from(frames));
        Ok(Self { sound: heard, counters, delay_ms, target_ms })
    }
}

fn send(args: &SendArgs) -> Result<(), DspError> {
    let (sound, rate_hz) = read(&args.input, CARD_RATES_HZ)?;
    let packets = args.measured.run(|| sent(&sound, rate_hz, args))?;
    let bytes = rtpdump::write(Duration::ZERO, &packets);
    std::fs::write(&args.trace, bytes).map_err(|error| DspError::Write { path: args.trace.clone(), error })?;
    say!("sent       {} packets", packets.len());
    Ok(())
}

/// The packets that a call would send.
fn sent(sound: &[f32], rate_hz: u32, args: &SendArgs) -> Result<Vec<RecordedPacket>, DspError> {
    let mut sender = OfflineSender::new(args.codec, rate_hz).map_err(DspError::Media)?;
    sender.report_loss(u8::try_from(u32::from(args.loss) * 255 / 100).unwrap_or(u8::MAX));
    let mut frame = vec![0.0; frame_samples(rate_hz)];
    let mut packets = Vec::new();
    for (at_ms, begin) in (0..).step_by(FRAME_MS as usize).zip((0..sound.len()).step_by(frame.len())) {
        take(sound, begin, &mut frame);
        packets.extend(sender.frame(&frame).map(|bytes| RecordedPacket { at_ms, bytes }));
    }
    Ok(packets)
}

fn digits(args: &DigitsArgs) -> Result<(), DspError> {
    let (sound, rate_hz) = read(&args.input, ALL_RATES_HZ)?;
    let mut detector = DigitDetector::new(rate_hz);
    let mut frame = vec![0.0; frame_samples(rate_hz)];
    for (at_ms, begin) in (0_u32..).step_by(FRAME_MS as usize).zip((0..sound.len()).step_by(frame.len())) {
        take(&sound, begin, &mut frame);
        if let Some(digit) = detector.heard(&frame) {
            say!("{:.2} s  {digit}", f64::from(at_ms) / 1_000.0);
        }
    }
    Ok(())
}

/// Copies a frame of a signal; silence follows its end.
fn take(signal: &[f32], begin: usize, frame: &mut [f32]) {
    for (offset, sample) in frame.iter_mut().enumerate() {
        *sample = signal.get(begin + offset).copied().unwrap_or_default();
    }
}

/// The rates of the capture path.
const CARD_RATES_HZ: &[u32] = &[16_000, 48_000];
/// The rates of the capture path and of the telephone network.
const ALL_RATES_HZ: &[u32] = &[8_000, 16_000, 48_000];

/// Reads the samples and the rate of a mono WAV file. The rate must be one of `rates_hz`.
fn read(path: &Path, rates_hz: &'static [u32]) -> Result<(Vec<f32>, u32), DspError> {
    let wav = Wav::read(path).map_err(|error| DspError::Wav { path: path.to_owned(), error })?;
    let Wav { rate_hz, channels, samples } = wav;
    if channels != 1 || !rates_hz.contains(&rate_hz) {
        return Err(DspError::Format { path: path.to_owned(), rate_hz, channels, rates_hz });
    }
    Ok((samples, rate_hz))
}

fn write<'a>(path: &Path, sample_rate: u32, samples: impl Iterator<Item = &'a f32>) -> Result<(), DspError> {
    let failed = |error| DspError::WriteWav { path: path.to_owned(), error };
    let spec =
        hound::WavSpec { channels: 1, sample_rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec).map_err(failed)?;
    for sample in samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).map_err(failed)?;
    }
    writer.finalize().map_err(failed)
}
