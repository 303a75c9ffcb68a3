//! From edges to gestures: debounce, press, long press, double press.

use serde::{Deserialize, Serialize};

use std::time::Duration;

use super::command::Gesture;
use super::time::Time;

/// Times and wishes of one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GestureTimes {
    pub(super) debounce: Duration,
    /// Where a long press means something.
    pub(super) long: Option<Duration>,
    /// Where a double press means something.
    pub(super) double: Option<Duration>,
}

/// A level that counts once it has lasted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Debounce {
    raw: bool,
    changed_at: Time,
    stable: bool,
}

impl Debounce {
    /// A pin that is at this level when the station starts: no edge, no event.
    pub(super) fn edge(&mut self, active: bool, now: Time) {
        if active != self.raw {
            self.raw = active;
            self.changed_at = now;
        }
    }

    pub(super) fn deadline(&self, debounce: Duration) -> Option<Time> {
        (self.raw != self.stable).then(|| self.changed_at + debounce)
    }

    /// The new level, once.
    pub(super) fn settle(&mut self, debounce: Duration, now: Time) -> Option<bool> {
        let due = self.deadline(debounce).is_some_and(|deadline| now >= deadline);
        due.then(|| {
            self.stable = self.raw;
            self.stable
        })
    }

    pub(super) fn is_active(&self) -> bool {
        self.stable
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Phase {
    #[default]
    Idle,
    /// Down; what it will be is not known yet.
    Down { since: Time, second: bool },
    /// Up after a first press that may become a double.
    Between { until: Time },
    /// Down, and already counted.
    Counted,
}

/// One button.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ButtonInput {
    debounce: Debounce,
    phase: Phase,
}

impl ButtonInput {
    pub(super) fn edge(&mut self, active: bool, now: Time) {
        self.debounce.edge(active, now);
    }

    pub(super) fn is_active(&self) -> bool {
        self.debounce.is_active()
    }

    pub(super) fn deadline(&self, times: GestureTimes) -> Option<Time> {
        let gesture = match self.phase {
            Phase::Down { since, .. } => times.long.map(|long| since + long),
            Phase::Between { until } => Some(until),
            Phase::Idle | Phase::Counted => None,
        };
        [gesture, self.debounce.deadline(times.debounce)].into_iter().flatten().min()
    }

    /// What has come to an end by now.
    pub(super) fn settle(&mut self, times: GestureTimes, now: Time) -> Option<Gesture> {
        let expired = match self.phase {
            Phase::Down { since, .. } if times.long.is_some_and(|long| now >= since + long) => {
                self.phase = Phase::Counted;
                Some(Gesture::Long)
            }
            Phase::Between { until } if now >= until => {
                self.phase = Phase::Idle;
                Some(Gesture::Press)
            }
            _ => None,
        };
        let moved = match self.debounce.settle(times.debounce, now) {
            Some(true) => self.down(times, now),
            Some(false) => self.up(times, now),
            None => None,
        };
        // Both at once only when nobody looked for a long time; the older one is what was meant.
        expired.or(moved)
    }

    fn down(&mut self, times: GestureTimes, now: Time) -> Option<Gesture> {
        let second = matches!(self.phase, Phase::Between { .. });
        if second && times.long.is_none() {
            self.phase = Phase::Counted;
            return Some(Gesture::Double);
        }
        if times.long.is_none() && times.double.is_none() {
            self.phase = Phase::Counted;
            return Some(Gesture::Press);
        }
        self.phase = Phase::Down { since: now, second };
        None
    }

    fn up(&mut self, times: GestureTimes, now: Time) -> Option<Gesture> {
        match (self.phase, times.double) {
            (Phase::Down { second: true, .. }, _) => {
                self.phase = Phase::Idle;
                Some(Gesture::Double)
            }
            (Phase::Down { since: _, second: false }, Some(double)) => {
                self.phase = Phase::Between { until: now + double };
                None
            }
            (Phase::Down { second: false, .. }, None) => {
                self.phase = Phase::Idle;
                Some(Gesture::Press)
            }
            _ => {
                self.phase = Phase::Idle;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBOUNCE: Duration = Duration::from_millis(20);

    fn times(long_ms: Option<u64>, double_ms: Option<u64>) -> GestureTimes {
        GestureTimes {
            debounce: DEBOUNCE,
            long: long_ms.map(Duration::from_millis),
            double: double_ms.map(Duration::from_millis),
        }
    }

    /// Runs edges in virtual time, millisecond by millisecond, and tells what came and when.
    fn run(times: GestureTimes, edges: &[(u64, bool)], until: u64) -> Vec<(u64, Gesture)> {
        let mut input = ButtonInput::default();
        let mut seen = Vec::new();
        for ms in 0..until {
            for (_, active) in edges.iter().filter(|(at, _)| *at == ms) {
                input.edge(*active, Time(ms));
            }
            if input.deadline(times).is_some_and(|deadline| Time(ms) >= deadline)
                && let Some(gesture) = input.settle(times, Time(ms))
            {
                seen.push((ms, gesture));
            }
        }
        seen
    }

    #[test]
    fn a_bouncing_contact_is_one_press() {
        let edges = [
            (100, true),
            (103, false),
            (105, true),
            (111, false),
            (112, true),
            (300, false),
            (304, true),
            (306, false),
        ];
        assert_eq!(run(times(None, None), &edges, 1000), [(132, Gesture::Press)]);
    }

    #[test]
    fn a_spike_is_nothing() {
        assert_eq!(run(times(None, None), &[(100, true), (110, false)], 1000), []);
    }

    #[test]
    fn a_press_counts_on_release_where_a_long_press_means_something() {
        assert_eq!(run(times(Some(800), None), &[(100, true), (500, false)], 2000), [(520, Gesture::Press)]);
        assert_eq!(run(times(Some(800), None), &[(100, true), (1500, false)], 2000), [(920, Gesture::Long)]);
    }

    #[test]
    fn two_presses_in_time_are_a_double_and_two_late_ones_are_not() {
        let double = times(None, Some(350));
        assert_eq!(
            run(double, &[(100, true), (200, false), (400, true), (500, false)], 2000),
            [(420, Gesture::Double)]
        );
        assert_eq!(
            run(double, &[(100, true), (200, false), (700, true), (800, false)], 2000),
            [(570, Gesture::Press), (1170, Gesture::Press)]
        );
    }
}
