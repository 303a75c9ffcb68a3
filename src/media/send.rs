//! The send path of a call: 10 ms frames to 20 ms packets, encoded on the audio thread and handed
//! to the network task through a ring and a pipe that wakes it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use rtrb::Producer;

use super::MediaError;
use super::g711;
use super::packets::MAX_PAYLOAD;
use crate::config::Codec;
use crate::sound::{Resampler, power};

/// Speech at full band.
const OPUS_BITRATE: i32 = 32_000;
/// A network that loses this much may well drown in what it is given...
const LOSSY_PERCENT: i32 = 20;
/// ...and is given this where it loses so much.
const LOSSY_BITRATE: i32 = 24_000;
const VERY_LOSSY_PERCENT: i32 = 40;
/// From this loss on everything goes twice (see [`super::repeats`])...
const TWICE_FROM_PERCENT: u8 = 10;
/// ...until the far end misses less than this of both...
const TWICE_UNTIL_PERCENT: u8 = 2;
/// ...or so much that the network rather drowns in it: for the rest of the call it is given no more than it must have.
const DROWNS_PERCENT: u32 = 35;
/// Reports for which everything goes on to go twice: what is missed of both says little of what would be of one.
const TWICE_REPORTS: u8 = 20;
/// Less than this is left to the far end's concealment: redundancy costs quality where nothing is lost.
const WORTH_REDUNDANCY_PERCENT: u8 = 1;
/// More gives little that is heard. The boards with 32 bits are the slow ones: there the rest costs more than it gives.
const OPUS_COMPLEXITY: i32 = if cfg!(target_arch = "arm") { 5 } else { 9 };
/// Power below which there is nothing to be said: -50 dBFS.
const QUIET: f32 = 1e-5;
/// Opus gives packets of at most this where nothing is said (RFC 6716, 2.1.9).
const DTX_BYTES: usize = 2;
/// Frames of 10 ms in a packet.
const FRAMES_PER_PACKET: usize = 2;

/// An encoded packet without its RTP header; one without a payload is time that passes in silence.
#[derive(Clone, Copy)]
pub(super) struct Encoded {
    pub(super) codec: Codec,
    length: u16,
    data: [u8; MAX_PAYLOAD],
}

impl Encoded {
    pub(super) fn payload(&self) -> &[u8] {
        self.data.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// RTP clock ticks of a packet.
    pub(super) fn ticks(&self) -> u32 {
        if self.codec == Codec::Opus { 960 } else { 160 }
    }
}

/// What the network task knows and the audio thread sends by.
#[derive(Debug, Default)]
pub(super) struct SendControl {
    codec: AtomicU8,
    loss_percent: AtomicU8,
    /// Reports since everything goes twice, the one that made it so included; 0 where it goes once.
    twice_reports: AtomicU8,
    drowned: AtomicBool,
}

impl SendControl {
    /// The negotiated codec.
    pub(super) fn set_codec(&self, codec: Codec) {
        let number = match codec {
            Codec::Opus => 1,
            Codec::Pcma => 2,
            Codec::Pcmu => 3,
        };
        self.codec.store(number, Ordering::Release);
    }

    /// `None` before the negotiation.
    pub(super) fn codec(&self) -> Option<Codec> {
        match self.codec.load(Ordering::Acquire) {
            1 => Some(Codec::Opus),
            2 => Some(Codec::Pcma),
            3 => Some(Codec::Pcmu),
            _ => None,
        }
    }

    /// What part of our packets was lost, in 256ths, since the far end's last report. What gets worse counts at once,
    /// what gets better by a quarter.
    pub(super) fn note_loss(&self, fraction_lost: u8) {
        let reported = (u32::from(fraction_lost) * 100).div_ceil(256);
        let known = u32::from(self.loss_percent());
        let loss = if reported > known { reported } else { (known * 3 + reported) / 4 };
        let loss = u8::try_from(loss).unwrap_or(100);
        self.loss_percent.store(loss, Ordering::Relaxed);
        let reports = self.twice_reports.load(Ordering::Relaxed);
        // The first report behind it is half of the time before.
        if reports > 1 && reported >= DROWNS_PERCENT {
            self.drowned.store(true, Ordering::Relaxed);
        }
        let needed = match reports {
            0 => loss >= TWICE_FROM_PERCENT,
            _ => loss >= TWICE_UNTIL_PERCENT || reports < TWICE_REPORTS,
        };
        let needed = needed && !self.drowned.load(Ordering::Relaxed);
        self.twice_reports.store(if needed { reports.saturating_add(1) } else { 0 }, Ordering::Relaxed);
    }

    /// Everything is to go twice.
    pub(super) fn twice(&self) -> bool {
        self.twice_reports.load(Ordering::Relaxed) > 0
    }

