//! Packets to samples at the card's rate, and what to play where packets are missing.

use super::MediaError;
use super::conceal::Concealer;
use super::g711;
use super::packets::Packet;
use crate::config::Codec;
use crate::sound::Resampler;

/// Samples that one packet may complete, at 48 kHz: 200 ms of G.711 and a rest of almost 10 ms.
pub(super) const MAX_FRAME: usize = 10_080;
/// Samples of 10 ms of G.711, which is what the resampler takes.
const NARROW_FRAME: usize = 80;
/// Opus says that nothing is said with a packet of one or two bytes (RFC 6716, 2.1.9).
const DTX_PAYLOAD: usize = 2;

/// All codecs of one direction of a call.
pub(super) struct Decoder {
    opus: opus::Decoder,
    narrow: Resampler,
    concealer: Concealer,
    codec: Codec,
    rate_hz: u32,
    /// G.711: the samples that the last packets left over, `scratch[..rest]`, then those of the packet at hand.
    scratch: Box<[f32]>,
    rest: usize,
    /// The far end said that it says nothing.
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

    /// Whether what is missing now is missing because nothing is said.
    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    /// How much sound of the last packets is decoded and not given out yet: less than 10 ms.
    pub(super) fn rest_ms(&self) -> f64 {
        self.rest as f64 / 8.0
    }

    /// Decodes a packet; gives the number of samples. A G.711 packet may have any length: what is left of whole frames
    /// of 10 ms waits for the next packet.
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

    /// Gives out the whole frames of `scratch[..available]`; gives the number of samples at the card's rate.
    fn give_out(&mut self, available: usize, sound: &mut [f32]) -> usize {
        let whole = available / NARROW_FRAME * NARROW_FRAME;
        let count = self.narrow.process(self.scratch.get(..whole).unwrap_or_default(), sound);
        self.scratch.copy_within(whole..available, 0);
        self.rest = available - whole;
        count
    }

    fn decode_opus(&mut self, payload: &[u8], room: &mut [f32], redundancy: bool) -> usize {
        let count = self.opus.decode_float(payload, room, redundancy).unwrap_or(0);
        // What is no speech may be louder than full scale.
        room.iter_mut().take(count).for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
        count
    }

    /// What a packet lacks that the one behind it says again (Opus' in-band FEC), or what is made up for it.
    ///
    /// Redundancy is a whole packet; what is made up has as many samples as are missing.
    pub(super) fn lost_before(&mut self, behind: &Packet, missing: usize, sound: &mut [f32]) -> usize {
        if self.codec != Codec::Opus || behind.codec != Codec::Opus {
            return self.conceal(missing, sound);
        }
        let samples = (behind.duration_ms() * f64::from(self.rate_hz) / 1000.0) as usize;
        self.decode_opus(behind.payload(), sound.get_mut(..samples).unwrap_or_default(), true)
    }

    /// Makes up so many samples, whole frames of 10 ms; gives their number.
    pub(super) fn conceal(&mut self, samples: usize, sound: &mut [f32]) -> usize {
        if self.codec == Codec::Opus {
            return self.decode_opus(&[], sound.get_mut(..samples).unwrap_or_default(), false);
        }
        // What waits is of before the gap, and comes first; it stays as much of a rest as it was.
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
    /// The packet in which somebody begins to talk, which is lost.
    const ONSET: usize = 30;

    fn energy(samples: &[f32]) -> f32 {
        samples.iter().map(|sample| sample * sample).sum()
    }

    /// What is played in the place of the lost packet, and was said in it; with redundancy in the one behind it or not.
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
        unreachable!("the loop ends behind the lost packet");
    }

    #[test]
    fn a_lost_onset_is_played_from_the_packet_behind_it() {
        let (played, said) = in_place_of_the_onset(true);
        assert!(played > said / 4.0, "{played} of {said}");
        let (made_up, said) = in_place_of_the_onset(false);
        assert!(made_up < said / 100.0, "without redundancy nobody can know: {made_up} of {said}");
    }
}
