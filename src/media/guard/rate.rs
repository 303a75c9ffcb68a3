//! Limits how many datagrams of a kind may pass.

use std::time::Instant;

/// A token bucket: `burst` datagrams may pass at once, and after that `per_second`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    burst: f32,
    per_second: f32,
    left: f32,
    at: Option<Instant>,
}

impl Rate {
    pub(super) fn new(burst: u16, per_second: f32) -> Self {
        let burst = f32::from(burst);
        Self { burst, per_second, left: burst, at: None }
    }

    /// Takes a token. Returns whether there was one.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let passed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f32());
        self.at = Some(now);
        self.left = (self.left + passed * self.per_second).min(self.burst);
        let admits = self.left >= 1.0;
        if admits {
            self.left -= 1.0;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_what_the_time_allows() {
        let start = Instant::now();
        let mut rate = Rate::new(3, 2.0);
        let passed = |rate: &mut Rate, at| (0..10).filter(|_| rate.admits(at)).count();
        assert_eq!(passed(&mut rate, start), 3);
        assert_eq!(passed(&mut rate, start + Duration::from_millis(400)), 0);
        assert_eq!(passed(&mut rate, start + Duration::from_millis(1600)), 3);
        // A clock that goes back adds no tokens.
        assert_eq!(passed(&mut rate, start), 0);
    }
}
