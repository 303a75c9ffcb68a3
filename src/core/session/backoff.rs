//! Retry with full jitter (`protocol.md`, "Close codes", below the table).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::random::Random;

/// Upper bound of the first wait.
pub(super) const BASE: Duration = Duration::from_secs(1);
/// Upper bound of every wait.
pub(super) const CAP: Duration = Duration::from_secs(60);
/// Upper bound of the first wait after a loss: the attempt comes within 500 ms, whatever delays it.
pub(super) const FIRST: Duration = Duration::from_millis(400);
/// Upper bound of the first wait when the server itself goes down, so that its clients spread.
pub(super) const FIRST_AFTER_SERVER_RESTART: Duration = Duration::from_secs(5);
/// A session that has been up for as long is healthy: the next loss starts from the beginning.
pub(super) const RESET_AFTER: Duration = Duration::from_secs(30);

/// How many tries have failed in a row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The session has been healthy.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait before the next try, and one failure more.
    pub(super) fn next_wait(&mut self, server_restarts: bool, random: &mut Random) -> Duration {
        let ceiling = match (self.failures, server_restarts) {
            (0, true) => FIRST_AFTER_SERVER_RESTART,
            (0, false) => FIRST,
            (failures, _) => BASE.saturating_mul(1 << (failures - 1).min(6)).min(CAP),
        };
        self.failures = self.failures.saturating_add(1);
        random.between(Duration::ZERO, ceiling)
    }

    /// How many tries have failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}
