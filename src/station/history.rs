//! What happened recently, and what led to the end of the last call.

use std::collections::VecDeque;

use crate::control::EventRecord;
use crate::core::{By, Fact};

/// Facts that `callbox explain last` can look back on.
const LENGTH: usize = 512;
/// A press or an edge at most this long before a call may have caused it: it waits for a session for at most 60 s.
const CAUSE_MS: u64 = 70_000;
/// What an outcome of a call does begins within this time.
const AT_ONCE_MS: u64 = 100;

/// The newest facts.
#[derive(Default)]
pub(super) struct History(VecDeque<EventRecord>);

impl History {
    pub(super) fn push(&mut self, record: EventRecord) {
        if self.0.len() >= LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(record);
    }

    /// The press or the edge, all calls of the hunt that it started, their end, and what else happened meanwhile. Empty
    /// if no call has ended.
    pub(super) fn last_call(&self) -> Vec<EventRecord> {
        last_call(&self.0)
    }
}

fn last_call(history: &VecDeque<EventRecord>) -> Vec<EventRecord> {
    let Some(end) = history.iter().rposition(|record| record.fact.ends_call()) else { return Vec::new() };
    let Some(last) = history.get(end).map(|record| &record.fact) else { return Vec::new() };
    let mut hunts = vec![attempt(last)];
    let mut begin = first_of(history, last, &hunts).unwrap_or(end);
    // A list that was called in turn is one hunt. What an outcome calls, and each round of an alarm, is another one.
    while let Some(earlier) = earlier_attempt(history, begin, last).filter(|earlier| !hunts.contains(&Some(*earlier))) {
        hunts.push(Some(earlier));
        begin = first_of(history, last, &hunts).unwrap_or(begin);
    }
    let cause = cause(history, begin, last);
    if cause.is_none() && matches!(by(last), Some(By::User { .. })) {
        // Without a press these are several commands, each with a story of its own.
        hunts.truncate(1);
        begin = first_of(history, last, &hunts).unwrap_or(end);
    }
    let legs: Vec<&str> = legs(history, last, &hunts);
    let tells = |fact: &Fact| concerns(fact, &legs) || fact.call_id().is_none() && happens_meanwhile(fact);
    let from = cause.unwrap_or(begin);
    let story = history.range(from..=end).enumerate();
    let story = story.filter(|(index, record)| (cause.is_some() && *index == 0) || tells(&record.fact));
    story.map(|(_, record)| record).chain(outcome(history, end)).cloned().collect()
}

/// What an outcome did at once when the call ended.
fn outcome(history: &VecDeque<EventRecord>, end: usize) -> impl Iterator<Item = &EventRecord> {
    let ended_at = history.get(end).map_or(0, |record| record.at_ms);
    let after = history.range(end + 1..).take_while(move |record| record.at_ms.saturating_sub(ended_at) <= AT_ONCE_MS);
    after.filter(|record| {
        matches!(record.fact, Fact::Custom { .. } | Fact::Play { .. } | Fact::Output { .. } | Fact::Alarm { .. })
    })
}

/// The ids of the calls of these hunts.
fn legs<'a>(history: &'a VecDeque<EventRecord>, last: &Fact, hunts: &[Option<u32>]) -> Vec<&'a str> {
    let of_these = history.iter().filter(|record| is_of(&record.fact, last, hunts));
    of_these.filter_map(|record| record.fact.call_id()).collect()
}

/// Where the first of these calls begins.
fn first_of(history: &VecDeque<EventRecord>, last: &Fact, hunts: &[Option<u32>]) -> Option<usize> {
    let legs = legs(history, last, hunts);
    history.iter().position(|record| concerns(&record.fact, &legs))
}

/// Who or what started a call.
fn by(fact: &Fact) -> Option<&By> {
    match fact {
        Fact::Call { by, .. } => Some(by),
        _ => None,
    }
}

/// Whether a fact is about one of these calls.
fn concerns(fact: &Fact, legs: &[&str]) -> bool {
    fact.call_id().is_some_and(|id| legs.contains(&id))
}

