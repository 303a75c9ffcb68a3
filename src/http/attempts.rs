//! Slows down whoever guesses passwords or tokens.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::places::network;

/// Wrong passwords that one network may send before it has to wait.
const FREE_FAILURES: usize = 5;
/// The wait after these failures. Each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The upper limit of the wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The failures of a network are forgotten if no new one follows for this long.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(900);
/// Networks whose failures are remembered.
const MAX_REMEMBERED: usize = 1024;
/// Addresses with a successful attempt that are remembered.
const MAX_PROVEN: usize = 256;

struct Failures {
    network: IpAddr,
    count: usize,
    newest: Instant,
}

impl Failures {
    /// How long the network must wait for its next attempt, counted from `now`.
    fn wait(&self, now: Instant) -> Duration {
        let Some(over) = self.count.checked_sub(FREE_FAILURES) else { return Duration::ZERO };
        let doubled = 1_u32.checked_shl(u32::try_from(over).unwrap_or(u32::MAX)).unwrap_or(u32::MAX);
        FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT).saturating_sub(now.duration_since(self.newest))
    }
}

/// The failed attempts of each network. They slow down the network that they come from and nobody else: otherwise anybody
/// could lock the owner out.
#[derive(Default)]
pub(crate) struct Attempts {
    /// The network with the newest failure is last.
    failures: VecDeque<Failures>,
    /// Addresses with a successful attempt. Failures of other addresses in their network do not slow them down.
    proven: VecDeque<IpAddr>,
}

impl Attempts {
    /// How long this address must wait for its next attempt.
    pub(crate) fn wait(&mut self, from: IpAddr, now: Instant) -> Duration {
        self.failures.retain(|failures| now.duration_since(failures.newest) < FORGOTTEN_AFTER);
        let network = self.network(from);
        let of_network = self.failures.iter().find(|failures| failures.network == network);
        of_network.map_or(Duration::ZERO, |failures| failures.wait(now))
    }

    pub(crate) fn failed(&mut self, from: IpAddr, now: Instant) {
        let network = self.network(from);
        let known = self.failures.iter().position(|failures| failures.network == network);
        let before = known.and_then(|index| self.failures.remove(index)).map_or(0, |failures| failures.count);
        if self.failures.len() >= MAX_REMEMBERED {
            self.failures.pop_front();
        }
        self.failures.push_back(Failures { network, count: before.saturating_add(1), newest: now });
    }

    pub(crate) fn succeeded(&mut self, from: IpAddr) {
        self.proven.retain(|address| *address != from);
        if self.proven.len() >= MAX_PROVEN {
            self.proven.pop_front();
        }
        self.proven.push_back(from);
    }

    fn network(&self, from: IpAddr) -> IpAddr {
        if self.proven.contains(&from) { from } else { network(from) }
    }
}
