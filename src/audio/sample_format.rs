//! Converts between the sample formats of cards (ALSA's `snd_pcm_format_t`) and one channel of `f32` within ±1.

use alsa::pcm::Format;

/// The range of samples in a period below which a channel carries no sound: an I2S microphone drives one of the two
/// channels of its bus, and the other one stays constant (docs/workarounds.md, "alsa: one of two channels may be
/// dead"). -108 dBFS, which is less than the noise of any microphone.
const DEAD_SPAN: f32 = 4e-6;
/// Periods of 10 ms after which a channel that has become constant counts as dead again. A microphone may be muted for
/// a while, and the level of the others must not jump at each pause.
const DEAD_AFTER_PERIODS: u32 = 500;

/// A linear format of little-endian samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SampleFormat {
    S16,
    S32,
    /// 24 bits in the lower three of four bytes.
    S24,
    /// 24 bits in three bytes.
    S24Packed,
    Float,
}

impl SampleFormat {
    /// All formats, best first. No card delivers sound that needs more than 16 bits.
    pub(super) const ALL: [Self; 5] = [Self::S16, Self::S32, Self::S24, Self::S24Packed, Self::Float];

    pub(super) fn alsa(self) -> Format {
        match self {
            Self::S16 => Format::S16LE,
            Self::S32 => Format::S32LE,
            Self::S24 => Format::S24LE,
            Self::S24Packed => Format::S243LE,
            Self::Float => Format::FloatLE,
        }
    }

    /// Bytes in a sample.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::S24Packed => 3,
            Self::S32 | Self::S24 | Self::Float => 4,
        }
    }

    fn read(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::S16, [low, high]) => f32::from(i16::from_le_bytes([*low, *high])) / 32_768.0,
            (Self::S32, [a, b, c, d]) => i32::from_le_bytes([*a, *b, *c, *d]) as f32 / 2_147_483_648.0,
            // docs/workarounds.md, "alsa: the fourth byte of s24 is undefined".
            (Self::S24Packed, [a, b, c]) | (Self::S24, [a, b, c, _]) => {
                i32::from_le_bytes([0, *a, *b, *c]) as f32 / 2_147_483_648.0
            }
            (Self::Float, [a, b, c, d]) => {
                let sample = f32::from_le_bytes([*a, *b, *c, *d]);
                if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
            }
            _ => 0.0,
        }
    }

    fn write(self, sample: f32, bytes: &mut [u8]) {
        let sample = sample.clamp(-1.0, 1.0);
        // The cast saturates: full scale stays full scale.
        let wide = (f64::from(sample) * 2_147_483_647.0) as i32;
        let all = wide.to_le_bytes();
        match self {
            Self::S16 => bytes.copy_from_slice(&((sample * 32_767.0) as i16).to_le_bytes()),
            Self::S32 => bytes.copy_from_slice(&all),
            Self::S24 => bytes.copy_from_slice(&(wide >> 8).to_le_bytes()),
            Self::S24Packed => bytes.copy_from_slice(all.get(1..).unwrap_or_default()),
            Self::Float => bytes.copy_from_slice(&sample.to_le_bytes()),
        }
    }

    /// Writes one channel to all channels.
    pub(super) fn spread(self, mono: &[f32], channels: usize, interleaved: &mut [u8]) {
        let size = self.bytes();
        for (frame, sample) in interleaved.chunks_exact_mut(size * channels).zip(mono) {
            frame.chunks_exact_mut(size).for_each(|bytes| self.write(*sample, bytes));
        }
    }
}

/// Further channels are ignored: no microphone of an intercom has more.
const MAX_CHANNELS: usize = 8;

/// Makes one channel from those that carry sound.
#[derive(Debug)]
pub(super) struct Downmix {
    format: SampleFormat,
    channels: usize,
    /// For each channel, the number of periods since it last changed; `None` if it is dead.
    still_periods: [Option<u32>; MAX_CHANNELS],
}

impl Downmix {
    pub(super) fn new(format: SampleFormat, channels: usize) -> Self {
        Self { format, channels, still_periods: [None; MAX_CHANNELS] }
    }

