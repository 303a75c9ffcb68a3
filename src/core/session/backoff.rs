//! The back-off of connection attempts, with full jitter (docs/protocol.md, "Close codes", below the table).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::random::Random;

/// The ceiling of the wait after one failure. It doubles with each further failure.
pub(super) const BASE: Duration = Duration::from_secs(1);
/// The ceiling of every wait.
pub(super) const CAP: Duration = Duration::from_secs(60);
/// The ceiling of the first wait after a loss. The attempt must come within 500 ms; the rest is room for delays.
pub(super) const FIRST: Duration = Duration::from_millis(400);
/// The ceiling of the first wait if the server itself goes down. It is longer, so that the clients spread.
pub(super) const FIRST_AFTER_SERVER_RESTART: Duration = Duration::from_secs(5);
/// A session that has been up for this long is healthy, and its failures are forgotten.
pub(super) const RESET_AFTER: Duration = Duration::from_secs(30);

/// The back-off: the number of attempts that have failed in a row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Forgets the failures.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Counts one more failure; returns the wait before the next attempt.
    pub(super) fn next_wait(&mut self, server_restarts: bool, random: &mut Random) -> Duration {
        let ceiling = match (self.failures, server_restarts) {
            (0, true) => FIRST_AFTER_SERVER_RESTART,
            (0, false) => FIRST,
            (failures, _) => BASE.saturating_mul(1 << (failures - 1).min(6)).min(CAP),
        };
        self.failures = self.failures.saturating_add(1);
        random.between(Duration::ZERO, ceiling)
    }

    /// The number of attempts that have failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}
