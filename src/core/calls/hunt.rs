//! One wish to reach somebody: a press, a command; a number or a list of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::HuntId;
use crate::config::{CallAction, LineChoice, Order};
use crate::core::api::{Cause, Origin, Unanswered};
use crate::core::time::Time;

/// The numbers of a call action and how far they have been tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hunt {
    pub(super) id: HuntId,
    pub(super) origin: Origin,
    pub(super) line: LineChoice,
    pub(super) order: Order,
    pub(super) ring: Duration,
    numbers: Vec<String>,
    next: usize,
    /// Made offline: dialled when registered, given up at this time.
    pub(super) waits_until: Option<Time>,
    /// It waits for a line, not for the session.
    pub(super) waits_for_line: bool,
    /// The one redial after a call without media.
    pub(super) redial: bool,
    over: bool,
    /// Why nobody took it: that of the last call, or that it rang somewhere and nobody came.
    pub(super) cause: Option<Cause>,
}

impl Hunt {
    pub(super) fn new(id: HuntId, origin: Origin, action: &CallAction, ring_timeout: Duration) -> Self {
        Self {
            id,
            origin,
            line: action.line,
            order: action.order,
            ring: action.ring.unwrap_or(ring_timeout),
            numbers: action.numbers.clone(),
            next: 0,
            waits_until: None,
            waits_for_line: false,
            redial: false,
            over: false,
            cause: None,
        }
    }

    /// A call of it is over. Where it rang somewhere and nobody came, that is what the visitor must know.
    pub(super) fn note(&mut self, cause: Cause) {
        let nobody_came = |cause: &Cause| cause.unanswered == Some(Unanswered::NoAnswer);
        if !self.cause.as_ref().is_some_and(nobody_came) {
            self.cause = Some(cause);
        }
    }

    /// Nobody else is called: somebody has answered, or it was given up.
    pub(super) fn stop(&mut self) {
        self.over = true;
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The next number to call.
    pub(super) fn take_number(&mut self) -> Option<String> {
        if self.over {
            return None;
        }
        let number = self.numbers.get(self.next).cloned();
        self.next += 1;
        number
    }

    pub(super) fn has_more(&self) -> bool {
        !self.over && self.next < self.numbers.len()
    }

    /// How many of its calls may ring at a time.
    pub(super) fn width(&self) -> usize {
        match self.order {
            Order::Serial => 1,
            Order::Parallel => usize::MAX,
        }
    }
}
