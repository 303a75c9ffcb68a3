//! ALSA capture and playback by PCM name (alsa-lib PCM interface).
//!
//! Capture is the clock: each frame that is read is followed by one that is written. Playback keeps a small lead; if
//! its clock is another one, its rate is adapted slightly. Rates and channels that the card lacks are converted here.

use alsa::pcm::{Access, Frames, HwParams, PCM, State};
use alsa::{Direction, ValueOr};

use super::card::{Card, CardError, CardTiming, Xruns};
use super::lead::{Lead, SPARE, Steps};
use super::levels::CardNumbers;
use super::sample_format::{Downmix, SampleFormat};
use super::usb::alsa_name;
use crate::config::PcmName;
use crate::sound::{FRAME_MS, Resampler, frame_samples};

/// The rates that are tried after the configured one, best first.
const FALLBACK_RATES_HZ: [u32; 5] = [48_000, 44_100, 32_000, 16_000, 8_000];
/// Periods in the card's buffer.
const BUFFER_PERIODS: Frames = 8;
/// A card that delivers nothing for this long is gone (docs/workarounds.md, "alsa: a card that stands returns no
/// error").
const STALL_MS: u32 = 1000;
/// Playback that has had no room for this many periods, a quarter of a second, has stopped.
pub(super) const REFUSED_PERIODS: u32 = 25;

/// One direction of a card.
struct Stream {
    pcm: PCM,
    name: String,
    /// `capture` or `playback`, for messages.
    what: &'static str,
    channels: usize,
    /// Samples of each channel in 10 ms, at the card's rate.
    period: usize,
    /// The card's own period in frames, if it is longer than ours: this much comes, or goes, at once. Otherwise 0.
    coarse_period: Frames,
    /// The size of the card's buffer in frames, which may differ from what was requested.
    buffer: Frames,
    resampler: Resampler,
    format: SampleFormat,
    downmix: Downmix,
    /// Interleaved samples of one period, in the card's format.
    interleaved: Vec<u8>,
    /// Mono samples of one period, at the card's rate.
    mono: Vec<f32>,
}

pub(super) struct AlsaCard {
    capture: Stream,
    playback: Stream,
    lead: Lead,
    xruns: Xruns,
    /// How much capture delivers at once, in its frames.
    given: Steps,
    /// Periods in a row for which playback had no room.
    refused: u32,
    started: bool,
}

/// ALSA counts in C's `long`, which has 32 bits on 32-bit boards (docs/workarounds.md, "alsa: frame counts have 32 bits
/// on 32-bit boards").
fn card_frames(count: impl TryInto<Frames>) -> Frames {
    count.try_into().unwrap_or(Frames::MAX)
}

fn failed(name: &str, what: &str, error: &alsa::Error) -> CardError {
    CardError(format!("{name}: {what}: {}", reason(error)))
}

/// The text of `alsa::Error` names the C function; people need the reason (docs/workarounds.md, "alsa: error texts
/// name c functions").
pub(super) fn reason(error: &alsa::Error) -> std::io::Error {
    std::io::Error::from_raw_os_error(error.errno().abs())
}