    /// As the far end reports it of late.
    pub(super) fn loss_percent(&self) -> u8 {
        self.loss_percent.load(Ordering::Relaxed)
    }
}

/// Bits per second for a loss, of what goes once.
fn bitrate(loss_percent: u8, twice: bool) -> i32 {
    if twice {
        return LOSSY_BITRATE;
    }
    let beyond = (i32::from(loss_percent) - LOSSY_PERCENT).clamp(0, VERY_LOSSY_PERCENT - LOSSY_PERCENT);
    OPUS_BITRATE - (OPUS_BITRATE - LOSSY_BITRATE) * beyond / (VERY_LOSSY_PERCENT - LOSSY_PERCENT)
}

pub(super) struct Sender {
    control: Arc<SendControl>,
    opus: opus::Encoder,
    /// What the encoder is set for: a loss, and that everything goes twice.
    expected: (u8, bool),
    /// There is next to no sound: Opus may say nothing (DTX).
    quiet: bool,
    /// The far end knows that nothing is said.
    silent: bool,
    narrow: Resampler,
    packet: Box<[f32]>,
    filled: usize,
    narrow_packet: [f32; 160],
    encoded: Producer<Encoded>,
    wake: OwnedFd,
}

impl Sender {
    pub(super) fn new(
        encoded: Producer<Encoded>,
        wake: OwnedFd,
        control: Arc<SendControl>,
        rate_hz: u32,
    ) -> Result<Self, MediaError> {
        let mut opus = opus::Encoder::new(rate_hz, opus::Channels::Mono, opus::Application::Voip)
            .map_err(MediaError::codec("Opus encoder"))?;
        opus.set_complexity(OPUS_COMPLEXITY).map_err(MediaError::codec("Opus encoder"))?;
        opus.set_signal(opus::Signal::Voice).map_err(MediaError::codec("Opus encoder"))?;
        let packet = crate::sound::frame_samples(rate_hz) * FRAMES_PER_PACKET;
        let mut sender = Self {
            control,
            opus,
            expected: (0, false),
            quiet: false,
            silent: false,
            narrow: Resampler::new(rate_hz, 8_000),
            packet: vec![0.0; packet].into_boxed_slice(),
            filled: 0,
            narrow_packet: [0.0; 160],
            encoded,
            wake,
        };
        sender.expect_loss(0, false).map_err(MediaError::codec("Opus encoder"))?;
        Ok(sender)
    }

    /// Redundancy (in-band FEC) and bits for a loss.
    fn expect_loss(&mut self, percent: u8, twice: bool) -> Result<(), opus::Error> {
        self.expected = (percent, twice);
        self.opus.set_inband_fec(percent >= WORTH_REDUNDANCY_PERCENT)?;
        self.opus.set_packet_loss_perc(i32::from(percent))?;
        self.opus.set_bitrate(opus::Bitrate::Bits(bitrate(percent, twice)))
    }

