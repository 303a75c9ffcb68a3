//! Counts what happens, from the facts.

use std::collections::VecDeque;

use crate::control::{CallCount, CallResult, Counters, EventRecord, RecentCall};
use crate::core::{By, CallState, Cause, Fact, Unanswered};

/// Calls that are up at the same time, and presses whose call has not begun.
const MAX_OPEN: usize = 16;
/// Calls that have ended and are remembered.
const MAX_RECENT: usize = 10;

/// Counts facts, and remembers what has begun.
#[derive(Default)]
pub(super) struct FactCounter {
    pub(super) counters: Counters,
    /// The newest one first.
    pub(super) recent_calls: VecDeque<RecentCall>,
    /// Calls that are up, with the time at which they came up.
    up: VecDeque<(String, u64)>,
    /// Presses by a finger whose call has not begun, with their time.
    pressed: VecDeque<(String, u64)>,
}

impl FactCounter {
    /// Counts a fact. `happened_ms` is when its cause happened, and `now_ms` when it was carried out, on one clock.
    pub(super) fn count(&mut self, record: &EventRecord, happened_ms: u64, now_ms: u64) {
        match &record.fact {
            Fact::Press { button, by, .. } => {
                *self.counters.presses.entry(button.clone()).or_default() += 1;
                if matches!(by, By::Finger { .. }) {
                    remember(&mut self.pressed, button.clone(), happened_ms);
                }
            }
            Fact::PressRefused { button, .. } => self.pressed.retain(|(pressed, _)| pressed != button),
            Fact::Dtmf { matched: false, .. } | Fact::Code { code: None, .. } => self.counters.wrong_codes += 1,
            Fact::Call { call_id, state, cause, by, .. } => {
                if let (CallState::Dialing, By::Finger { button }) = (state, by) {
                    self.requested(button, now_ms);
                }
                let is_up = self.up.iter().any(|(up, _)| up == call_id);
                if *state == CallState::Established && !is_up {
                    remember(&mut self.up, call_id.clone(), now_ms);
                }
                if let Some(cause) = cause {
                    self.ended(record, cause, now_ms);
                }
            }
            _ => {}
        }
    }

    /// The call of a press was requested; further calls of the same press do not count.
    fn requested(&mut self, button: &str, now_ms: u64) {
        let place = self.pressed.iter().position(|(pressed, _)| pressed == button);
        if let Some((_, pressed_ms)) = place.and_then(|place| self.pressed.remove(place)) {
            self.counters.press_to_request.add(now_ms.saturating_sub(pressed_ms));
        }
    }

    fn ended(&mut self, record: &EventRecord, cause: &Cause, now_ms: u64) {
        let Fact::Call { call_id, direction, number, by, .. } = &record.fact else { return };
        let place = self.up.iter().position(|(up, _)| up == call_id);
        let talk_ms = place.and_then(|place| self.up.remove(place)).map(|(_, up_ms)| now_ms.saturating_sub(up_ms));
        let result = match (talk_ms, cause.unanswered) {
            (Some(_), _) => CallResult::Answered,
            (None, None) => CallResult::Abandoned,
            (None, Some(Unanswered::NoAnswer)) => CallResult::NoAnswer,
            (None, Some(Unanswered::NotReachable)) => CallResult::NotReachable,
            (None, Some(Unanswered::Busy)) => CallResult::Busy,
            (None, Some(Unanswered::Declined)) => CallResult::Declined,
            (None, Some(Unanswered::NotFound)) => CallResult::NotFound,
            (None, Some(Unanswered::Failed)) => CallResult::Failed,
        };
        let talk_ms = talk_ms.unwrap_or_default();
        self.counters.call_ms += talk_ms;
        let known = self.counters.calls.iter_mut().find(|of| of.direction == *direction && of.result == result);
        match known {
            Some(known) => known.count += 1,
            None => self.counters.calls.push(CallCount { direction: *direction, result, count: 1 }),
        }
        self.recent_calls.truncate(MAX_RECENT - 1);
        self.recent_calls.push_front(RecentCall {
            ended_at_ms: record.at_ms,
            direction: *direction,
            number: number.clone(),
            by: by.clone(),
            result,
            talk_s: talk_ms / 1000,
        });
    }
}

fn remember(open: &mut VecDeque<(String, u64)>, name: String, at_ms: u64) {
    open.retain(|(other, _)| *other != name);
    if open.len() >= MAX_OPEN {
        open.pop_front();
    }
    open.push_back((name, at_ms));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Line;
    use crate::core::{Direction, Gesture};

    fn press() -> Fact {
        Fact::Press { button: "bell".into(), gesture: Gesture::Press, by: By::Finger { button: "bell".into() } }
    }

    fn call(state: CallState, cause: Option<Cause>) -> Fact {
        Fact::Call {
            call_id: "a".into(),
            line: Line(0),
            direction: Direction::Outgoing,
            number: "100".into(),
            by: By::Finger { button: "bell".into() },
            attempt: Some(1),
            state,
            cause,
        }
    }

    fn count(counter: &mut FactCounter, fact: Fact, happened_ms: u64, now_ms: u64) {
        counter.count(&EventRecord { at_ms: now_ms, fact }, happened_ms, now_ms);
    }

    fn cause(unanswered: Option<Unanswered>) -> Option<Cause> {
        Some(Cause { code: 0, text: String::new(), unanswered })
    }

    #[test]
    fn an_answered_call_counts_with_its_length_and_the_time_from_the_press_to_its_request() {
        let mut counter = FactCounter::default();
        count(&mut counter, press(), 1_000, 1_004);
        count(&mut counter, call(CallState::Dialing, None), 1_000, 1_007);
        count(&mut counter, call(CallState::Established, None), 3_000, 3_000);
        count(&mut counter, call(CallState::Held, None), 4_000, 4_000);
        count(&mut counter, call(CallState::Established, None), 5_000, 5_000);
        count(&mut counter, call(CallState::Idle, cause(None)), 13_000, 13_000);
        assert_eq!((counter.recent_calls[0].talk_s, counter.recent_calls.len()), (10, 1));
        let counters = counter.counters;
        assert_eq!((counters.call_ms, counters.presses["bell"]), (10_000, 1));
        assert_eq!((counters.press_to_request.count, counters.press_to_request.sum_ms), (1, 7));
        assert_eq!(counters.press_to_request.buckets, [0, 1, 1, 1, 1, 1, 1, 1]);
        let answered = CallCount { direction: Direction::Outgoing, result: CallResult::Answered, count: 1 };
        assert_eq!(counters.calls, [answered]);
    }

    #[test]
    fn calls_that_nobody_took_are_told_apart() {
        let mut counter = FactCounter::default();
        for unanswered in [None, Some(Unanswered::Busy), Some(Unanswered::Busy)] {
            count(&mut counter, call(CallState::Idle, cause(unanswered)), 0, 0);
        }
        let results: Vec<_> = counter.counters.calls.iter().map(|of| (of.result.word(), of.count)).collect();
        assert_eq!(results, [("abandoned", 1), ("busy", 2)]);
    }

    #[test]
    fn a_press_without_a_call_has_no_time_to_a_request() {
        let mut counter = FactCounter::default();
        count(&mut counter, press(), 0, 0);
        count(&mut counter, Fact::PressRefused { button: "bell".into(), reason: "no session".into() }, 5_000, 5_000);
        count(&mut counter, call(CallState::Dialing, None), 9_000, 9_000);
        assert_eq!((counter.counters.press_to_request.count, counter.counters.presses["bell"]), (0, 1));
    }
}
