//! The send path of a call: 10 ms frames to 20 ms packets, encoded on the audio thread and handed
//! to the network task through a ring and a pipe that wakes it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rtrb::Producer;

use super::MediaError;
use super::g711;
use super::packets::MAX_PAYLOAD;
use crate::config::Codec;
use crate::sound::Resampler;

/// Speech at full band with in-band redundancy.
const OPUS_BITRATE: i32 = 28_000;
/// Loss that the redundancy is made for, until the far end's reports steer it.
const EXPECTED_LOSS_PERCENT: i32 = 10;
/// Full complexity costs a small board more than it gives.
const OPUS_COMPLEXITY: i32 = 5;
/// Frames of 10 ms in a packet.
const FRAMES_PER_PACKET: usize = 2;

/// An encoded packet without its RTP header.
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

/// The negotiated codec of the sending direction, shared with the audio thread.
#[derive(Debug, Default)]
pub(super) struct SendCodec(AtomicU8);

impl SendCodec {
    pub(super) fn set(&self, codec: Codec) {
        let number = match codec {
            Codec::Opus => 1,
            Codec::Pcma => 2,
            Codec::Pcmu => 3,
        };
        self.0.store(number, Ordering::Release);
    }

    /// `None` before the negotiation.
    pub(super) fn get(&self) -> Option<Codec> {
        match self.0.load(Ordering::Acquire) {
            1 => Some(Codec::Opus),
            2 => Some(Codec::Pcma),
            3 => Some(Codec::Pcmu),
            _ => None,
        }
    }
}

pub(super) struct Sender {
    codec: Arc<SendCodec>,
    opus: opus::Encoder,
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
        codec: Arc<SendCodec>,
        rate_hz: u32,
    ) -> Result<Self, MediaError> {
        let mut opus =
            opus::Encoder::new(rate_hz, opus::Channels::Mono, opus::Application::Voip).map_err(MediaError::codec)?;
        opus.set_bitrate(opus::Bitrate::Bits(OPUS_BITRATE)).map_err(MediaError::codec)?;
        opus.set_inband_fec(true).map_err(MediaError::codec)?;
        opus.set_packet_loss_perc(EXPECTED_LOSS_PERCENT).map_err(MediaError::codec)?;
        opus.set_complexity(OPUS_COMPLEXITY).map_err(MediaError::codec)?;
        opus.set_signal(opus::Signal::Voice).map_err(MediaError::codec)?;
        let packet = crate::sound::frame_samples(rate_hz) * FRAMES_PER_PACKET;
        Ok(Self {
            codec,
            opus,
            narrow: Resampler::new(rate_hz, 8_000),
            packet: vec![0.0; packet].into_boxed_slice(),
            filled: 0,
            narrow_packet: [0.0; 160],
            encoded,
            wake,
        })
    }

    /// Takes 10 ms; every second time a packet leaves.
    pub(super) fn say(&mut self, frame: &[f32]) {
        let Some(codec) = self.codec.get() else { return };
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
        out.length = u16::try_from(length).unwrap_or(0);
        // A full ring means that the network task is behind: the oldest sound is the least useful,
        // but only the consumer can drop it; leaving this one out keeps the delay bounded.
        if length > 0 && self.encoded.push(out).is_ok() {
            // A full pipe has woken the task already.
            let _ = rustix::io::write(&self.wake, &[0]);
        }
    }
}
