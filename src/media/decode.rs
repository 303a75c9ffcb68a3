//! Decodes packets to samples at the sound card's rate, and fills in for missing packets.

use super::MediaError;
use super::conceal::Concealer;
use super::g711;
use super::packets::Packet;
use crate::config::Codec;
use crate::sound::Resampler;

/// Largest number of samples that one packet can produce, at 48 kHz: 200 ms of G.711 and a remainder of almost 10 ms.
pub(super) const MAX_FRAME: usize = 10_080;
/// Samples in 10 ms of G.711, which is the unit of the resampler.
const NARROW_FRAME: usize = 80;
/// An Opus packet of one or two octets means silence (RFC 6716, section 2.1.9).
const DTX_PAYLOAD: usize = 2;

/// Decodes all codecs, in one direction of a call.
pub(super) struct Decoder {
    opus: opus::Decoder,
    narrow: Resampler,
    concealer: Concealer,
    codec: Codec,
    rate_hz: u32,
    /// For G.711: the samples that are left over from the last packets, in `scratch[..rest]`, then those of the current
    /// packet.
    scratch: Box<[f32]>,
    rest: usize,
    /// The last packet announced silence.
    silent: bool,
}

impl Decoder {
    pub(super) fn new(rate_hz: u32) -> Result<Self, MediaError> {
        Ok(Self {
            opus: opus::Decoder::new(rate_hz, opus::Channels::Mono).map_err(MediaError::codec("Opus decoder"))?,
            narrow: Resampler::new(8_000, rate_hz),
            concealer: Concealer::new(),
            codec: Codec::Opus,
            rate_hz,
            scratch: vec![0.0; MAX_FRAME].into_boxed_slice(),
            rest: 0,
            silent: false,
        })
    }

    /// Whether packets are missing because the far end is silent.
    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Duration of the sound of the last packets that is decoded and not returned yet: less than 10 ms.
    pub(super) fn rest_ms(&self) -> f64 {
        self.rest as f64 / 8.0
    }

    /// Decodes a packet and returns the number of samples. A G.711 packet may have any length: what remains after the
    /// whole frames of 10 ms waits for the next packet.
    pub(super) fn packet(&mut self, packet: &Packet, sound: &mut [f32]) -> usize {
        self.codec = packet.codec;
        self.silent = packet.codec == Codec::Opus && packet.payload().len() <= DTX_PAYLOAD;
        if packet.codec == Codec::Opus {
            self.rest = 0;
            return self.decode_opus(packet.payload(), sound.get_mut(..MAX_FRAME).unwrap_or_default(), false);
        }
        let length = packet.payload().len();
        let samples = self.scratch.get_mut(self.rest..self.rest + length).unwrap_or_default();
        for (sample, byte) in samples.iter_mut().zip(packet.payload()) {
            *sample = f32::from(g711::decode(packet.codec, *byte)) / 32_768.0;
        }
        self.concealer.decoded(samples);
        let available = self.rest + length;
        self.give_out(available, sound)
    }

    /// Resamples the whole frames of `scratch[..available]` into `sound`. Returns the number of samples at the card's
    /// rate.
    fn give_out(&mut self, available: usize, sound: &mut [f32]) -> usize {
        let whole = available / NARROW_FRAME * NARROW_FRAME;
        let count = self.narrow.process(self.scratch.get(..whole).unwrap_or_default(), sound);
        self.scratch.copy_within(whole..available, 0);
        self.rest = available - whole;
        count
    }

    fn decode_opus(&mut self, payload: &[u8], room: &mut [f32], redundancy: bool) -> usize {
        let count = self.opus.decode_float(payload, room, redundancy).unwrap_or(0);
        // Packets that contain no speech may decode to sound above full scale (docs/workarounds.md, "opus: decoded
        // sound may exceed full scale").
        room.iter_mut().take(count).for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
        count
    }

    /// Fills in for the packets that are missing before `behind`: with the redundancy in `behind` (in-band FEC of
    /// Opus), or with concealment. Returns the number of samples.
    ///
    /// Redundancy is as long as a whole packet. Concealment has `missing` samples.
    pub(super) fn lost_before(&mut self, behind: &Packet, missing: usize, sound: &mut [f32]) -> usize {
        if self.codec != Codec::Opus || behind.codec != Codec::Opus {
            return self.conceal(missing, sound);
        }
        let samples = (behind.duration_ms() * f64::from(self.rate_hz) / 1000.0) as usize;
        self.decode_opus(behind.payload(), sound.get_mut(..samples).unwrap_or_default(), true)
    }

    /// Makes up sound for a number of samples, which must be whole frames of 10 ms. Returns the number of samples.
    pub(super) fn conceal(&mut self, samples: usize, sound: &mut [f32]) -> usize {
        if self.codec == Codec::Opus {
            return self.decode_opus(&[], sound.get_mut(..samples).unwrap_or_default(), false);
        }
        // The remainder in `scratch` is from before the gap and comes first. Its length stays the same.
        let narrow = samples * 8_000 / self.rate_hz as usize;
        self.concealer.conceal(self.scratch.get_mut(self.rest..self.rest + narrow).unwrap_or_default());
        let available = self.rest + narrow;
        self.give_out(available, sound)
    }
}

#[cfg(test)]
mod tests {
    use super::super::packets::tests::header;
    use super::*;

    const RATE_HZ: u32 = 16_000;
    const PACKET: usize = 320;
    /// The number of the packet in which somebody begins to talk. It is lost.
    const ONSET: usize = 30;

    fn energy(samples: &[f32]) -> f32 {
        samples.iter().map(|sample| sample * sample).sum()
    }

    /// Returns the energy that is played in place of the lost packet, and the energy that was said in it, with or
    /// without redundancy in the next packet.
    fn in_place_of_the_onset(redundancy: bool) -> (f32, f32) {
        let mut encoder = opus::Encoder::new(RATE_HZ, opus::Channels::Mono, opus::Application::Voip).unwrap();
        encoder.set_inband_fec(redundancy).unwrap();
        encoder.set_packet_loss_perc(20).unwrap();
        encoder.set_bitrate(opus::Bitrate::Bits(24_000)).unwrap();
        let mut decoder = Decoder::new(RATE_HZ).unwrap();
        let mut sound = vec![0.0; MAX_FRAME];
        for number in 0..=ONSET + 1 {
            let said: Vec<f32> = (0..PACKET)
                .map(|index| {
                    let time = (number * PACKET + index) as f32 / RATE_HZ as f32;
                    let level = if number < ONSET { 0.001 } else { 0.2 };
                    (1..8).map(|n| level / n as f32 * (std::f32::consts::TAU * 140.0 * n as f32 * time).sin()).sum()
                })
                .collect();
            let payload = encoder.encode_vec_float(&said, 1_000).unwrap();
            let packet = Packet::new(Codec::Opus, &header(number as u16, 0), 0.0, &payload).unwrap();
            if number < ONSET {
                assert_eq!(decoder.packet(&packet, &mut sound), PACKET);
            } else if number > ONSET {
                assert_eq!(decoder.lost_before(&packet, PACKET, &mut sound), PACKET);
                return (energy(&sound[..PACKET]), energy(&said));
            }
        }
        unreachable!("the loop returns after the lost packet");
    }

    #[test]
    fn a_lost_onset_is_played_from_the_packet_behind_it() {
        let (played, said) = in_place_of_the_onset(true);
        assert!(played > said / 4.0, "{played} of {said}");
        let (made_up, said) = in_place_of_the_onset(false);
        assert!(made_up < said / 100.0, "without redundancy it cannot be recovered: {made_up} of {said}");
    }
}
