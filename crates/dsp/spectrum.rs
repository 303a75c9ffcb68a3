//! The bins of a transform in vectors of eight, with real and imaginary parts apart. Of complex numbers that stand side
//! by side, the compiler takes one at a time.

use realfft::num_complex::Complex32;
use wide::f32x8;

/// How many vectors these bins need. What is left of the last one stays zero.
pub(super) const fn vectors(bins: usize) -> usize {
    bins.div_ceil(8)
}

/// A real number for each bin.
pub(super) type Reals<const VECTORS: usize> = [f32x8; VECTORS];

/// A complex number for each bin.
#[derive(Clone, Copy)]
pub(super) struct Spectrum<const VECTORS: usize> {
    pub(super) re: Reals<VECTORS>,
    pub(super) im: Reals<VECTORS>,
}

impl<const VECTORS: usize> Spectrum<VECTORS> {
    pub(super) const ZERO: Self = Self { re: [f32x8::ZERO; VECTORS], im: [f32x8::ZERO; VECTORS] };

    /// Takes the bins of a transform.
    pub(super) fn take(&mut self, bins: &[Complex32]) {
        for ((re, im), bins) in self.re.iter_mut().zip(&mut self.im).zip(bins.chunks(8)) {
            let (mut real, mut imaginary) = ([0.0; 8], [0.0; 8]);
            for ((real, imaginary), bin) in real.iter_mut().zip(&mut imaginary).zip(bins) {
                (*real, *imaginary) = (bin.re, bin.im);
            }
            (*re, *im) = (f32x8::new(real), f32x8::new(imaginary));
        }
    }

    /// Gives the bins to a transform.
    pub(super) fn give(&self, bins: &mut [Complex32]) {
        for ((re, im), bins) in self.re.iter().zip(&self.im).zip(bins.chunks_mut(8)) {
            for ((bin, re), im) in bins.iter_mut().zip(re.as_array()).zip(im.as_array()) {
                *bin = Complex32::new(*re, *im);
            }
        }
    }

    /// The power of each bin.
    pub(super) fn powers(&self) -> impl Iterator<Item = f32x8> {
        self.re.iter().zip(&self.im).map(|(re, im)| re.mul_add(*re, *im * *im))
    }

    /// Real and imaginary parts of each vector.
    pub(super) fn parts(&self) -> impl Iterator<Item = (f32x8, f32x8)> {
        self.re.iter().copied().zip(self.im.iter().copied())
    }

    /// The same, to be changed.
    pub(super) fn parts_mut(&mut self) -> impl Iterator<Item = (&mut f32x8, &mut f32x8)> {
        self.re.iter_mut().zip(&mut self.im)
    }
}
