//! How fast another clock runs, from the delay that its sound has here.

/// For every millisecond of error: it is gone after some 20 s.
const PROPORTIONAL_PPM: f64 = 50.0;
/// More is never worth it: a tone of 1 kHz moves by a quarter of a hertz.
const MAX_PROPORTIONAL_PPM: f64 = 250.0;
/// For every millisecond of error that lasts for a second: what a clock is off by is known after a minute.
const INTEGRAL_PPM: f64 = 0.625;
/// No sound card's clock is further off.
const MAX_DRIFT_PPM: f64 = 500.0;
/// Errors beyond this say nothing of a clock.
const SLACK_MS: f64 = 10.0;

/// A controller (proportional and integral) that makes the error of a delay zero by the rate at which sound is taken.
#[derive(Debug, Clone, Copy)]
pub struct ClockControl {
    /// Seconds between two errors that are noted.
    interval_s: f64,
    /// What an error adds to the average.
    weight: f64,
    error_ms: f64,
    drift_ppm: f64,
}

impl ClockControl {
    /// For errors that are noted every so many seconds, and their average over so many.
    pub fn new(interval_s: f64, average_s: f64) -> Self {
        Self { interval_s, weight: (interval_s / average_s).min(1.0), error_ms: 0.0, drift_ppm: 0.0 }
    }

    /// Notes by how much a delay was above its target; `anew` where it has nothing to do with the one before.
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

    /// Sound was left out, or added.
    pub fn corrected(&mut self, added_ms: f64) {
        self.error_ms += added_ms;
    }

    /// The average of late: how much above its target the delay is.
    pub fn error_ms(&self) -> f64 {
        self.error_ms
    }

    /// How much faster than ours the other clock is to be taken for.
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
