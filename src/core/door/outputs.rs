//! All relays and LEDs: who may drive them, what they show, and what the adapter must do.

use std::sync::Arc;

use super::Door;
use super::output::OutputState;
use crate::config::{Config, Drive, OutputChange, OutputIndex, OutputPin, ShownState};
use crate::core::api::{By, Effect, Fact, Refusal};
use crate::core::context::Context;
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;

impl Door {
    /// Drives an output. If two outputs exclude each other, one of them does not go on while the other is on, whoever
    /// asks. Returns whether a relay has just gone on.
    pub(in crate::core) fn change_output(
        &mut self,
        OutputIndex(index): OutputIndex,
        change: OutputChange,
        by: &By,
        cx: &mut Context,
    ) -> Result<bool, Refusal> {
        let config = Arc::clone(&cx.config);
        let Some(pin) = config.outputs.get(index) else { return Ok(false) };
        if cx.shutting_down && change != OutputChange::Off {
            return Err(Refusal::ShuttingDown);
        }
        let mut others = config.outputs.iter().zip(&self.outputs).enumerate().filter(|(other, _)| *other != index);
        if change != OutputChange::Off
            && let Some((_, (other, _))) = others.find(|(_, (other, state))| state.is_on() && pin.excludes(other))
        {
            let refusal = Refusal::Excluded { output: pin.name.clone(), other: other.name.clone() };
            return Err(refused(pin, refusal, by, cx));
        }
        let Some(output) = self.outputs.get_mut(index) else { return Ok(false) };
        let was_on = output.is_on();
        if let Err(rest) = output.change(&pin.kind, change, cx.now.at, by) {
            let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
            return Err(refused(pin, Refusal::Rests { output: pin.name.clone(), rest_ms }, by, cx));
        }
        Ok(!was_on && output.is_on() && pin.kind.is_relay())
    }

    /// Switches off the outputs whose time is over.
    pub(in crate::core) fn run_deadlines(&mut self, config: &Config, now: Time) {
        for (output, pin) in self.outputs.iter_mut().zip(&config.outputs) {
            output.settle(&pin.kind, now);
        }
    }

    /// Queues an effect for each output that has changed. `shown`: the states of the station, most urgent first.
    pub(in crate::core) fn settle_outputs(&mut self, shown: &[ShownState], cx: &mut Context) {
        let config = Arc::clone(&cx.config);
        let mut changes = Vec::new();
        for ((index, pin), output) in config.outputs.iter().enumerate().zip(&mut self.outputs) {
            changes.extend(output.update(pin, shown).map(|drive| (index, pin, drive, output.by())));
        }
        // Outputs go off before others go on, so that two that exclude each other are never on together.
        changes.sort_by_key(|(_, _, drive, _)| *drive != Drive::Off);
        for (index, pin, drive, by) in changes {
            cx.push(Effect::Drive(OutputIndex(index), drive));
            if pin.kind.is_relay() {
                cx.fact(Fact::Output { output: pin.name.clone(), drive, by });
            }
        }
    }

    /// The configuration has changed. The new `max_on_ms` also applies to a relay that is on. A door with another contact
    /// begins anew.
    pub(in crate::core) fn reconfigure(&mut self, old: &Config, config: &Config) {
        for (output, pin) in self.outputs.iter_mut().zip(&config.outputs) {
            output.limit(&pin.kind);
        }
        let contact = |config: &Config, index: usize| config.doors.get(index).map(|door| door.contact);
        let mut watches = std::mem::take(&mut self.watches).into_iter();
        let kept = |index| watches.next().filter(|_| contact(old, index) == contact(config, index)).unwrap_or_default();
        self.watches = (0..config.doors.len()).map(kept).collect();
    }

    /// Switches everything off, because the station stops.
    pub(in crate::core) fn rest(&mut self, now: Time) {
        self.outputs.iter_mut().for_each(|output| output.rest(now));
    }

    pub(in crate::core) fn any_output_is_on(&self) -> bool {
        self.outputs.iter().any(OutputState::is_on)
    }

    /// Whether a relay is on.
    pub(in crate::core) fn is_door_open(&self, config: &Config) -> bool {
        config.outputs.iter().zip(&self.outputs).any(|(pin, output)| pin.kind.is_relay() && output.is_on())
    }

    pub(super) fn output_deadlines(&self) -> impl Iterator<Item = Deadline> {
        let ends = self.outputs.iter().filter_map(OutputState::deadline);
        ends.map(|at| Deadline::new(at, DeadlineReason::OutputOff))
    }
}

/// Reports that an output was not driven, and why.
fn refused(pin: &OutputPin, refusal: Refusal, by: &By, cx: &mut Context) -> Refusal {
    cx.fact(Fact::OutputRefused { output: pin.name.clone(), reason: refusal.to_string(), by: by.clone() });
    refusal
}