    /// Fills `mono` from interleaved samples: the mean of the live channels, or of all channels if none is live.
    pub(super) fn process(&mut self, interleaved: &[u8], mono: &mut [f32]) {
        let size = self.format.bytes();
        let looked_at = self.channels.min(MAX_CHANNELS);
        let sample = |frame: &[u8], channel: usize| {
            self.format.read(frame.get(channel * size..(channel + 1) * size).unwrap_or_default())
        };
        let frames = || interleaved.chunks_exact(size * self.channels);
        if looked_at == 1 {
            mono.iter_mut().zip(frames()).for_each(|(mono, frame)| *mono = sample(frame, 0));
            return;
        }
        let mut live = [false; MAX_CHANNELS];
        for (channel, live) in live.iter_mut().enumerate().take(looked_at) {
            let (least, most) = frames().fold((f32::MAX, f32::MIN), |(least, most), frame| {
                let sample = sample(frame, channel);
                (least.min(sample), most.max(sample))
            });
            *live = most - least > DEAD_SPAN;
        }
        for (still, live) in self.still_periods.iter_mut().zip(live) {
            *still = match still {
                _ if live => Some(0),
                Some(periods) if *periods < DEAD_AFTER_PERIODS => Some(*periods + 1),
                _ => None,
            };
        }
        let counts = |channel: &usize| self.still_periods.get(*channel).is_some_and(Option::is_some);
        let any = (0..looked_at).any(|channel| counts(&channel));
        let taken = (0..looked_at).filter(|channel| !any || counts(channel)).count();
        for (mono, frame) in mono.iter_mut().zip(frames()) {
            let channels = (0..looked_at).filter(|channel| !any || counts(channel));
            *mono = channels.map(|channel| sample(frame, channel)).sum::<f32>() / taken as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_every_format_come_back_as_they_were() {
        let mono: Vec<f32> = (-10..=10).map(|step| step as f32 / 10.0).collect();
        for format in SampleFormat::ALL {
            let mut bytes = vec![0xA5; mono.len() * format.bytes() * 2];
            format.spread(&mono, 2, &mut bytes);
            let mut back = vec![0.0; mono.len()];
            Downmix::new(format, 2).process(&bytes, &mut back);
            for (sample, back) in mono.iter().zip(&back) {
                assert!((sample - back).abs() < 1e-4, "{format:?}: {sample} became {back}");
            }
        }
    }

    #[test]
    fn the_fourth_byte_of_24_bits_means_nothing() {
        let mut mono = [0.0];
        Downmix::new(SampleFormat::S24, 1).process(&[0, 0, 0x40, 0x7F], &mut mono);
        assert_eq!(mono, [0.5]);
    }

    #[test]
    fn a_microphone_on_one_of_two_channels_is_heard_at_its_level() {
        let mut downmix = Downmix::new(SampleFormat::S16, 2);
        let frame = |left: i16, right: i16| [left.to_le_bytes(), right.to_le_bytes()].concat();
        let mut mono = [0.0; 2];
        let one = [frame(16_384, 3), frame(-16_384, 3)].concat();
        downmix.process(&one, &mut mono);
        assert_eq!(mono, [0.5, -0.5]);
        // The microphone pauses: the choice of channels stays the same.
        downmix.process(&[frame(0, 3), frame(0, 3)].concat(), &mut mono);
        assert_eq!(mono, [0.0, 0.0]);
        downmix.process(&[frame(16_384, 16_384), frame(-16_384, 0)].concat(), &mut mono);
        assert_eq!(mono, [0.5, -0.25], "two live channels are mixed");
    }

    #[test]
    fn what_is_louder_than_full_scale_or_not_a_number_does_no_harm() {
        for format in SampleFormat::ALL {
            let mut bytes = vec![0; format.bytes() * 3];
            format.spread(&[9.0, -9.0, f32::NAN], 1, &mut bytes);
            let mut back = [0.0; 3];
            Downmix::new(format, 1).process(&bytes, &mut back);
            assert!(back[0] > 0.99 && back[1] < -0.99 && back[2] == 0.0, "{format:?}: {back:?}");
        }
    }
}
