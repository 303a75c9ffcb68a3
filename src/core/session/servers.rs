//! Which server is used. `core.url` may list several servers, in order of preference.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::api::ServerIndex;
use crate::core::time::Time;

/// After this many failures in a row, the next server is tried.
const FAILURES: u32 = 3;
/// While another server is used, the first server is probed this often.
const PROBE_INTERVAL: Duration = Duration::from_secs(30);
/// The first server must have answered for this long before the session returns to it.
const HEALTHY_FOR: Duration = Duration::from_secs(300);

/// The servers, and which of them is used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Servers {
    count: usize,
    current: usize,
    failures: u32,
    /// The session is returning to the first server. One failure is enough to leave it again.
    returning: bool,
    next_probe: Option<Time>,
    probe_is_out: bool,
    first_answers_since: Option<Time>,
}

impl Servers {
    pub(super) fn new(count: usize) -> Self {
        Self {
            count: count.max(1),
            current: 0,
            failures: 0,
            returning: false,
            next_probe: None,
            probe_is_out: false,
            first_answers_since: None,
        }
    }

    pub(super) fn current(&self) -> ServerIndex {
        ServerIndex(self.current)
    }

    /// An attempt failed, or a session ended before it was healthy.
    pub(super) fn failed(&mut self, now: Time) {
        self.failures += 1;
        if self.failures >= FAILURES || self.returning {
            self.failures = 0;
            self.returning = false;
            self.current = (self.current + 1) % self.count;
            self.probe_is_out = false;
            self.first_answers_since = None;
            self.next_probe = (self.current != 0).then(|| now + PROBE_INTERVAL);
        }
    }

    /// The session has been up for long enough to forget the failures.
    pub(super) fn healthy(&mut self) {
        self.failures = 0;
        self.returning = false;
    }

    /// Whether the first server must be probed now. If so, the next probe is planned.
    pub(super) fn probe_due(&mut self, now: Time) -> bool {
        if self.next_probe.is_none_or(|at| now < at) {
            return false;
        }
        if std::mem::replace(&mut self.probe_is_out, true) {
            // The last probe was never answered.
            self.first_answers_since = None;
        }
        self.next_probe = Some(now + PROBE_INTERVAL);
        true
    }

    /// Handles the result of a probe of the first server.
    pub(super) fn probed(&mut self, answered: bool, now: Time) {
        if self.current == 0 || !std::mem::take(&mut self.probe_is_out) {
            return;
        }
        self.first_answers_since = answered.then(|| self.first_answers_since.unwrap_or(now));
    }

    /// Whether the first server has answered for long enough.
    pub(super) fn may_return(&self, now: Time) -> bool {
        self.first_answers_since.is_some_and(|since| now.since(since) >= HEALTHY_FOR)
    }

    /// The next attempt goes to the first server.
    pub(super) fn return_to_first(&mut self) {
        *self = Self { returning: true, ..Self::new(self.count) };
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.next_probe
    }
}
