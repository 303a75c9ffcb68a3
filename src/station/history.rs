//! What happened recently, and what led to the end of the last call.

use std::collections::VecDeque;

use crate::control::EventRecord;
use crate::core::Fact;

/// Facts that `callbox explain last` can look back on.
const LENGTH: usize = 512;
/// A press or an edge at most this long before a call may have caused it: it waits for a session for at most 60 s.
const CAUSE_MS: u64 = 70_000;

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
    // A list that was called in turn is one hunt, and what an outcome calls is another one of the same cause.
    let (mut begin, mut attempts) = (end, vec![attempt(last)]);
    let legs = loop {
        let legs: Vec<&str> = history
            .iter()
            .filter(|record| is_of(&record.fact, last, &attempts))
            .filter_map(|record| record.fact.call_id())
            .collect();
        begin = history.iter().position(|record| concerns(&record.fact, &legs)).unwrap_or(begin);
        match earlier_attempt(history, begin, last) {
            Some(earlier) if !attempts.contains(&Some(earlier)) => attempts.push(Some(earlier)),
            _ => break legs,
        }
    };
    let tells = |fact: &Fact| concerns(fact, &legs) || fact.call_id().is_none() && happens_meanwhile(fact);
    let meanwhile = history.range(begin..=end).filter(|record| tells(&record.fact));
    cause(history, begin).into_iter().chain(meanwhile).cloned().collect()
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

/// The hunt that ended just before the one that begins here, if both have the same cause.
fn earlier_attempt(history: &VecDeque<EventRecord>, begin: usize, last: &Fact) -> Option<u32> {
    let before = history.range(..begin).rev().find(|record| is_call_or_cause(&record.fact))?;
    match (&before.fact, last) {
        (Fact::Call { by, attempt, .. }, Fact::Call { by: of_last, attempt: Some(_), .. }) if by == of_last => *attempt,
        _ => None,
    }
}

fn is_call_or_cause(fact: &Fact) -> bool {
    is_cause(fact) || matches!(fact, Fact::Call { .. })
}

/// Whether a fact may cause a call.
fn is_cause(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Press { .. } | Fact::Sensor { .. } | Fact::Door { .. } | Fact::Schedule { .. } | Fact::Code { .. }
    )
}

/// What caused the first call: the last thing before it, if there is no other call between them.
fn cause(history: &VecDeque<EventRecord>, begin: usize) -> Option<&EventRecord> {
    let first = history.get(begin)?;
    let of_ours = matches!(&first.fact, Fact::Call { attempt: Some(_), .. });
    let before = history.range(..begin).rev().take_while(|record| {
        !matches!(record.fact, Fact::Call { .. }) && first.at_ms.saturating_sub(record.at_ms) <= CAUSE_MS
    });
    let mut causes = before.filter(|record| is_cause(&record.fact));
    causes.next().filter(|_| of_ours)
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
}