/// Whether a fact that is about no call belongs to the story of one.
fn happens_meanwhile(fact: &Fact) -> bool {
    !matches!(
        fact,
        Fact::IceServers { .. } | Fact::MissedCall { .. } | Fact::CallRefused { .. } | Fact::Schedule { .. }
    )
}

fn attempt(fact: &Fact) -> Option<u32> {
    match fact {
        Fact::Call { attempt, .. } => *attempt,
        _ => None,
    }
}

/// Whether a fact is about a call of these hunts, or about the same call if it was none of a hunt.
fn is_of(fact: &Fact, last: &Fact, attempts: &[Option<u32>]) -> bool {
    match fact {
        Fact::Call { attempt: Some(attempt), .. } => attempts.contains(&Some(*attempt)),
        fact => fact.call_id().is_some() && fact.call_id() == last.call_id(),
    }
}

/// The hunt before the one that begins here, if both have the same cause.
fn earlier_attempt(history: &VecDeque<EventRecord>, begin: usize, last: &Fact) -> Option<u32> {
    let of_ours = |fact: &Fact| may_cause(fact, last) || by(fact).is_some_and(|one| Some(one) == by(last));
    let before = history.range(..begin).rev().find(|record| of_ours(&record.fact))?;
    attempt(&before.fact).filter(|_| attempt(last).is_some())
}

/// Whether a fact is what a call says that started it.
fn may_cause(fact: &Fact, call: &Fact) -> bool {
    match (fact, by(call)) {
        (Fact::Press { by: presses, .. }, Some(by)) => presses == by,
        (Fact::Sensor { sensor, .. }, Some(By::Sensor { sensor: by })) => sensor == by,
        (Fact::Door { door, .. }, Some(By::Door { door: by })) => door == by,
        (Fact::Schedule { schedule }, Some(By::Schedule { schedule: by })) => schedule == by,
        (Fact::Code { reader, .. }, Some(By::Holder { reader: by, .. } | By::Typist { reader: by })) => reader == by,
        _ => false,
    }
}

