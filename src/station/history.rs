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
    // A list that was called in turn is one hunt.
    let legs: Vec<&str> = history
        .iter()
        .filter_map(|record| match &record.fact {
            fact @ Fact::Call { .. } if is_of_one_hunt(fact, last) => fact.call_id(),
            _ => None,
        })
        .collect();
    let concerns_a_leg = |fact: &Fact| fact.call_id().is_some_and(|id| legs.contains(&id));
    let begin = history.iter().position(|record| concerns_a_leg(&record.fact)).unwrap_or(end);
    let concerns = |fact: &Fact| {
        concerns_a_leg(fact)
            || matches!(
                fact,
                Fact::Session { .. }
                    | Fact::Audio { .. }
                    | Fact::Microphone { .. }
                    | Fact::Protocol { .. }
                    | Fact::Press { .. }
                    | Fact::Sensor { .. }
            )
    };
    let meanwhile = history.range(begin..=end).filter(|record| concerns(&record.fact));
    cause(history, begin).into_iter().chain(meanwhile).cloned().collect()
}

fn is_of_one_hunt(fact: &Fact, last: &Fact) -> bool {
    match (fact, last) {
        (Fact::Call { attempt: Some(attempt), .. }, Fact::Call { attempt: Some(of_last), .. }) => attempt == of_last,
        (fact, last) => fact.call_id() == last.call_id(),
    }
}

/// The last press or edge before the first call, if there is no other call between them.
fn cause(history: &VecDeque<EventRecord>, begin: usize) -> Option<&EventRecord> {
    let first = history.get(begin)?;
    let of_ours = matches!(&first.fact, Fact::Call { attempt: Some(_), .. });
    let before = history.range(..begin).rev().take_while(|record| {
        !matches!(record.fact, Fact::Call { .. }) && first.at_ms.saturating_sub(record.at_ms) <= CAUSE_MS
    });
    let mut causes = before.filter(|record| matches!(record.fact, Fact::Press { .. } | Fact::Sensor { .. }));
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
}
