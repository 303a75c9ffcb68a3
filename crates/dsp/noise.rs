//! White noise in vectors: eight linear congruential generators (Knuth, The Art of Computer Programming, volume 2, 3.2.1).

use wide::{f32x8, i32x8};

/// Numbers that nobody has to predict: noise of comfort and dither.
pub(super) struct Noise {
    state: i32x8,
}

impl Noise {
    pub(super) const fn new() -> Self {
        let seeds =
            [0x1f3d_5b71, 0x7e4c_6a11, 0x3d5b_7997, 0x0c6a_18a7, 0x5b79_97b5, 0x6a88_a6c4, 0x7997_b5d3, 0x08a6_c4e2];
        Self { state: i32x8::new(seeds) }
    }

    /// Uniform from -1 to 1.
    pub(super) fn uniform(&mut self) -> f32x8 {
        // The low bits of such a generator are poor; the conversion rounds them off.
        self.state = self.state * 1_664_525 + 1_013_904_223;
        f32x8::from_i32x8(self.state) * 2.0_f32.powi(-31)
    }

    /// Complex numbers of magnitude 1 and random phase: real and imaginary parts.
    pub(super) fn units(&mut self) -> (f32x8, f32x8) {
        let (sin, cos) = (self.uniform() * std::f32::consts::PI).sin_cos();
        (cos, sin)
    }
}

/// A number from -1 to 1 (xorshift, Marsaglia 2003).
#[cfg(test)]
pub(super) fn random(state: &mut u32) -> f32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    (*state as f32 * (std::f32::consts::TAU / 4_294_967_296.0)).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_white_and_its_lanes_differ() {
        let mut noise = Noise::new();
        let samples: Vec<f32> = (0..20_000).flat_map(|_| noise.uniform().to_array()).collect();
        let count = samples.len() as f32;
        let moment =
            |lag: usize| samples.iter().zip(&samples[lag..]).map(|(one, other)| one * other).sum::<f32>() / count;
        assert!((moment(0) - 1.0 / 3.0).abs() < 0.005, "{}", moment(0));
        for lag in 1..40 {
            assert!(moment(lag).abs() < 0.01, "{lag}: {}", moment(lag));
        }
    }

    #[test]
    fn units_have_the_magnitude_one_and_no_mean() {
        let mut noise = Noise::new();
        let mut sum = (f32x8::ZERO, f32x8::ZERO);
        for _ in 0..10_000 {
            let (re, im) = noise.units();
            (re * re + im * im).to_array().iter().for_each(|power| assert!((power - 1.0).abs() < 1e-5));
            sum = (sum.0 + re, sum.1 + im);
        }
        assert!((sum.0.reduce_add() / 80_000.0).abs() < 0.01 && (sum.1.reduce_add() / 80_000.0).abs() < 0.01);
    }
}
