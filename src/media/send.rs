//! The send path of a call. Frames of 10 ms become packets of 20 ms, which are encoded on the audio thread. A ring
//! hands them to the network task, and a pipe wakes it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use rtrb::Producer;

use super::MediaError;
use super::g711;
use super::packets::MAX_PAYLOAD;
use crate::config::Codec;
use crate::sound::{Resampler, power};

/// The bitrate of speech with full bandwidth.
const OPUS_BITRATE: i32 = 32_000;
/// If the network loses more packets than this, we probably overload it. Then the bitrate falls.
const LOSSY_PERCENT: i32 = 20;
/// The bitrate at `VERY_LOSSY_PERCENT` of loss.
const LOSSY_BITRATE: i32 = 24_000;
const VERY_LOSSY_PERCENT: i32 = 40;
/// From this loss on, every packet is sent twice (see [`super::repeats`]).
const TWICE_FROM_PERCENT: u8 = 10;
/// Every packet is sent twice until the far end misses both copies of less than this share of the packets.
const TWICE_UNTIL_PERCENT: u8 = 2;
/// If the far end misses both copies of this share or more, the network is probably overloaded. Then packets are sent
/// only once for the rest of the call.
const DROWNS_PERCENT: u32 = 35;
/// Every packet is sent twice for at least this many reports: the share that misses both copies says little about the
/// loss of single packets.
const TWICE_REPORTS: u8 = 20;
/// A smaller loss is left to the concealment of the far end (docs/workarounds.md, "opus: redundancy costs quality where
/// nothing is lost").
const WORTH_REDUNDANCY_PERCENT: u8 = 1;
/// What the complexities cost, and what they are worth, is in docs/figures.md ("The complexity of Opus"). The 32-bit
/// boards are the slow ones.
const OPUS_COMPLEXITY: i32 = if cfg!(target_arch = "arm") { 5 } else { 7 };
/// Power below which there is no sound worth sending: -50 dBFS.
const QUIET: f32 = 1e-5;
/// Opus makes packets of at most this many octets where there is silence (RFC 6716, section 2.1.9).
const DTX_BYTES: usize = 2;
/// Number of 10 ms frames in a packet.
const FRAMES_PER_PACKET: usize = 2;

/// An encoded packet without its RTP header. One without a payload stands for 20 ms of silence.
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

    /// Duration of the packet in ticks of the RTP clock.
    pub(super) fn ticks(&self) -> u32 {
        if self.codec == Codec::Opus { 960 } else { 160 }
    }
}

/// What the network task knows, and the audio thread needs for sending.
#[derive(Debug, Default)]
pub(super) struct SendControl {
    codec: AtomicU8,
    loss_percent: AtomicU8,
    /// Number of reports for which packets have been sent twice, with the report that started it; 0 while they are sent
    /// once.
    twice_reports: AtomicU8,
    drowned: AtomicBool,
}

impl SendControl {
    /// Sets the negotiated codec.
    pub(super) fn set_codec(&self, codec: Codec) {
        let number = match codec {
            Codec::Opus => 1,
            Codec::Pcma => 2,
            Codec::Pcmu => 3,
        };
        self.codec.store(number, Ordering::Release);
    }

    /// Returns the negotiated codec, or `None` before the negotiation.
    pub(super) fn codec(&self) -> Option<Codec> {
        match self.codec.load(Ordering::Acquire) {
            1 => Some(Codec::Opus),
            2 => Some(Codec::Pcma),
            3 => Some(Codec::Pcmu),
            _ => None,
        }
    }

    /// Notes the share of our packets that was lost, in 256ths, since the far end's last report. A higher loss counts
    /// at once; a lower one counts by a quarter.
    pub(super) fn note_loss(&self, fraction_lost: u8) {
        let reported = (u32::from(fraction_lost) * 100).div_ceil(256);
        let known = u32::from(self.loss_percent());
        let loss = if reported > known { reported } else { (known * 3 + reported) / 4 };
        let loss = u8::try_from(loss).unwrap_or(100);
        self.loss_percent.store(loss, Ordering::Relaxed);
        let reports = self.twice_reports.load(Ordering::Relaxed);
        // The first report after the change covers time before it as well.
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

    /// Whether every packet is to be sent twice.
    pub(super) fn twice(&self) -> bool {
        self.twice_reports.load(Ordering::Relaxed) > 0
    }

    /// The loss according to the recent reports of the far end.
    pub(super) fn loss_percent(&self) -> u8 {
        self.loss_percent.load(Ordering::Relaxed)
    }
}

/// Returns the bitrate of one copy for a loss, in bits per second.
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
    /// What the encoder is set up for: a loss, and whether packets are sent twice.
    expected: (u8, bool),
    /// There is hardly any sound, so Opus may be silent (DTX).
    quiet: bool,
    /// The far end has been told that there is silence.
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

    /// Sets up redundancy (in-band FEC) and the bitrate for a loss (docs/workarounds.md, "webrtc: nothing repairs lost
    /// speech").
    fn expect_loss(&mut self, percent: u8, twice: bool) -> Result<(), opus::Error> {
        self.expected = (percent, twice);
        self.opus.set_inband_fec(percent >= WORTH_REDUNDANCY_PERCENT)?;
        self.opus.set_packet_loss_perc(i32::from(percent))?;
        self.opus.set_bitrate(opus::Bitrate::Bits(bitrate(percent, twice)))
    }

    /// Takes a frame of 10 ms. Every second frame completes a packet.
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
            // If the encoder refuses a setting, it continues without it.
            let _ = self.expect_loss(loss_percent, twice);
        }
        // DTX is allowed only when it is quiet: Opus by itself takes a steady tone for silence, but a siren must be
        // heard (docs/workarounds.md, "opus: a steady tone counts as silence").
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
        // The first packet of a silence announces it, and one packet every 400 ms describes how it sounds. The others
        // have no content.
        let silent = codec == Codec::Opus && length <= DTX_BYTES;
        if !std::mem::replace(&mut self.silent, silent) || !silent {
            out.length = u16::try_from(length).unwrap_or(0);
        }
        // A full ring means that the network task is behind. The oldest sound is the least useful, but only the
        // consumer can drop it. Leaving this packet out keeps the delay bounded.
        if self.encoded.push(out).is_ok() {
            // If the pipe is full, the task has been woken already.
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
        /// Returns the sizes of the packets of some seconds of a voice (of silence at level 0).
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
    fn silence_is_sent_once_and_then_hardly_at_all() {
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
    fn a_steady_tone_is_not_silence() {
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
        // The share of which the far end misses both copies.
        assert!(reports(&[4; 20]));
        assert!(!reports(&[0; 20]));
        assert!(reports(&[60, 0, 15]), "an outage before the change is not an overload");
        // Where 12 % of single packets are lost, 1 % lose both copies.
        assert!(reports(&[1; 10]));
        assert!(!reports(&[40]), "the network is overloaded");
        assert!(!reports(&[15; 20]), "so packets are not sent twice again");
    }
}
