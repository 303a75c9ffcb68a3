//! Whether a door was opened rightfully, and for how long it is open.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::DoorConfig;
use crate::core::api::{By, DoorState};
use crate::core::time::Time;
use crate::mutant::{Mutant, mutant};

/// A right that comes this much after the opening still counts: a key that moves the bolt and its switch at once, or a
/// contact that is faster than a button.
const RIGHT_MAY_FOLLOW: Duration = Duration::from_millis(500);
/// A contact bounces while its door falls shut. A door is closed when the contact has rested for this long.
const CLOSED_AFTER: Duration = Duration::from_secs(1);

/// One `[[door]]` at run time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct DoorWatch {
    state: DoorState,
    since: Time,
    /// Who opened it, if somebody with a right did.
    by: Option<By>,
    contact: Contact,
    right: Right,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Contact {
    /// The pin has not been read yet.
    #[default]
    Unknown,
    Closed,
    Open,
    /// It rests since then.
    Closing(Time),
}

/// The right to open the door.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Right {
    /// It is given now: the relay is on, or a button was just pressed.
    now: Option<By>,
    /// Who had it last, and until when it lasts.
    last: Option<(By, Time)>,
}

/// What a door has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::core) struct DoorChange {
    pub(in crate::core) from: DoorState,
    pub(in crate::core) to: DoorState,
    /// Who opened it, if somebody with a right did.
    pub(in crate::core) by: Option<By>,
}

impl DoorWatch {
    /// Somebody has a right now (`given`), or has it no longer.
    pub(super) fn right(&mut self, given: Option<By>, config: &DoorConfig, now: Time) {
        // The grace begins when the right ends.
        let newest = given.clone().or(self.right.now.take());
        self.right.now = given;
        if let Some(by) = newest {
            let grace = if mutant(Mutant::EndlessGrace) { config.grace * 1000 } else { config.grace };
            self.right.last = Some((by, now + grace));
            // Somebody is still passing.
            if self.state == DoorState::Open {
                self.since = now;
            }
        }
    }

    /// Looks at the contact; `None` before the pin has been read. Returns what the door has come to, if it has.
    pub(super) fn update(&mut self, is_open: Option<bool>, config: &DoorConfig, now: Time) -> Option<DoorChange> {
        let before = self.state;
        match (self.contact, is_open) {
            (_, None) => {}
            (Contact::Unknown, Some(true)) => {
                // Who opened it is not known. It may still be held.
                self.contact = Contact::Open;
                self.enter(DoorState::Open, None, now);
            }
            (Contact::Unknown, Some(false)) => {
                self.contact = Contact::Closed;
                self.since = now;
            }
            (Contact::Closed, Some(true)) => {
                self.contact = Contact::Open;
                let by = self.rightful(now);
                let state = if by.is_some() { DoorState::Open } else { DoorState::Opening };
                self.enter(state, by, now);
            }
            (Contact::Closing(_), Some(true)) => self.contact = Contact::Open,
            (Contact::Open, Some(false)) => self.contact = Contact::Closing(now),
            (Contact::Closing(since), Some(false)) if now >= since + closed_after() => {
                self.contact = Contact::Closed;
                self.enter(DoorState::Closed, None, now);
            }
            (Contact::Closed | Contact::Closing(_), Some(false)) | (Contact::Open, Some(true)) => {}
        }
        self.judge(config, now);
        (self.state != before).then(|| DoorChange { from: before, to: self.state, by: self.by.clone() })
    }

    /// What time alone makes of the state.
    fn judge(&mut self, config: &DoorConfig, now: Time) {
        if self.state == DoorState::Opening {
            match self.rightful(now) {
                Some(by) => self.enter(DoorState::Open, Some(by), now),
                None if now >= self.since + RIGHT_MAY_FOLLOW => {
                    let missed = mutant(Mutant::UnnoticedForcedDoor);
                    self.enter(if missed { DoorState::Open } else { DoorState::Forced }, None, now);
                }
                None => {}
            }
        }
        if self.state == DoorState::Open && now >= self.since + held_after(config) {
            let by = self.by.clone();
            self.enter(DoorState::Held, by, now);
        }
    }

    fn rightful(&self, now: Time) -> Option<By> {
        let lasts = self.right.last.as_ref().filter(|(_, until)| *until > now).map(|(by, _)| by.clone());
        self.right.now.clone().or(lasts)
    }

    fn enter(&mut self, state: DoorState, by: Option<By>, now: Time) {
        (self.state, self.since, self.by) = (state, now, by);
    }

