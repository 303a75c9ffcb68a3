//! Makes gestures of the levels of a button: press, long press, double press; and notices a button that is stuck.

use serde::{Deserialize, Serialize};

use std::time::Duration;

use super::debounce::{Debounce, Settling};
use crate::config::GpioConfig;
use crate::core::api::Gesture;
use crate::core::time::Time;

/// A button that is down for this long is stuck, for example because of a leaf, ice or a cut wire.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(60);

/// The times of the gestures of one button. A gesture that has no action has no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GestureTimes {
    /// A press that lasts this long is a long press.
    pub(super) long: Option<Duration>,
    /// The second press of a double press must begin within this time.
    pub(super) double: Option<Duration>,
}

/// The state of one button.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ButtonInput {
    pub(super) debounce: Debounce,
    phase: Phase,
    stuck: bool,
    /// It has just gone down.
    #[serde(default)]
    went_down: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
enum Phase {
    #[default]
    Idle,
    /// The button is down, and it is not known yet which gesture this will be.
    Down { since: Time, second: bool },
    /// The button is up, after a first press that may become a double press.
    Between { until: Time },
    /// The button is down, and its gesture has been reported, or it has none.
    Counted,
}

impl ButtonInput {
    /// A button on pins of this kind, at rest.
    pub(super) fn of(gpio: &GpioConfig) -> Self {
        Self { debounce: Debounce::of(gpio), ..Self::default() }
    }

    /// The pin was opened, and this is its level. A button that is down already does not count as pressed, because
    /// nobody knows why it is down.
    pub(super) fn found(&mut self, active: bool, by_kernel: bool, now: Time) {
        self.debounce.start_at(active, by_kernel, now);
        self.phase = if active { Phase::Counted } else { Phase::Idle };
        self.stuck = false;
    }

    /// Whether it has gone down since the last time, whatever gesture that becomes.
    pub(super) fn take_down(&mut self) -> bool {
        std::mem::take(&mut self.went_down)
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck
    }

    fn stuck_at(&self) -> Option<Time> {
        (self.debounce.is_active() && !self.stuck).then(|| self.debounce.settled_at() + STUCK_AFTER)
    }

    pub(super) fn deadline(&self, times: GestureTimes, settling: Settling) -> Option<Time> {
        let gesture = match self.phase {
            Phase::Down { since, .. } => times.long.map(|long| since + long),
            Phase::Between { until } => Some(until),
            Phase::Idle | Phase::Counted => None,
        };
        [gesture, self.debounce.deadline(settling), self.stuck_at()].into_iter().flatten().min()
    }

    /// The gesture that is complete by now, if there is one.
    pub(super) fn settle(&mut self, times: GestureTimes, settling: Settling, now: Time) -> Option<Gesture> {
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
        if self.stuck_at().is_some_and(|at| now >= at) {
            self.stuck = true;
            self.phase = Phase::Counted;
        }
        let moved = match self.debounce.settle(settling, now) {
            Some(true) => {
                self.went_down = true;
                self.down(times, now)
            }
            Some(false) => self.up(times, now),
            None => None,
        };
        // Both can happen in one call only if nobody called for a long time. Then the older one counts.
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
        self.stuck = false;
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

    const SETTLING: Settling = Settling { on: Duration::from_millis(20), off: Duration::from_millis(20) };

    fn times(long_ms: Option<u64>, double_ms: Option<u64>) -> GestureTimes {
        GestureTimes { long: long_ms.map(Duration::from_millis), double: double_ms.map(Duration::from_millis) }
    }

    /// Runs edges in virtual time, millisecond by millisecond. Returns the gestures and their times.
    fn run(times: GestureTimes, edges: &[(u64, bool)], until: u64) -> Vec<(u64, Gesture)> {
        let mut input = ButtonInput::default();
        let mut seen = Vec::new();
        for ms in 0..until {
            for (_, active) in edges.iter().filter(|(at, _)| *at == ms) {
                input.debounce.edge(*active, Time(ms));
            }
            if input.deadline(times, SETTLING).is_some_and(|deadline| Time(ms) >= deadline)
                && let Some(gesture) = input.settle(times, SETTLING, Time(ms))
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

    #[test]
    fn a_stuck_button_does_nothing_when_it_is_released() {
        let double = times(None, Some(350));
        assert_eq!(run(double, &[(100, true), (61_000, false)], 63_000), []);
        assert_eq!(run(double, &[(100, true), (59_000, false)], 63_000), [(59_370, Gesture::Press)]);
    }

    #[test]
    fn a_finger_that_was_there_at_the_start_is_not_a_press() {
        let mut input = ButtonInput::default();
        input.found(true, false, Time(0));
        input.debounce.edge(false, Time(500));
        assert_eq!(input.settle(times(Some(800), None), SETTLING, Time(520)), None);
        assert!(!input.debounce.is_active());
    }
}
