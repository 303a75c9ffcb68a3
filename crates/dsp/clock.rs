//! Learns how fast another clock runs, from the delay of its sound here.

/// For every millisecond of error. An error is corrected after about 20 s.
const PROPORTIONAL_PPM: f64 = 50.0;
/// A faster correction is never needed; this one moves a tone of 1 kHz by a quarter of a hertz.
const MAX_PROPORTIONAL_PPM: f64 = 250.0;
/// For every millisecond of error that lasts for a second. A clock's offset is known after about a minute.
const INTEGRAL_PPM: f64 = 0.625;
/// No sound card has a clock with a larger offset.
const MAX_DRIFT_PPM: f64 = 500.0;
/// Larger errors do not come from the clock.
const SLACK_MS: f64 = 10.0;

/// A proportional and integral controller. It brings the error of a delay to zero through the rate at which sound is
/// consumed.
#[derive(Debug, Clone, Copy)]
pub struct ClockControl {
    /// Seconds between two notes of an error.
    interval_s: f64,
    /// The weight of a new error in the average.
    weight: f64,
    error_ms: f64,
    drift_ppm: f64,
}

impl ClockControl {
    /// `interval_s` is the time between two calls of [`Self::note`], `average_s` the time over which errors are
    /// averaged.
    pub fn new(interval_s: f64, average_s: f64) -> Self {
        Self { interval_s, weight: (interval_s / average_s).min(1.0), error_ms: 0.0, drift_ppm: 0.0 }
    }

    /// Notes how much a delay is above its target. `anew` means that the delay has nothing to do with the one before.
    pub fn note(&mut self, error_ms: f64, anew: bool) {
        if anew || (error_ms - self.error_ms).abs() > 2.0 * SLACK_MS {
            self.error_ms = error_ms;
        } else {
            self.error_ms += (error_ms - self.error_ms) * self.weight;
        }
        if self.error_ms.abs() < SLACK_MS {
            let drift_ppm = self.drift_ppm + self.error_ms * self.interval_s * INTEGRAL_PPM;
            self.drift_ppm = drift_ppm.clamp(-MAX_DRIFT_PPM, MAX_DRIFT_PPM);
        }
    }

    /// Sound was added, or removed (negative).
    pub fn corrected(&mut self, added_ms: f64) {
        self.error_ms += added_ms;
    }

    /// How much the delay is above its target: the recent average.
    pub fn error_ms(&self) -> f64 {
        self.error_ms
    }

    /// How much faster than ours the other clock is assumed to run.
    pub fn ppm(&self) -> f64 {
        let proportional_ppm = self.error_ms * PROPORTIONAL_PPM;
        self.drift_ppm + proportional_ppm.clamp(-MAX_PROPORTIONAL_PPM, MAX_PROPORTIONAL_PPM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_200_ppm_off_is_learned_within_four_minutes_and_the_delay_stays() {
        let mut control = ClockControl::new(0.02, 0.32);
        let mut error_ms = 0.0;
        let mut worst: f64 = 0.0;
        for packet in 0..50 * 600 {
            error_ms += (200.0 - control.ppm()) * 1e-6 * 20.0;
            control.note(error_ms, packet == 0);
            worst = worst.max(error_ms.abs());
            if packet > 50 * 240 {
                assert!((control.ppm() - 200.0).abs() < 5.0, "{}", control.ppm());
                assert!(error_ms.abs() < 0.2, "{error_ms}");
            }
        }
        assert!(worst < 4.0, "{worst}");
    }
}
