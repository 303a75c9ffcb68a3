//! What must hold at the watched door. It is judged from the contact, the exit button and the strike alone.

use callbox::config::{ButtonIndex, SensorIndex};
use callbox::core::{DoorState, Fact, Input, Pin};

/// The index of the button "exit".
pub const EXIT: Pin = Pin::Button(ButtonIndex(1));
/// The contact of the door.
pub const CONTACT: Pin = Pin::Sensor(SensorIndex(0));
const GRACE_MS: u64 = 5_000;
const HELD_MS: u64 = 60_000;
/// A right that comes this much after the opening still counts.
const FOLLOWS_MS: u64 = 500;
/// A door is closed when its contact has rested for so long.
const CLOSED_MS: u64 = 1_000;
/// Bounces, debounce, and a tick. What is closer to a limit than this is not judged.
const SLACK_MS: u64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Strike,
    Exit,
}

/// A stretch of time in which the door may be opened.
#[derive(Debug)]
struct Allowed {
    what: Right,
    from: u64,
    until: Option<u64>,
}

/// The door since its process started.
#[derive(Debug, Default)]
pub struct Passages {
    /// The contact, and since when; `None` before it was read.
    open: Option<(bool, u64)>,
    /// When the door was opened, unless it was found open.
    opened_at: Option<u64>,
    /// Since when it is open, opened or found so.
    open_since: u64,
    /// The contact rested for about [`CLOSED_MS`] and opened again: this is one opening or two.
    unclear: bool,
    rights: Vec<Allowed>,
    told: DoorState,
}

impl Passages {
    pub fn input(&mut self, now: u64, input: &Input) {
        match input {
            Input::Level { pin: CONTACT, active, .. } => {
                self.open = Some((*active, now));
                self.open_since = now;
            }
            Input::Edge { pin: CONTACT, active } => self.contact(now, *active),
            // The grace counts from the press.
            Input::Edge { pin: EXIT, active: true } => {
                self.right(now, Right::Exit, true);
                self.right(now, Right::Exit, false);
            }
            _ => {}
        }
    }

    fn contact(&mut self, now: u64, open: bool) {
        let Some((before, since)) = self.open.filter(|(before, _)| *before != open) else { return };
        self.open = Some((open, now));
        if before {
            return;
        }
        let rested_ms = now - since;
        if rested_ms > CLOSED_MS + SLACK_MS || (self.opened_at.is_none() && self.told == DoorState::Closed) {
            (self.opened_at, self.open_since, self.unclear) = (Some(now), now, false);
        } else if rested_ms + SLACK_MS > CLOSED_MS {
            self.unclear = true;
        }
    }

    /// The strike or the exit button gives a right, or gives it no longer.
    pub fn right(&mut self, now: u64, what: Right, given: bool) {
        let matters = |until| until + GRACE_MS + CLOSED_MS > self.open_since;
        self.rights.retain(|right| right.until.is_none_or(matters));
        let current = self.rights.iter_mut().find(|right| right.what == what && right.until.is_none());
        match (current, given) {
            (None, true) => self.rights.push(Allowed { what, from: now, until: None }),
            (Some(right), false) => right.until = Some(now),
            (Some(_), true) | (None, false) => {}
        }
    }

    /// Whether some right covers this opening if all limits are wider by `slack_ms`, which may be negative.
    fn rightful(&self, opened_at: u64, slack_ms: i64) -> bool {
        let wider = |limit: u64| limit.saturating_add_signed(slack_ms);
        self.rights.iter().any(|right| {
            right.from < wider(opened_at + FOLLOWS_MS)
                && right.until.is_none_or(|until| wider(until + GRACE_MS) > opened_at)
        })
    }

    /// The moment after which nobody has passed any more.
    fn last_passage(&self, now: u64) -> u64 {
        let rights = self.rights.iter().filter(|right| right.until.is_none_or(|until| until > self.open_since));
        rights.map(|right| right.until.unwrap_or(now)).fold(self.open_since, u64::max)
    }

    /// To be called with each fact; says what is wrong with it.
    pub fn fact(&mut self, now: u64, fact: &Fact) -> Result<(), String> {
        let Fact::Door { state, .. } = fact else { return Ok(()) };
        self.told = *state;
        let Some((open, since)) = self.open.filter(|_| !self.unclear) else { return Ok(()) };
        match state {
            DoorState::Forced if self.opened_at.is_none_or(|at| self.rightful(at, -(SLACK_MS as i64))) => {
                Err("said to be forced, though it was opened rightfully or found open".into())
            }
            DoorState::Held if now + SLACK_MS < self.last_passage(now) + HELD_MS => {
                Err(format!("said to be held open {} ms after the last passage", now - self.last_passage(now)))
            }
            DoorState::Closed if open || now < since + CLOSED_MS => Err("said to be closed, and is not".into()),
            DoorState::Closed => {
                self.opened_at = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// To be called after every input; says what the station should have told by now.
    pub fn missing(&self, now: u64) -> Result<(), String> {
        let Some((open, since)) = self.open.filter(|_| !self.unclear) else { return Ok(()) };
        if !open && now > since + CLOSED_MS + 2 * SLACK_MS {
            return match self.told {
                DoorState::Closed => Ok(()),
                told => Err(format!("closed for {} ms, and still {told:?}", now - since)),
            };
        }
        let judged = self.opened_at.filter(|at| now > at + FOLLOWS_MS + 2 * SLACK_MS);
        if judged.is_some_and(|at| self.told != DoorState::Forced && !self.rightful(at, SLACK_MS as i64)) {
            return Err(format!("opened by nobody with a right, and {:?}", self.told));
        }
        let held = open && now > self.last_passage(now) + HELD_MS + 2 * SLACK_MS;
        if held && !matches!(self.told, DoorState::Held | DoorState::Forced) {
            return Err(format!("open since {} ms, and {:?}", now - self.last_passage(now), self.told));
        }
        Ok(())
    }
}
