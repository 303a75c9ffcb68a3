//! One relay or LED: its pulses, its longest time on, and which state an LED shows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Drive, OutputChange, OutputKind, OutputPin, ShownState};
use crate::core::api::By;
use crate::core::time::Time;
use crate::mutant::{Mutant, mutant};

/// A relay that has been on for its `max_on_ms` stays off for this long. A shorter pause does not count: after it, the
/// time on is still counted from before it. Otherwise somebody who keeps asking could hold the relay on for ever.
const REST: Duration = Duration::from_millis(500);

/// One `[[output]]` at run time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct OutputState {
    /// An action or a command has switched it on, until `off_at`.
    on_since: Option<Time>,
    off_at: Option<Time>,
    /// The last time on: when it began, and when it ended.
    before: Option<(Time, Time)>,
    /// It has been on for its longest time, and stays off until then.
    rests_until: Option<Time>,
    /// Who changed it last.
    by: By,
    /// What the adapter was asked to do last.
    drive: Drive,
}

impl OutputState {
    /// Carries out a change. A relay never stays on for longer than `max_on`, counted from when it went on. Fails if a
    /// relay that must rest is to go on; the error is how long it still rests.
    pub(super) fn change(
        &mut self,
        kind: &OutputKind,
        change: OutputChange,
        now: Time,
        by: &By,
    ) -> Result<(), Duration> {
        let rest = self.rests_until.map_or(Duration::ZERO, |until| until.since(now));
        if change != OutputChange::Off && !rest.is_zero() {
            return Err(rest);
        }
        self.by = by.clone();
        let before = self.before.filter(|(_, off_at)| now.since(*off_at) < REST).map(|(since, _)| since);
        let since = self.on_since.or(before).unwrap_or(now);
        let limit = match kind {
            OutputKind::Relay { max_on } => Some(since + *max_on),
            OutputKind::Led { .. } => None,
        };
        let wanted = match change {
            OutputChange::Off => {
                self.off(now);
                return Ok(());
            }
            OutputChange::On => None,
            OutputChange::Pulse(length) => Some(now + length.max(Duration::from_millis(1))),
        };
        if limit.is_some_and(|limit| limit <= now) {
            self.rests_until = Some(now + REST);
            return Err(REST);
        }
        self.on_since = Some(since);
        self.off_at = match wanted {
            Some(_) if mutant(Mutant::EndlessPulse) => wanted,
            _ => [wanted, limit].into_iter().flatten().min(),
        };
        Ok(())
    }

    /// The longest time on may have changed. It also applies to a relay that is on now.
    pub(super) fn limit(&mut self, kind: &OutputKind) {
        if let (OutputKind::Relay { max_on }, Some(since)) = (kind, self.on_since) {
            self.off_at = [self.off_at, Some(since + *max_on)].into_iter().flatten().min();
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.off_at
    }

    /// Switches the output off if its time is over.
    pub(super) fn settle(&mut self, kind: &OutputKind, now: Time) {
        if self.off_at.is_some_and(|at| now >= at) {
            if self.is_at_its_limit(kind, now) {
                self.rests_until = Some(now + REST);
            }
            self.rest(now);
        }
    }

    fn is_at_its_limit(&self, kind: &OutputKind, now: Time) -> bool {
        match (kind, self.on_since) {
            (OutputKind::Relay { max_on }, Some(since)) => now.since(since) >= *max_on,
            _ => false,
        }
    }

    /// Switches the output off, because its time is over or the station stops.
    pub(super) fn rest(&mut self, now: Time) {
        self.by = By::Station;
        self.off(now);
    }

    /// Who changed the output last.
    pub(super) fn by(&self) -> By {
        self.by.clone()
    }

    fn off(&mut self, now: Time) {
        self.before = self.on_since.map(|since| (since, now)).or(self.before);
        self.on_since = None;
        self.off_at = None;
    }

    pub(super) fn is_on(&self) -> bool {
        self.on_since.is_some()
    }

    pub(super) fn drive(&self) -> Drive {
        self.drive
    }

    /// The drive that the output needs now, if it is not the one from before.
    pub(super) fn update(&mut self, pin: &OutputPin, shown: &[ShownState]) -> Option<Drive> {
        let wanted = match &pin.kind {
            _ if self.is_on() => Drive::On,
            OutputKind::Relay { .. } => Drive::Off,
            OutputKind::Led { show } => shown
                .iter()
                .find_map(|state| show.iter().find(|(of, _)| of == state).map(|(_, drive)| *drive))
                .unwrap_or_default(),
        };
        (wanted != self.drive).then(|| {
            self.drive = wanted;
            wanted
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: OutputKind = OutputKind::Relay { max_on: Duration::from_secs(8) };

    const ALWAYS: By = By::Station;

    #[test]
    fn a_relay_is_never_on_for_longer_than_max_on_whatever_asks() {
        let mut relay = OutputState::default();
        relay.change(&RELAY, OutputChange::Pulse(Duration::from_secs(60)), Time(0), &ALWAYS).unwrap();
        assert_eq!(relay.deadline(), Some(Time(8_000)));
        relay.change(&RELAY, OutputChange::On, Time(7_000), &ALWAYS).unwrap();
        assert_eq!(relay.deadline(), Some(Time(8_000)));
        relay.settle(&RELAY, Time(8_000));
        assert!(!relay.is_on());
    }

    /// Somebody asks for "on" in every millisecond, also in the one in which the relay goes off. With `with_off`, they
    /// switch it off before each request.
    #[test]
    fn nobody_holds_a_relay_by_insisting() {
        for with_off in [false, true] {
            let mut relay = OutputState::default();
            let mut on_for = 0;
            for ms in 0..60_000 {
                relay.settle(&RELAY, Time(ms));
                if with_off {
                    relay.change(&RELAY, OutputChange::Off, Time(ms), &ALWAYS).unwrap();
                }
                let _ = relay.change(&RELAY, OutputChange::On, Time(ms), &ALWAYS);
                on_for = if relay.is_on() { on_for + 1 } else { 0 };
                assert!(on_for <= 8_000, "on for {on_for} ms, {with_off}");
            }
        }
    }

    #[test]
    fn a_relay_that_was_off_for_a_while_may_go_on_again() {
        let mut relay = OutputState::default();
        relay.change(&RELAY, OutputChange::On, Time(0), &ALWAYS).unwrap();
        relay.settle(&RELAY, Time(8_000));
        assert_eq!(relay.change(&RELAY, OutputChange::On, Time(8_200), &ALWAYS), Err(Duration::from_millis(300)));
        relay.change(&RELAY, OutputChange::On, Time(8_500), &ALWAYS).unwrap();
        assert_eq!(relay.deadline(), Some(Time(16_500)));
    }

    #[test]
    fn a_second_pulse_lengthens_the_first() {
        let mut relay = OutputState::default();
        relay.change(&RELAY, OutputChange::Pulse(Duration::from_secs(3)), Time(0), &ALWAYS).unwrap();
        relay.change(&RELAY, OutputChange::Pulse(Duration::from_secs(3)), Time(2_000), &ALWAYS).unwrap();
        assert_eq!(relay.deadline(), Some(Time(5_000)));
    }
}
