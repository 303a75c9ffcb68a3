//! The receive path of a call: packets from a ring, jitter buffer, decoder, resampler.
//!
//! Runs on the audio thread. Everything is allocated when the call is made.

use rtrb::Consumer;

use super::MediaError;
use super::conceal::Concealer;
use super::g711;
use super::jitter::{JitterBuffer, Packet, Playout};
use crate::config::Codec;
use crate::sound::Resampler;

/// Samples of the longest packet: 120 ms of Opus at 48 kHz.
const MAX_FRAME: usize = 5760;

pub(super) struct Receiver {
    packets: Consumer<Packet>,
    jitter: JitterBuffer,
    opus: opus::Decoder,
    narrow: Resampler,
    concealer: Concealer,
    codec: Codec,
    rate_hz: u32,
    /// Samples per packet of this far end, at our rate.
    frame: usize,
    decoded: Box<[f32]>,
    /// Decoded samples that wait to be heard: `decoded[start..end]`.
    start: usize,
    end: usize,
    scratch: Box<[f32]>,
}

impl Receiver {
    pub(super) fn new(packets: Consumer<Packet>, rate_hz: u32) -> Result<Self, MediaError> {
        Ok(Self {
            packets,
            jitter: JitterBuffer::new(),
            opus: opus::Decoder::new(rate_hz, opus::Channels::Mono).map_err(MediaError::codec)?,
            narrow: Resampler::new(8_000, rate_hz),
            concealer: Concealer::new(),
            codec: Codec::Opus,
            rate_hz,
            frame: (rate_hz / 50) as usize,
            decoded: vec![0.0; MAX_FRAME * 2].into_boxed_slice(),
            start: 0,
            end: 0,
            scratch: vec![0.0; MAX_FRAME].into_boxed_slice(),
        })
    }

    /// Fills a frame with what the far end says.
    pub(super) fn hear(&mut self, frame: &mut [f32]) {
        while let Ok(packet) = self.packets.pop() {
            self.jitter.insert(packet);
        }
        let mut filled = 0;
        while filled < frame.len() {
            if self.start == self.end {
                self.decode_next();
            }
            let ready = self.decoded.get(self.start..self.end).unwrap_or_default();
            let wanted = frame.get_mut(filled..).unwrap_or_default();
            let count = ready.len().min(wanted.len());
            if count == 0 {
                wanted.fill(0.0);
                break;
            }
            for (to, from) in wanted.iter_mut().zip(ready) {
                *to = *from;
            }
            filled += count;
            self.start += count;
        }
    }

    fn decode_next(&mut self) {
        self.start = 0;
        self.end = match self.jitter.pop() {
            Playout::Packet(packet) => {
                self.codec = packet.codec;
                let count = decode_packet(
                    packet,
                    &mut self.opus,
                    &mut self.narrow,
                    &mut self.concealer,
                    &mut self.scratch,
                    &mut self.decoded,
                );
                if count > 0 {
                    self.frame = count;
                }
                count
            }
            Playout::Lost { next } if self.codec == Codec::Opus => {
                let frame = self.decoded.get_mut(..self.frame).unwrap_or_default();
                let decoded = match next {
                    Some(next) => self.opus.decode_float(next.payload(), frame, true),
                    None => self.opus.decode_float(&[], frame, false),
                };
                decoded.unwrap_or(0)
            }
            Playout::Lost { .. } => {
                let narrow = self.frame * 8_000 / self.rate_hz as usize;
                let made_up = self.scratch.get_mut(..narrow).unwrap_or_default();
                self.concealer.conceal(made_up);
                self.narrow.process(made_up, &mut self.decoded)
            }
            Playout::Silence => 0,
        };
    }
}

/// Decodes into `decoded`; gives the number of samples at our rate.
fn decode_packet(
    packet: &Packet,
    opus: &mut opus::Decoder,
    narrow: &mut Resampler,
    concealer: &mut Concealer,
    scratch: &mut [f32],
    decoded: &mut [f32],
) -> usize {
    if packet.codec == Codec::Opus {
        let room = decoded.get_mut(..MAX_FRAME).unwrap_or_default();
        return opus.decode_float(packet.payload(), room, false).unwrap_or(0);
    }
    // Whole 10 ms frames only: that is what the resampler takes.
    let length = packet.payload().len() / 80 * 80;
    let samples = scratch.get_mut(..length).unwrap_or_default();
    for (sample, byte) in samples.iter_mut().zip(packet.payload()) {
        *sample = f32::from(g711::decode(packet.codec, *byte)) / 32_768.0;
    }
    concealer.decoded(samples);
    narrow.process(samples, decoded)
}