    /// When [`Self::update`] has something to do.
    pub(super) fn deadline(&self, config: &DoorConfig) -> Option<Time> {
        let closed = match self.contact {
            Contact::Closing(since) => Some(since + closed_after()),
            _ => None,
        };
        let judged = match self.state {
            DoorState::Opening => Some(self.since + RIGHT_MAY_FOLLOW),
            DoorState::Open => Some(self.since + held_after(config)),
            DoorState::Closed | DoorState::Forced | DoorState::Held => None,
        };
        [closed, judged].into_iter().flatten().min()
    }

    pub(super) fn state(&self) -> DoorState {
        self.state
    }

    pub(super) fn since(&self) -> Time {
        self.since
    }

    pub(super) fn by(&self) -> Option<By> {
        self.by.clone()
    }
}

fn closed_after() -> Duration {
    if mutant(Mutant::DoorClosedWhileItBounces) { Duration::ZERO } else { CLOSED_AFTER }
}

fn held_after(config: &DoorConfig) -> Duration {
    if mutant(Mutant::UnnoticedHeldDoor) { config.held_after * 1000 } else { config.held_after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SensorIndex, Trigger};

    const ANNA: By = By::Station;

    fn config() -> DoorConfig {
        DoorConfig {
            name: "front".into(),
            contact: SensorIndex(0),
            opened_by: Vec::new(),
            exit: Vec::new(),
            grace: Duration::from_secs(5),
            held_after: Duration::from_secs(60),
            forced: Trigger::default(),
            held: Trigger::default(),
            restored: Trigger::default(),
        }
    }

    /// A door in a second-hand story: at each time, what the contact and the right are.
    fn story(events: &[(u64, bool, bool)], until: u64) -> Vec<(u64, DoorState)> {
        let (config, mut watch, mut seen) = (config(), DoorWatch::default(), Vec::new());
        let (mut is_open, mut has_right) = (None, false);
        for ms in (0..=until).step_by(10) {
            if let Some((_, open, right)) = events.iter().find(|(at, ..)| *at == ms) {
                (is_open, has_right) = (Some(*open), *right);
            }
            watch.right(has_right.then_some(ANNA), &config, Time(ms));
            if let Some(change) = watch.update(is_open, &config, Time(ms)) {
                seen.push((ms, change.to));
            }
        }
        seen
    }

    #[test]
    fn an_opening_during_the_pulse_or_the_grace_after_it_is_rightful() {
        use DoorState::{Closed, Forced, Open, Opening};
        let pulse = [(0, false, false), (1_000, false, true), (4_000, false, false)];
        let opens_at = |ms: u64| [&pulse[..], &[(ms, true, false), (ms + 2_000, false, false)]].concat();
        assert_eq!(story(&opens_at(5_000), 9_000), [(5_000, Open), (8_000, Closed)]);
        assert_eq!(story(&opens_at(8_980), 20_000), [(8_980, Open), (11_980, Closed)]);
        assert_eq!(story(&opens_at(9_010), 20_000), [(9_010, Opening), (9_510, Forced), (12_010, Closed)]);
    }

    #[test]
    fn a_right_may_come_a_moment_after_the_opening() {
        use DoorState::{Open, Opening};
        assert_eq!(
            story(&[(0, false, false), (1_000, true, false), (1_400, true, true)], 3_000),
            [(1_000, Opening), (1_400, Open)]
        );
    }

    #[test]
    fn a_contact_that_bounces_while_the_door_falls_shut_is_one_closing() {
        use DoorState::{Closed, Open};
        let mut events = vec![(0, false, true), (1_000, true, false), (3_000, false, false)];
        for bounce in 0..20 {
            events.push((3_000 + bounce * 200 + 100, true, false));
            events.push((3_000 + bounce * 200 + 200, false, false));
        }
        assert_eq!(story(&events, 20_000), [(1_000, Open), (8_000, Closed)]);
    }

    #[test]
    fn a_door_that_is_open_for_too_long_is_held_and_one_found_open_as_well() {
        use DoorState::{Closed, Held, Open};
        let opened = [(0, false, true), (1_000, true, false), (90_000, false, false)];
        assert_eq!(story(&opened, 95_000), [(1_000, Open), (61_000, Held), (91_000, Closed)]);
        assert_eq!(story(&[(0, true, false)], 61_000), [(0, Open), (60_000, Held)]);
    }

    #[test]
    fn who_passes_through_an_open_door_makes_it_no_held_one() {
        use DoorState::{Held, Open};
        let passes = [(0, false, true), (1_000, true, false), (50_000, true, true), (53_000, true, false)];
        assert_eq!(story(&passes, 120_000), [(1_000, Open), (113_000, Held)]);
    }
}
