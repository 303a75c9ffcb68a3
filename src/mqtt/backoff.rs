//! How long to wait before the broker is tried again.

use std::time::Duration;

use crate::core::Random;
use crate::random_waits::random_waits;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// A connection that lasted for this long was a good one.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// Waits from one second to one minute, doubled with each failure, each between a half and the whole of itself: many
/// stations must not come back to a broker at the same moment.
pub(super) struct Backoff {
    failures: u32,
    random: Random,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { failures: 0, random: random_waits() }
    }
}

impl Backoff {
    /// The wait after a connection that lasted so long.
    pub(super) fn next(&mut self, lasted: Duration) -> Duration {
        if lasted >= GOOD_AFTER {
            self.failures = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.random.between(wait / 2, wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_grow_to_a_minute_and_begin_anew_after_a_good_connection() {
        let mut backoff = Backoff::default();
        for most_s in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let wait = backoff.next(Duration::ZERO);
            assert!((Duration::from_secs(most_s) / 2..=Duration::from_secs(most_s)).contains(&wait), "{wait:?}");
        }
        assert!(backoff.next(GOOD_AFTER) <= FIRST);
    }
}