impl Stream {
    /// `burst_ms` is how much the other direction delivers at once, if that is more than one of our periods; otherwise
    /// 0.
    fn open(name: &str, direction: Direction, rate_hz: u32, burst_ms: u32) -> Result<Self, CardError> {
        let what = if direction == Direction::Capture { "capture" } else { "playback" };
        let error = |error: alsa::Error| failed(name, what, &error);
        let pcm = PCM::new(name, direction, true).map_err(error)?;
        let (rate, channels, format, card_period, buffer) = {
            let params = HwParams::any(&pcm).map_err(error)?;
            params.set_access(Access::RWInterleaved).map_err(error)?;
            let format =
                SampleFormat::ALL.into_iter().find(|format| params.test_format(format.alsa()).is_ok()).ok_or_else(
                    || CardError(format!("{name}: {what}: the card has no usable sample format; {}", by_plug(name))),
                )?;
            params.set_format(format.alsa()).map_err(error)?;
            let rate = std::iter::once(rate_hz)
                .chain(FALLBACK_RATES_HZ)
                .find(|rate| params.test_rate(*rate).is_ok())
                .ok_or_else(|| {
                let rates = "48000, 44100, 32000, 16000, 8000";
                CardError(format!("{name}: {what}: the card has none of the rates {rates}; {}", by_plug(name)))
            })?;
            params.set_rate(rate, ValueOr::Nearest).map_err(error)?;
            let channels =
                if params.test_channels(1).is_ok() { 1 } else { params.get_channels_min().map_err(error)? };
            params.set_channels(channels).map_err(error)?;
            let period = card_frames(frame_samples(rate));
            let card_period = params.set_period_size_near(period, ValueOr::Nearest).map_err(error)?;
            // The buffer has room for what is written at once, and for the same amount that waits.
            let bursts = 2 * card_frames(burst_ms) * period / card_frames(FRAME_MS);
            params.set_buffer_size_near(card_period.max(period) * BUFFER_PERIODS + bursts).map_err(error)?;
            pcm.hw_params(&params).map_err(error)?;
            // docs/workarounds.md, "alsa: the buffer is not the one that was asked for".
            let buffer = params.get_buffer_size().map_err(error)?;
            (rate, channels, format, card_period, buffer)
        };
        let period = frame_samples(rate);
        let channels = channels as usize;
        {
            let params = pcm.sw_params_current().map_err(error)?;
            let period = card_frames(period);
            params.set_avail_min(period).map_err(error)?;
            // The stream is started explicitly, after the lead is written.
            params.set_start_threshold(Frames::MAX / 4).map_err(error)?;
            pcm.sw_params(&params).map_err(error)?;
        }
        let (from, to) = if direction == Direction::Capture { (rate, rate_hz) } else { (rate_hz, rate) };
        let resampler = Resampler::new(from, to);
        Ok(Self {
            pcm,
            name: name.to_owned(),
            what,
            channels,
            period,
            coarse_period: if card_period > card_frames(period) { card_period } else { 0 },
            buffer,
            resampler,
            format,
            downmix: Downmix::new(format, channels),
            interleaved: vec![0; (period + SPARE) * channels * format.bytes()],
            mono: vec![0.0; period],
        })
    }

    fn error(&self, error: &alsa::Error) -> CardError {
        failed(&self.name, self.what, error)
    }

    /// Bytes in a frame of all channels.
    fn frame_bytes(&self) -> usize {
        self.channels * self.format.bytes()
    }

    /// Converts frames of this stream to frames of another one.
    fn frames_at(&self, other: &Self, frames: Frames) -> Frames {
        let period = |stream: &Self| card_frames(stream.period);
        frames * period(other) / period(self)
    }

    /// The period in milliseconds; 10 if the card uses ours.
    fn period_ms(&self) -> u32 {
        let frames = self.coarse_period.max(card_frames(self.period));
        u32::try_from(frames * card_frames(FRAME_MS) / card_frames(self.period)).unwrap_or(u32::MAX)
    }
}

/// Suggests a PCM that converts formats and rates: `plughw:` (alsa-lib, "PCM naming conventions").
fn by_plug(name: &str) -> String {
    match name.strip_prefix("hw:") {
        Some(card) => format!("try plughw:{card}"),
        None => "name its hardware as plughw:CARD=…, see `callbox devices`".to_owned(),
    }
}

impl AlsaCard {
    pub(super) fn open(capture: &PcmName, playback: &PcmName, rate_hz: u32) -> Result<Self, CardError> {
        let (capture, playback) = (alsa_name(capture)?, alsa_name(playback)?);
        // alsa-lib writes to standard error by itself; our own error says what matters. The handler is installed anew
        // at each attempt, because its buffer only grows (docs/workarounds.md, "alsa: errors go to standard error").
        let _ = alsa::Output::local_error_handler();
        let capture = Stream::open(&capture, Direction::Capture, rate_hz, 0)?;
        let burst_ms = if capture.coarse_period > 0 { capture.period_ms() } else { 0 };
        let playback = Stream::open(&playback, Direction::Playback, rate_hz, burst_ms)?;
        Ok(Self {
            lead: Lead::new(
                playback.period,
                playback.buffer,
                capture.frames_at(&playback, capture.coarse_period),
                playback.coarse_period,
            ),
            playback,
            capture,
            xruns: Xruns::default(),
            given: Steps::default(),
            refused: 0,
            started: false,
        })
    }