/// Where the cause of the first call is: the last one before it that the call says started it.
fn cause(history: &VecDeque<EventRecord>, begin: usize, last: &Fact) -> Option<usize> {
    let began_at = history.get(begin)?.at_ms;
    let is_near = |record: &EventRecord| began_at.saturating_sub(record.at_ms) <= CAUSE_MS;
    let found = history.range(..begin).rposition(|record| may_cause(&record.fact, last) && is_near(record));
    found.filter(|_| attempt(last).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{By, CallState, Cause, Direction, Gesture, Unanswered};

    fn call(call_id: &str, number: &str, attempt: u32, state: CallState, end: Option<Unanswered>) -> Fact {
        let cause = end.map(|why| Cause { code: 480, text: "x".into(), unanswered: Some(why) });
        Fact::Call {
            by: By::Station,
            call_id: call_id.into(),
            line: crate::core::Line(0),
            direction: Direction::Outgoing,
            number: number.into(),
            attempt: Some(attempt),
            state,
            cause,
        }
    }

    #[test]
    fn a_list_that_was_called_in_turn_is_one_story_with_its_press() {
        let facts = [
            call("z", "300", 1, CallState::Dialing, None),
            call("z", "300", 1, CallState::Idle, Some(Unanswered::Busy)),
            Fact::Press { button: "bell".into(), gesture: Gesture::Press, by: By::Station },
            call("a", "100", 2, CallState::Dialing, None),
            Fact::Media { call_id: "z".into(), connected: false },
            call("a", "100", 2, CallState::Idle, Some(Unanswered::NoAnswer)),
            call("b", "101", 2, CallState::Dialing, None),
            call("b", "101", 2, CallState::Idle, Some(Unanswered::Busy)),
        ];
        let record = |(at_ms, fact): (u64, Fact)| EventRecord { at_ms, fact };
        let history: VecDeque<EventRecord> = (0..).zip(facts.clone()).map(record).collect();
        let story: Vec<Fact> = last_call(&history).into_iter().map(|record| record.fact).collect();
        let expected: Vec<Fact> = [2, 3, 5, 6, 7].map(|index: usize| facts[index].clone()).to_vec();
        assert_eq!(story, expected);
        assert!(last_call(&VecDeque::new()).is_empty());
    }

    #[test]
    fn what_an_outcome_calls_and_who_opens_are_parts_of_the_story() {
        let press = || Fact::Press { button: "bell".into(), gesture: Gesture::Press, by: By::Station };
        let opened = Fact::Output { output: "strike".into(), drive: crate::core::Drive::On, by: By::Station };
        let facts = [
            press(),
            call("y", "300", 1, CallState::Dialing, None),
            call("y", "300", 1, CallState::Idle, Some(Unanswered::Busy)),
            press(),
            call("a", "100", 2, CallState::Dialing, None),
            call("a", "100", 2, CallState::Idle, Some(Unanswered::NoAnswer)),
            Fact::Play { sound: "please_wait".into(), to: Default::default(), by: By::Station },
            call("b", "200", 3, CallState::Dialing, None),
            call("b", "200", 3, CallState::Established, None),
            opened,
            call("b", "200", 3, CallState::Idle, Some(Unanswered::Busy)),
        ];
        let record = |(at_ms, fact): (u64, Fact)| EventRecord { at_ms, fact };
        let history: VecDeque<EventRecord> = (0..).zip(facts.clone()).map(record).collect();
        let story: Vec<Fact> = last_call(&history).into_iter().map(|record| record.fact).collect();
        assert_eq!(story, facts[3..]);
    }

    fn called_by(call_id: &str, attempt: u32, by: &By, state: CallState) -> Fact {
        let end = (state == CallState::Idle).then_some(Unanswered::NotReachable);
        match call(call_id, "100", attempt, state, end) {
            Fact::Call { call_id, line, direction, number, attempt, state, cause, .. } => {
                Fact::Call { by: by.clone(), call_id, line, direction, number, attempt, state, cause }
            }
            other => other,
        }
    }

    fn story(facts: &[(u64, Fact)]) -> Vec<Fact> {
        let records = facts.iter().map(|(at_ms, fact)| EventRecord { at_ms: *at_ms, fact: fact.clone() });
        last_call(&records.collect()).into_iter().map(|record| record.fact).collect()
    }

    #[test]
    fn what_a_call_does_not_say_it_was_started_by_is_no_cause_of_it() {
        let root = By::User { user: "root".into() };
        let tick = || Fact::Schedule { schedule: "tick".into() };
        let facts = [
            (0, called_by("a", 1, &root, CallState::Dialing)),
            (1_000, called_by("a", 1, &root, CallState::Idle)),
            (5_000, tick()),
            (6_000, called_by("b", 2, &root, CallState::Dialing)),
            (7_000, called_by("b", 2, &root, CallState::Idle)),
        ];
        assert_eq!(story(&facts), [facts[3].1.clone(), facts[4].1.clone()], "another command of the same user");
    }

    #[test]
    fn the_rounds_of_an_alarm_are_one_story_with_the_press_that_raised_it() {
        let finger = By::Finger { button: "help".into() };
        let facts = [
            (0, Fact::Press { button: "help".into(), gesture: Gesture::Press, by: finger.clone() }),
            (0, Fact::Alarm { state: crate::core::AlarmState::Raised, by: finger.clone() }),
            (10, called_by("a", 1, &finger, CallState::Dialing)),
            (1_000, called_by("a", 1, &finger, CallState::Idle)),
            (5_000, Fact::Schedule { schedule: "tick".into() }),
            (9_000, called_by("x", 2, &By::Sensor { sensor: "motion".into() }, CallState::Dialing)),
            (9_500, called_by("x", 2, &By::Sensor { sensor: "motion".into() }, CallState::Idle)),
            (121_000, called_by("b", 3, &finger, CallState::Dialing)),
            (122_000, called_by("b", 3, &finger, CallState::Idle)),
            (122_000, Fact::Custom { text: "failed".into(), by: finger.clone() }),
            (130_000, Fact::Custom { text: "later".into(), by: finger }),
        ];
        let expected: Vec<Fact> = [0, 1, 2, 3, 7, 8, 9].map(|index: usize| facts[index].1.clone()).to_vec();
        assert_eq!(story(&facts), expected);
    }
}
