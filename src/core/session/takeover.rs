//! Another client takes over our session: we must not fight for it (docs/protocol.md, "Close codes", 4441).

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Takeover;
use crate::core::random::Random;
use crate::core::time::Time;

/// The wait after another client took the session over, if we may not use force.
const WAIT: Duration = Duration::from_secs(60);
/// Takeovers within this time count together.
const PING_PONG_PERIOD: Duration = Duration::from_secs(600);
/// This many takeovers within the period are reported as a ping-pong.
const PING_PONG: usize = 2;
/// The number of takeovers that are remembered.
const MAX_LOSSES: usize = 16;

/// When the session was taken from us, and when we took it back by force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Takeovers {
    policy: Takeover,
    forced_at: VecDeque<Time>,
    lost_at: VecDeque<Time>,
}

/// What to do after a takeover (4441).
pub(super) struct Reaction {
    pub(super) wait: Duration,
    pub(super) force: bool,
    /// The message for people.
    pub(super) message: String,
}

impl Takeovers {
    pub(super) fn new(policy: Takeover) -> Self {
        Self { policy, forced_at: VecDeque::new(), lost_at: VecDeque::new() }
    }

    /// Another client took the session over. Returns what to do now.
    pub(super) fn lost(&mut self, message: &str, now: Time, random: &mut Random) -> Reaction {
        self.lost_at.retain(|at| now.since(*at) < PING_PONG_PERIOD);
        if self.lost_at.len() >= MAX_LOSSES {
            self.lost_at.pop_front();
        }
        self.lost_at.push_back(now);
        let (most, period) = match self.policy {
            Takeover::Never => (0, Duration::ZERO),
            Takeover::Once => (1, Duration::from_secs(3600)),
            Takeover::Always => (3, Duration::from_secs(600)),
        };
        self.forced_at.retain(|at| now.since(*at) < period);
        let force = self.forced_at.len() < most;
        let wait = if force {
            self.forced_at.push_back(now);
            random.between(Duration::from_millis(500), Duration::from_secs(2))
        } else {
            WAIT
        };
        let message = if self.is_ping_pong(now) {
            let times = self.lost_at.len();
            format!("{message}: ping-pong, {times} times in 10 min; two devices use this account, give each its own")
        } else {
            message.to_owned()
        };
        Reaction { wait, force, message }
    }

    /// Whether two clients keep taking the session from each other.
    pub(super) fn is_ping_pong(&self, now: Time) -> bool {
        self.lost_at.iter().filter(|at| now.since(**at) < PING_PONG_PERIOD).count() >= PING_PONG
    }
}
