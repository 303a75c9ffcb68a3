//! Rate conversion in whole 10 ms frames, over rubato's FFT resampler.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use super::frame_samples;

/// Two rates that cannot be converted.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no conversion from {from_hz} to {to_hz} samples per second: {problem}")]
pub(crate) struct ResampleError {
    from_hz: u32,
    to_hz: u32,
    problem: String,
}

/// Converts one rate to another; a copy where they are the same.
pub(crate) struct Resampler {
    fft: Option<Fft<f32>>,
    input: usize,
    output: usize,
}

impl Resampler {
    pub(crate) fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        let (input, output) = (frame_samples(from_hz), frame_samples(to_hz));
        let fft = if from_hz == to_hz {
            None
        } else {
            let fft = Fft::new(from_hz as usize, to_hz as usize, input, 1, FixedSync::Both)
                .map_err(|error| ResampleError { from_hz, to_hz, problem: error.to_string() })?;
            Some(fft)
        };
        Ok(Self { fft, input, output })
    }

    /// Converts whole frames; gives the number of samples written.
    pub(crate) fn process(&mut self, samples: &[f32], converted: &mut [f32]) -> usize {
        let mut written = 0;
        for frame in samples.chunks_exact(self.input) {
            let Some(room) = converted.get_mut(written..written + self.output) else { break };
            let done = match &mut self.fft {
                None => {
                    room.copy_from_slice(frame);
                    true
                }
                Some(fft) => convert(fft, frame, room),
            };
            if !done {
                room.fill(0.0);
            }
            written += self.output;
        }
        written
    }
}

fn convert(fft: &mut Fft<f32>, frame: &[f32], room: &mut [f32]) -> bool {
    let (input, output) = (frame.len(), room.len());
    let Ok(from) = SequentialSlice::new(frame, 1, input) else { return false };
    let Ok(mut to) = SequentialSlice::new_mut(room, 1, output) else { return false };
    fft.process_into_buffer(&from, &mut to, None).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_keeps_its_level_over_both_conversions() {
        for rate in [48_000, 16_000] {
            let mut up = Resampler::new(8_000, rate).unwrap();
            let mut down = Resampler::new(rate, 8_000).unwrap();
            let tone: Vec<f32> =
                (0..8_000).map(|index| (index as f32 * std::f32::consts::TAU * 1000.0 / 8000.0).sin() * 0.5).collect();
            let mut wide = vec![0.0; rate as usize];
            assert_eq!(up.process(&tone, &mut wide), rate as usize);
            let mut narrow = vec![0.0; 8_000];
            assert_eq!(down.process(&wide, &mut narrow), 8_000);
            let level = |samples: &[f32]| {
                (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32).sqrt()
            };
            assert!((level(&narrow[4000..]) - level(&tone)).abs() < 0.01, "{rate}");
        }
    }
}
