//! The hunt: one wish to reach somebody, with its list of numbers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{AlarmId, HuntId};
use crate::config::{Assurance, CallAction, LineChoice, Order, Outcomes, Trigger};
use crate::core::api::{Cause, Origin, Unanswered};
use crate::core::time::Time;
use crate::secret::PhoneNumber;

/// What a hunt waits for. It is given up at the time `until`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Wait {
    ForSession {
        until: Time,
    },
    /// Another call is being replaced, and leaves its line in a moment.
    ForLine {
        until: Time,
    },
}

impl Wait {
    pub(super) fn until(self) -> Time {
        let (Self::ForSession { until } | Self::ForLine { until }) = self;
        until
    }
}

/// One wish to reach somebody.
///
/// A press, a command or another trigger starts a hunt. It has the list of numbers of its call action, and makes a call
/// to one number after the other, or to several at once. It ends when somebody answers, when no number is left, or when
/// it is given up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hunt {
    pub(super) id: HuntId,
    pub(super) origin: Origin,
    pub(super) line: LineChoice,
    pub(super) order: Order,
    pub(super) ring: Duration,
    numbers: Vec<PhoneNumber>,
    next: usize,
    /// What the hunt waits for before it calls anybody.
    pub(super) wait: Option<Wait>,
    /// The hunt is the one redial after a call without media.
    pub(super) redial: bool,
    over: bool,
    /// Why nobody has answered: the cause of the last call, or of one that rang in vain.
    pub(super) cause: Option<Cause>,
    #[serde(default)]
    pub(super) assurance: Assurance,
    /// The alarm of which it is a round.
    #[serde(default)]
    pub(super) alarm: Option<AlarmId>,
    /// What happens at its end.
    #[serde(default)]
    pub(super) outcomes: Outcomes,
    /// It has rung somewhere.
    #[serde(default)]
    has_rung: bool,
    /// Somebody has answered.
    #[serde(default)]
    is_answered: bool,
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
            wait: None,
            redial: false,
            over: false,
            cause: None,
            assurance: action.assurance,
            alarm: None,
            outcomes: action.outcomes.clone(),
            has_rung: false,
            is_answered: false,
        }
    }

    /// Notes how a call of this hunt ended. If one of them rang in vain, the visitor must learn that, so no other cause
    /// replaces it.
    pub(super) fn note(&mut self, cause: Cause, has_rung: bool) {
        self.has_rung |= has_rung;
        let nobody_came = |cause: &Cause| cause.unanswered == Some(Unanswered::NoAnswer);
        if !self.cause.as_ref().is_some_and(nobody_came) {
            self.cause = Some(cause);
        }
    }

    /// Calls nobody else, because the hunt was given up.
    pub(super) fn stop(&mut self) {
        self.over = true;
    }

    /// Calls nobody else, because somebody has answered.
    pub(super) fn answered(&mut self) {
        self.over = true;
        self.is_answered = true;
    }

    /// What is to be done now that no call of the hunt is left; `None` if it was given up by hand.
    pub(super) fn outcome(&self) -> Option<&Trigger> {
        match (self.is_answered, self.over) {
            (true, _) => Some(&self.outcomes.ended),
            (false, true) => None,
            (false, false) if self.has_rung => Some(&self.outcomes.no_answer),
            (false, false) => Some(&self.outcomes.failed),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Why nobody has taken it; `None` if somebody has.
    pub(super) fn why_not_taken(&self) -> Option<String> {
        match &self.cause {
            _ if self.is_answered => None,
            _ if self.over => Some("it was given up before anybody had taken it".to_owned()),
            Some(cause) => Some(cause.to_string()),
            None => Some("nobody has taken it".to_owned()),
        }
    }

    /// The next number to call.
    pub(super) fn take_number(&mut self) -> Option<PhoneNumber> {
        if self.over {
            return None;
        }
        let number = self.numbers.get(self.next).cloned();
        self.next += 1;
        number
    }

    /// This number is called again after all others, because its call made way for one that may not be confirmed.
    pub(super) fn put_back(&mut self, number: PhoneNumber) {
        self.numbers.push(number);
    }

    pub(super) fn has_more(&self) -> bool {
        !self.over && self.next < self.numbers.len()
    }

    /// How many calls of this hunt may exist at a time.
    pub(super) fn width(&self) -> usize {
        match self.order {
            Order::Serial => 1,
            Order::Parallel => usize::MAX,
        }
    }
}
