//! A Butterworth high-pass of second order.

/// The bilinear transform of s² / (s² + √2 s + 1), in transposed direct form II.
pub(super) struct HighPass {
    feedforward: [f32; 3],
    feedback: [f32; 2],
    state: [f32; 2],
}

impl HighPass {
    pub(super) fn new(corner_hz: f32, rate_hz: u32) -> Self {
        let warped = (std::f32::consts::PI * corner_hz / rate_hz as f32).tan();
        let norm = 1.0 / (1.0 + std::f32::consts::SQRT_2 * warped + warped * warped);
        let middle = 2.0 * (warped * warped - 1.0) * norm;
        let last = (1.0 - std::f32::consts::SQRT_2 * warped + warped * warped) * norm;
        Self { feedforward: [norm, -2.0 * norm, norm], feedback: [middle, last], state: [0.0; 2] }
    }

    pub(super) fn filter(&mut self, input: f32) -> f32 {
        let [b0, b1, b2] = self.feedforward;
        let [a1, a2] = self.feedback;
        let [first, second] = self.state;
        let output = b0 * input + first;
        self.state = [b1 * input - a1 * output + second, b2 * input - a2 * output];
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_db(hertz: f32) -> f32 {
        let mut filter = HighPass::new(250.0, 16_000);
        let wave = |index: usize| (std::f32::consts::TAU * hertz * index as f32 / 16_000.0).sin();
        let output: Vec<f32> = (0..16_000).map(|index| filter.filter(wave(index))).collect();
        let power = output[8_000..].iter().map(|sample| sample * sample).sum::<f32>() / 8_000.0;
        10.0 * (2.0 * power).log10()
    }

    #[test]
    fn the_corner_is_3_db_down_and_an_octave_below_it_12() {
        assert!((level_db(250.0) + 3.0).abs() < 0.1, "{}", level_db(250.0));
        assert!((level_db(125.0) + 12.3).abs() < 0.3, "{}", level_db(125.0));
        assert!(level_db(2_000.0).abs() < 0.1, "{}", level_db(2_000.0));
    }
}