    /// Takes 10 ms; every second time a packet leaves.
    pub(super) fn say(&mut self, frame: &[f32]) {
        let Some(codec) = self.control.codec() else { return };
        let Some(room) = self.packet.get_mut(self.filled..self.filled + frame.len()) else {
            self.filled = 0;
            return;
        };
        room.copy_from_slice(frame);
        self.filled += frame.len();
        if self.filled < self.packet.len() {
            return;
        }
        self.filled = 0;
        let (loss_percent, twice) = (self.control.loss_percent(), self.control.twice());
        if (loss_percent, twice) != self.expected {
            // What the encoder does not take, it goes on without.
            let _ = self.expect_loss(loss_percent, twice);
        }
        // Left alone, Opus takes a steady tone for silence too: a siren must be heard.
        let quiet = power(&self.packet) < QUIET;
        if quiet != std::mem::replace(&mut self.quiet, quiet) {
            let _ = self.opus.set_dtx(quiet);
        }
        let mut out = Encoded { codec, length: 0, data: [0; MAX_PAYLOAD] };
        let length = match codec {
            Codec::Opus => self.opus.encode_float(&self.packet, &mut out.data).unwrap_or(0),
            Codec::Pcma | Codec::Pcmu => {
                let count = self.narrow.process(&self.packet, &mut self.narrow_packet);
                for (byte, sample) in out.data.iter_mut().zip(self.narrow_packet.iter().take(count)) {
                    *byte = g711::encode(codec, (sample.clamp(-1.0, 1.0) * 32_767.0) as i16);
                }
                count
            }
        };
        // The first packet of a silence says so, and one every 400 ms says how it sounds; the others say nothing.
        let silent = codec == Codec::Opus && length <= DTX_BYTES;
        if !std::mem::replace(&mut self.silent, silent) || !silent {
            out.length = u16::try_from(length).unwrap_or(0);
        }
        // A full ring means that the network task is behind: the oldest sound is the least useful,
        // but only the consumer can drop it; leaving this one out keeps the delay bounded.
        if self.encoded.push(out).is_ok() {
            // A full pipe has woken the task already.
            let _ = rustix::io::write(&self.wake, &[0]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtrb::{Consumer, RingBuffer};
    use rustix::pipe::{PipeFlags, pipe_with};

    const RATE_HZ: u32 = 16_000;

    struct Rig {
        sender: Sender,
        control: Arc<SendControl>,
        encoded: Consumer<Encoded>,
        _wake: OwnedFd,
        said: usize,
    }

    fn rig() -> Rig {
        let (frames, encoded) = RingBuffer::new(64);
        let (wake, waker) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        let control = Arc::new(SendControl::default());
        control.set_codec(Codec::Opus);
        let sender = Sender::new(frames, waker, Arc::clone(&control), RATE_HZ).unwrap();
        Rig { sender, control, encoded, _wake: wake, said: 0 }
    }

    impl Rig {
        /// Sizes of the packets of some seconds of a voice, or of silence.
        fn second(&mut self, seconds: usize, level: f32) -> Vec<usize> {
            let mut sizes = Vec::new();
            for _ in 0..seconds * 100 {
                let frame: Vec<f32> = (self.said..self.said + 160)
                    .map(|index| {
                        let time = index as f32 / RATE_HZ as f32;
                        let pitch = 140.0 + 20.0 * (time * 7.0).sin();
                        (1..9).map(|n| (std::f32::consts::TAU * pitch * n as f32 * time).sin() / n as f32).sum::<f32>()
                            * level
                            * (time * 9.0).sin().abs()
                    })
                    .collect();
                self.said += 160;
                self.sender.say(&frame);
                sizes.extend(std::iter::from_fn(|| self.encoded.pop().ok()).map(|packet| packet.payload().len()));
            }
            sizes
        }
    }

    fn mean(sizes: &[usize]) -> usize {
        sizes.iter().sum::<usize>() / sizes.len()
    }

    #[test]
    fn silence_is_said_once_and_then_hardly_at_all() {
        let mut rig = rig();
        rig.second(1, 0.2);
        rig.second(1, 0.0);
        let silence = rig.second(4, 0.0);
        assert_eq!(silence.len(), 200, "time goes on");
        let sent = silence.iter().filter(|size| **size > 0).count();
        assert!((5..=20).contains(&sent), "{sent} packets in 4 s");
        assert!(rig.second(1, 0.2).iter().all(|size| *size > 0));
    }

    #[test]
    fn a_steady_tone_is_no_silence() {
        let mut rig = rig();
        for _ in 0..500 {
            let frame: Vec<f32> = (rig.said..rig.said + 160)
                .map(|index| (std::f32::consts::TAU * 500.0 * index as f32 / RATE_HZ as f32).sin() * 0.1)
                .collect();
            rig.said += 160;
            rig.sender.say(&frame);
            while let Ok(packet) = rig.encoded.pop() {
                assert!(packet.payload().len() > DTX_BYTES);
            }
        }
    }

    #[test]
    fn reported_loss_brings_redundancy_within_its_bits_and_goes_slowly() {
        let mut rig = rig();
        let clean = mean(&rig.second(3, 0.2));
        assert!(clean * 8 * 50 < 40_000, "{clean}");
        rig.control.note_loss(51);
        assert_eq!(rig.control.loss_percent(), 20);
        rig.second(1, 0.2);
        let lossy = mean(&rig.second(3, 0.2));
        assert!(lossy * 8 * 50 < 40_000, "{lossy}");
        assert!(rig.sender.opus.get_inband_fec().unwrap());
        rig.control.note_loss(0);
        assert_eq!(rig.control.loss_percent(), 15);
        (0..20).for_each(|_| rig.control.note_loss(0));
        rig.second(1, 0.2);
        assert!(!rig.sender.opus.get_inband_fec().unwrap());
    }

    #[test]
    fn a_network_that_drowns_is_given_less() {
        let once = |percent| bitrate(percent, false);
        assert_eq!([0, 20, 30, 40, 100].map(once), [32_000, 32_000, 28_000, 24_000, 24_000]);
        assert_eq!(bitrate(5, true), 24_000);
    }

    #[test]
    fn everything_goes_twice_where_much_is_lost_for_as_long_as_it_helps() {
        let control = SendControl::default();
        let reports = |percents: &[u32]| {
            percents.iter().for_each(|percent| control.note_loss(u8::try_from(percent * 256 / 100).unwrap()));
            control.twice()
        };
        assert!(!reports(&[9]));
        assert!(reports(&[15]));
        // What the far end now misses of both.
        assert!(reports(&[4; 20]));
        assert!(!reports(&[0; 20]));
        assert!(reports(&[60, 0, 15]), "an outage of before is no drowning");
        // 12 % of once are 1 % of both.
        assert!(reports(&[1; 10]));
        assert!(!reports(&[40]), "it drowns");
        assert!(!reports(&[15; 20]), "and is not given as much again");
    }
}
