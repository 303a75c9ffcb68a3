//! Relays and LEDs: pulses, the longest time on, and which state a LED shows.

use serde::{Deserialize, Serialize};

use std::time::Duration;

use crate::config::{OutputKind, OutputPin, ShownState};

use super::by::By;
use super::command::OutputChange;
use super::output::Drive;
use super::time::Time;

/// One `[[output]]` at run time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct OutputState {
    /// Set by an action or a command, until `off_at`.
    on_since: Option<Time>,
    off_at: Option<Time>,
    /// Who changed it last.
    by: By,
    /// What the adapter was told last.
    drive: Drive,
}

impl OutputState {
    /// Carries out a change. A relay never stays on beyond `max_on`, counted from when it went on.
    pub(super) fn change(&mut self, kind: &OutputKind, change: OutputChange, now: Time, by: &By) {
        self.by = by.clone();
        let since = self.on_since.unwrap_or(now);
        let limit = match kind {
            OutputKind::Relay { max_on } => Some(since + *max_on),
            OutputKind::Led { .. } => None,
        };
        let wanted = match change {
            OutputChange::Off => return self.off(),
            OutputChange::On => None,
            OutputChange::Pulse(length) => Some(now + length.max(Duration::from_millis(1))),
        };
        self.on_since = Some(since);
        self.off_at = [wanted, limit].into_iter().flatten().min();
    }

    /// The longest time on has changed: one that is on is bound by it as well.
    pub(super) fn limit(&mut self, kind: &OutputKind) {
        if let (OutputKind::Relay { max_on }, Some(since)) = (kind, self.on_since) {
            self.off_at = [self.off_at, Some(since + *max_on)].into_iter().flatten().min();
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.off_at
    }

    /// Ends what is due.
    pub(super) fn settle(&mut self, now: Time) {
        if self.off_at.is_some_and(|at| now >= at) {
            self.rest();
        }
    }

    /// At rest from now on: its time is over, or the station ends.
    pub(super) fn rest(&mut self) {
        self.by = By::Station;
        self.off();
    }

    /// Who changed it last.
    pub(super) fn by(&self) -> By {
        self.by.clone()
    }

    fn off(&mut self) {
        self.on_since = None;
        self.off_at = None;
    }

    pub(super) fn is_on(&self) -> bool {
        self.on_since.is_some()
    }

    pub(super) fn drive(&self) -> Drive {
        self.drive
    }

    /// The new drive, if it is another than before.
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

    #[test]
    fn a_relay_is_never_on_for_longer_than_max_on_whatever_asks() {
        let mut relay = OutputState::default();
        relay.change(&RELAY, OutputChange::Pulse(Duration::from_secs(60)), Time(0), &By::Station);
        assert_eq!(relay.deadline(), Some(Time(8_000)));
        relay.change(&RELAY, OutputChange::On, Time(7_000), &By::Station);
        assert_eq!(relay.deadline(), Some(Time(8_000)));
        relay.settle(Time(8_000));
        assert!(!relay.is_on());
    }

    #[test]
    fn a_second_pulse_lengthens_the_first() {
        let mut relay = OutputState::default();
        relay.change(&RELAY, OutputChange::Pulse(Duration::from_secs(3)), Time(0), &By::Station);
        relay.change(&RELAY, OutputChange::Pulse(Duration::from_secs(3)), Time(2_000), &By::Station);
        assert_eq!(relay.deadline(), Some(Time(5_000)));
    }
}
