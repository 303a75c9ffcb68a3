//! Another client on our session: never fight (`protocol.md`, "Close codes", 4441).

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Takeover;
use crate::core::random::Random;
use crate::core::time::Time;

/// Wait after another client took the session over.
const WAIT: Duration = Duration::from_secs(60);
/// Takeovers within this time are one quarrel.
const PING_PONG_PERIOD: Duration = Duration::from_secs(600);
/// As many of them are named for what they are.
const PING_PONG: usize = 2;
/// Takeovers that are remembered.
const MAX_LOSSES: usize = 16;

/// What happened between us and the other client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Takeovers {
    policy: Takeover,
    forced_at: VecDeque<Time>,
    lost_at: VecDeque<Time>,
}

/// What to do after a 4441.
pub(super) struct Reaction {
    pub(super) wait: Duration,
    pub(super) force: bool,
    /// What people read.
    pub(super) words: String,
}

impl Takeovers {
    pub(super) fn new(policy: Takeover) -> Self {
        Self { policy, forced_at: VecDeque::new(), lost_at: VecDeque::new() }
    }

    /// Another client took the session over.
    pub(super) fn lost(&mut self, words: &str, now: Time, random: &mut Random) -> Reaction {
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
        let words = if self.is_ping_pong(now) {
            let times = self.lost_at.len();
            format!("{words}: ping-pong, {times} times in 10 min; two devices use this account, give each its own")
        } else {
            words.to_owned()
        };
        Reaction { wait, force, words }
    }

    /// The session goes to and fro between two clients.
    pub(super) fn is_ping_pong(&self, now: Time) -> bool {
        self.lost_at.iter().filter(|at| now.since(**at) < PING_PONG_PERIOD).count() >= PING_PONG
    }
}