    /// The kernel's numbers of the cards behind the PCMs, if they have one.
    pub(super) fn numbers(&self) -> CardNumbers {
        let number = |stream: &Stream| stream.pcm.info().ok().map(|info| info.get_card()).filter(|card| *card >= 0);
        [number(&self.playback), number(&self.capture)]
    }

    fn start(&mut self) -> Result<(), CardError> {
        self.started = true;
        for stream in [&self.playback, &self.capture] {
            stream.pcm.prepare().map_err(|error| stream.error(&error))?;
        }
        self.start_playback()?;
        self.capture.pcm.start().map_err(|error| self.capture.error(&error))
    }

    /// Fills the lead with silence, and starts playback.
    fn start_playback(&mut self) -> Result<(), CardError> {
        let playback = &mut self.playback;
        playback.interleaved.fill(0);
        self.lead.started();
        {
            let io = playback.pcm.io_bytes();
            let mut rest = usize::try_from(self.lead.at_start()).unwrap_or(0);
            while rest > 0 {
                let frames = rest.min(playback.period);
                let silence = playback.interleaved.get(..frames * playback.frame_bytes()).unwrap_or_default();
                io.writei(silence).map_err(|error| playback.error(&error))?;
                rest -= frames;
            }
        }
        playback.pcm.start().map_err(|error| playback.error(&error))
    }

    /// Restarts capture after an overrun. Any other error means that the card is gone.
    fn recover_capture(&mut self, error: alsa::Error) -> Result<(), CardError> {
        self.xruns.capture += 1;
        let capture = &self.capture;
        capture.pcm.try_recover(error, true).map_err(|error| capture.error(&error))?;
        capture.pcm.start().map_err(|error| capture.error(&error))
    }

    /// A card that has stalled accepts nothing, but reports no error (docs/workarounds.md, "alsa: a card that stands
    /// returns no error").
    fn refused(&mut self) -> Result<(), CardError> {
        self.refused += 1;
        if self.refused < REFUSED_PERIODS {
            return Ok(());
        }
        Err(CardError(format!("{}: playback: the card accepts no sound", self.playback.name)))
    }

    fn recover_playback(&mut self, error: alsa::Error) -> Result<(), CardError> {
        self.xruns.playback += 1;
        let (capture, playback) = (&self.capture, &self.playback);
        self.lead.underrun(capture.frames_at(playback, self.given.regular()));
        self.playback.pcm.try_recover(error, true).map_err(|error| self.playback.error(&error))?;
        self.start_playback()
    }

