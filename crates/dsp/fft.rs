//! A real Fourier transform of one length, with its buffers (based on `realfft`).

use std::sync::Arc;

use crate::spectrum::Spectrum;
use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Transforms of `length` samples to `length / 2 + 1` bins and back.
pub(super) struct Fft {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    samples: Vec<f32>,
    bins: Vec<Complex32>,
    scratch: Vec<Complex32>,
    scale: f32,
}

impl Fft {
    pub(super) fn new(length: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(length);
        let inverse = planner.plan_fft_inverse(length);
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        Self {
            samples: forward.make_input_vec(),
            bins: forward.make_output_vec(),
            scratch: vec![Complex32::default(); scratch],
            scale: 1.0 / length as f32,
            forward,
            inverse,
        }
    }

    /// The bins of the samples that `fill` writes.
    pub(super) fn forward(&mut self, bins: &mut [Complex32], fill: impl FnOnce(&mut [f32])) {
        fill(&mut self.samples);
        let scratch = self.scratch.get_mut(..self.forward.get_scratch_len()).unwrap_or_default();
        // The lengths are those of the plan, so this cannot fail.
        let _ = self.forward.process_with_scratch(&mut self.samples, bins, scratch);
    }

    /// The same, in vectors.
    pub(super) fn spectrum<const VECTORS: usize>(&mut self, to: &mut Spectrum<VECTORS>, fill: impl FnOnce(&mut [f32])) {
        let mut bins = std::mem::take(&mut self.bins);
        self.forward(&mut bins, fill);
        to.take(&bins);
        self.bins = bins;
    }

    /// The samples of the bins that `fill` writes, scaled so that [`Self::forward`] and back is the identity.
    pub(super) fn inverse(&mut self, fill: impl FnOnce(&mut [Complex32])) -> &[f32] {
        fill(&mut self.bins);
        // The first and the last bin of a real signal are real; `realfft` rejects an imaginary part there
        // (docs/workarounds.md, "realfft: the inverse rejects imaginary ends").
        if let [first, .., last] = self.bins.as_mut_slice() {
            first.im = 0.0;
            last.im = 0.0;
        }
        let scratch = self.scratch.get_mut(..self.inverse.get_scratch_len()).unwrap_or_default();
        let _ = self.inverse.process_with_scratch(&mut self.bins, &mut self.samples, scratch);
        self.samples.iter_mut().for_each(|sample| *sample *= self.scale);
        &self.samples
    }
}
