//! A model of a cheap driver: a high-pass, then soft clipping whose strength is learned (Stenger & Kellermann 2000).

use crate::highpass::HighPass;
use crate::{HOP, RATE_HZ};

/// Below this a small driver plays almost nothing.
const CORNER_HZ: f32 = 250.0;
/// Bounds of the square of the strength.
const STRENGTH: (f32, f32) = (0.25, 64.0);

/// `tanh(kx) / k` after a high-pass.
pub(super) struct Loudspeaker {
    high_pass: HighPass,
    /// The square of k.
    strength: f32,
    slope_power: f32,
    error_power: f32,
}

impl Loudspeaker {
    pub(super) fn new() -> Self {
        let high_pass = HighPass::new(CORNER_HZ, RATE_HZ);
        Self { high_pass, strength: 9.0, slope_power: 1e-3, error_power: 1e-3 }
    }

    /// Fills `played` with what the driver makes of a hop, and `slope` with its derivative by the squared strength.
    pub(super) fn play(&mut self, far: &[f32], played: &mut [f32; HOP], slope: &mut [f32; HOP]) {
        let root = self.strength.sqrt();
        for ((input, played), slope) in far.iter().zip(played).zip(slope) {
            let x = self.high_pass.filter(*input);
            let bent = (root * x).tanh();
            *played = bent / root;
            *slope = 0.5 / self.strength * (x * (1.0 - bent * bent) - *played);
        }
    }

    /// Learns the strength from the error of a hop, and from the echo that the slope would have caused.
    pub(super) fn learn(&mut self, error: &[f32], slope_echo: &[f32]) {
        let power = |samples: &[f32]| samples.iter().map(|sample| sample * sample).sum::<f32>();
        let slope_power = power(slope_echo);
        self.slope_power = 0.99 * self.slope_power + 0.01 * slope_power;
        self.error_power = 0.8 * self.error_power + 0.2 * power(error);
        let along: f32 = error.iter().zip(slope_echo).map(|(error, slope)| error * slope).sum();
        let step = along / (self.slope_power + slope_power + 0.01 * self.error_power);
        self.strength = (self.strength + 0.25 * step.clamp(-10.0, 10.0)).clamp(STRENGTH.0, STRENGTH.1);
    }
}
