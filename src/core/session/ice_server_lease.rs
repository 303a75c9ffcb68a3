//! The STUN and TURN servers that the server hands out: how long they last, and when they are renewed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use crate::core::api::IceServerCounts;
use crate::core::random::Random;
use crate::core::time::Time;

/// Servers that live for long are renewed this long before their end.
const RENEW_BEFORE_END: Duration = Duration::from_secs(15 * 60);
/// Servers that live for less than twice that are renewed at half of their life.
const SHORT_LIFE: Duration = Duration::from_secs(30 * 60);
/// The renewal comes earlier by up to this part of the wait, at random, so that the stations of a whole street do not
/// ask in the same moment.
const SPREAD: u32 = 10;

/// The STUN and TURN servers that the server hands out: what is known of them, and when they are asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct IceServerLease {
    /// What is due next, while the session is up.
    pub(super) next: Option<Step>,
    backoff: Backoff,
    pub(super) counts: IceServerCounts,
    pub(super) until: Option<String>,
    pub(super) fault: Option<String>,
    /// What was reported last.
    pub(super) reported: (IceServerCounts, Option<String>),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Step {
    /// Ask at this time.
    Ask(Time),
    /// The answer must have come by this time.
    Answer(Time),
}

impl IceServerLease {
    /// The server hands out none. What was reported stays known.
    pub(super) fn clear(&mut self) {
        *self = Self { reported: std::mem::take(&mut self.reported), ..Self::default() };
    }

    /// The server could not be asked. The next attempt follows with back-off.
    pub(super) fn fail(&mut self, message: String, now: Time, random: &mut Random) {
        self.fault = Some(message);
        self.next = Some(Step::Ask(now + self.backoff.next_wait(false, random)));
    }

    /// The server has handed out servers that live for this long.
    pub(super) fn obtained(&mut self, lifetime: Option<Duration>, now: Time, random: &mut Random) {
        self.fault = None;
        let wait = match lifetime {
            Some(lifetime) => {
                self.backoff.reset();
                let wait = if lifetime < SHORT_LIFE { lifetime / 2 } else { lifetime - RENEW_BEFORE_END };
                random.between(wait - wait / SPREAD, wait).max(Duration::from_secs(1))
            }
            // They were stale when they came: the next ones may be better.
            None => self.backoff.next_wait(false, random),
        };
        self.next = Some(Step::Ask(now + wait));
    }
}