    /// Reads one period into `interleaved`.
    fn read_period(&mut self) -> Result<(), CardError> {
        let mut filled = 0;
        while filled < self.capture.period {
            let capture = &mut self.capture;
            let frame = capture.frame_bytes();
            let room = capture.interleaved.get_mut(filled * frame..capture.period * frame).unwrap_or_default();
            let result = capture.pcm.io_bytes().readi(room);
            match result {
                Ok(frames) => filled += frames,
                Err(error) if error.errno().abs() == libc_eagain() => self.wait()?,
                Err(error) => {
                    self.recover_capture(error)?;
                    filled = 0;
                }
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), CardError> {
        match self.capture.pcm.wait(Some(STALL_MS)) {
            Ok(true) => {
                self.given.note(self.capture.pcm.avail_update().unwrap_or(0));
                Ok(())
            }
            Ok(false) => Err(CardError(format!("{}: capture: the card delivers no sound", self.capture.name))),
            Err(error) => self.recover_capture(error),
        }
    }
}

/// Checks that a PCM delivers or accepts sound for a tenth of a second, and returns its period: for `callbox devices`.
pub(super) fn try_for_100_ms(name: &str, direction: Direction) -> Result<CardTiming, String> {
    // docs/workarounds.md, "alsa: errors go to standard error".
    let _ = alsa::Output::local_error_handler();
    let message = |error: CardError| error.to_string();
    let mut stream = Stream::open(name, direction, FALLBACK_RATES_HZ[0], 0).map_err(message)?;
    let what = stream.what;
    let bytes = stream.period * stream.frame_bytes();
    let failed = |stream: &Stream, error: alsa::Error| stream.error(&error).to_string();
    if direction == Direction::Capture {
        stream.pcm.start().map_err(|error| failed(&stream, error))?;
    }
    for period in 0..10 {
        let io = stream.pcm.io_bytes();
        let result = match direction {
            Direction::Capture => io.readi(stream.interleaved.get_mut(..bytes).unwrap_or_default()),
            Direction::Playback => io.writei(stream.interleaved.get(..bytes).unwrap_or_default()),
        };
        let started = direction == Direction::Playback && period == 1;
        let result = match result {
            Err(error) if error.errno().abs() == libc_eagain() => match stream.pcm.wait(Some(STALL_MS)) {
                Ok(true) => Ok(()),
                Ok(false) => return Err(format!("{name}: {what}: the card delivers no sound")),
                Err(error) => Err(error),
            },
            result => result.map(drop),
        };
        result.map_err(|error| failed(&stream, error))?;
        if started {
            stream.pcm.start().map_err(|error| failed(&stream, error))?;
        }
    }
    let period_ms = stream.period_ms();
    Ok(match direction {
        Direction::Capture => CardTiming { capture_period_ms: period_ms, ..CardTiming::default() },
        Direction::Playback => CardTiming { playback_period_ms: period_ms, ..CardTiming::default() },
    })
}

/// `EAGAIN`, from rustix.
fn libc_eagain() -> i32 {
    rustix::io::Errno::AGAIN.raw_os_error()
}

impl Card for AlsaCard {
    fn read(&mut self, frame: &mut [f32]) -> Result<(), CardError> {
        if !self.started {
            self.start()?;
        }
        self.read_period()?;
        let capture = &mut self.capture;
        let period = capture.interleaved.get(..capture.period * capture.frame_bytes()).unwrap_or_default();
        capture.downmix.process(period, &mut capture.mono);
        capture.resampler.process(&capture.mono, frame);
        Ok(())
    }

    fn write(&mut self, frame: &[f32]) -> Result<(), CardError> {
        let (playback, lead) = (&mut self.playback, &mut self.lead);
        // `delay` is not used: after an underrun it may still return the lead from before (docs/workarounds.md, "alsa:
        // the delay is wrong after an underrun").
        let room = match playback.pcm.avail_update() {
            Ok(room) => room,
            Err(error) => return self.recover_playback(error),
        };
        let waits = playback.buffer - room;
        playback.resampler.process(frame, &mut playback.mono);
        let Some(resampled) = lead.period(waits, &mut playback.mono) else { return self.refused() };
        let given = resampled.len();
        playback.format.spread(resampled, playback.channels, &mut playback.interleaved);
        let written = playback.interleaved.get(..given * playback.frame_bytes()).unwrap_or_default();
        let result = playback.pcm.io_bytes().writei(written);
        match result {
            Ok(_) => {
                self.refused = 0;
                Ok(())
            }
            Err(error) if error.errno().abs() == libc_eagain() => self.refused(),
            Err(error) => self.recover_playback(error),
        }
    }

    fn rest(&mut self) -> Result<(), CardError> {
        self.started = false;
        for stream in [&self.playback, &self.capture] {
            stream.pcm.drop().map_err(|error| stream.error(&error))?;
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), CardError> {
        for stream in [&self.playback, &self.capture] {
            // `state` may panic (docs/workarounds.md, "alsa: reading the state can panic").
            if stream.pcm.state_raw() == State::Disconnected as i32 {
                return Err(CardError(format!("{}: {}: the card is gone", stream.name, stream.what)));
            }
        }
        Ok(())
    }

    fn is_real(&self) -> bool {
        true
    }

    fn timing(&self) -> CardTiming {
        let per_ms = card_frames(self.playback.period) / card_frames(FRAME_MS);
        CardTiming {
            capture_period_ms: self.capture.period_ms(),
            playback_period_ms: self.playback.period_ms(),
            lead_ms: u32::try_from(self.lead.at_start() / per_ms.max(1)).unwrap_or(0),
        }
    }

    fn take_xruns(&mut self) -> Xruns {
        std::mem::take(&mut self.xruns)
    }
}
