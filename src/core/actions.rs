//! Rules and actions: what a press, an edge or a code leads to.

use std::sync::Arc;

use crate::config::{Action, Again, HangupTarget, Hours, OutputIndex, OutputKind, Sound, Trigger};

use super::call::{Cause, Origin, Phase};
use super::command::{Gesture, OutputChange, Refusal};
use super::fact::Fact;
use super::station::{Delayed, Station};

impl Station {
    /// A button was pressed, by a hand or by a command.
    pub(super) fn gesture(&mut self, index: usize, gesture: Gesture) {
        let config = Arc::clone(&self.config);
        let Some(button) = config.buttons.get(index) else { return };
        self.fact(Fact::Press { button: button.name.clone(), gesture });
        let trigger = match gesture {
            Gesture::Press => Some(&button.press),
            Gesture::Long => button.long_press.as_ref(),
            Gesture::Double => button.double_press.as_ref(),
        };
        let Some(trigger) = trigger else { return };
        if gesture == Gesture::Press && self.own_call_is_up(index) {
            self.pressed_again(index, button.again);
            return;
        }
        self.run_trigger(trigger, Origin::Button(index));
    }

    fn own_call_is_up(&self, button: usize) -> bool {
        let origin = Origin::Button(button);
        self.hunts.iter().any(|hunt| hunt.origin == origin)
            || self.lines.active().any(|(_, call)| call.origin == origin)
    }

    fn pressed_again(&mut self, button: usize, again: Again) {
        match again {
            Again::Ignore => self.play(Sound::Connecting, false),
            Again::Hangup => {
                let origin = Origin::Button(button);
                for hunt in self.hunts.iter_mut().filter(|hunt| hunt.origin == origin) {
                    hunt.cancelled = true;
                }
                self.hunts.retain(|hunt| hunt.origin != origin || hunt.waits_until.is_none());
                let lines: Vec<usize> =
                    self.lines.active().filter(|(_, call)| call.origin == origin).map(|(line, _)| line).collect();
                for line in lines {
                    self.hang_up(line, Cause::new(200, "hung up at the button"));
                }
            }
        }
    }

    /// Runs the first rule whose hours match.
    pub(super) fn run_trigger(&mut self, trigger: &Trigger, origin: Origin) {
        let Some(rule) = trigger.rules.iter().find(|rule| self.hours_match(rule.hours.as_ref())) else { return };
        for step in &rule.steps {
            if !step.after.is_zero() {
                let at = self.now.at + step.after;
                self.delay(Delayed { at, action: step.action.clone(), origin });
            } else if self.run_action(&step.action, origin) == Flow::Stop {
                return;
            }
        }
    }

    /// While the clock is not synchronised a rule with hours does not match.
    pub(super) fn hours_match(&self, hours: Option<&Hours>) -> bool {
        hours.is_none_or(|hours| self.now.local.is_some_and(|local| hours.contain(local)))
    }

    pub(super) fn run_action(&mut self, action: &Action, origin: Origin) -> Flow {
        match action {
            Action::Call(call) => {
                let result = self.start_hunt(origin, call);
                self.tell_refusal(origin, result);
            }
            Action::Answer => {
                if let Some(line) = self.ringing_line() {
                    self.answer(line);
                    return Flow::Stop;
                }
            }
            Action::Hangup(HangupTarget::All) => self.hang_up_all("hung up by a rule"),
            Action::Hangup(HangupTarget::Line(line)) => {
                if let Ok(line) = usize::try_from(*line) {
                    self.hang_up_line(line, "hung up by a rule");
                }
            }
            Action::Output { output, change } => self.change_output(*output, *change),
            Action::Play(sound) => self.play(*sound, false),
            Action::Volume(volume) => self.volume = *volume,
            Action::Mute(muted) => self.muted = *muted,
        }
        Flow::Continue
    }

    fn tell_refusal(&mut self, origin: Origin, result: Result<(), Refusal>) {
        if let (Err(refusal), Origin::Button(index)) = (result, origin) {
            let button = self.config.buttons.get(index).map(|button| button.name.clone()).unwrap_or_default();
            self.fact(Fact::PressRefused { button, reason: refusal.to_string() });
        }
    }

    /// Hangs one line up; the rest of its list is not tried.
    pub(super) fn hang_up_line(&mut self, line: usize, words: &str) {
        if let Some(id) = self.lines.call(line).and_then(|call| call.hunt) {
            for hunt in self.hunts.iter_mut().filter(|hunt| hunt.id == id) {
                hunt.cancelled = true;
            }
        }
        self.hang_up(line, Cause::new(200, words));
    }

    /// The line of a call that somebody here may answer.
    pub(super) fn ringing_line(&self) -> Option<usize> {
        self.lines.calls().find(|(_, call)| matches!(call.phase, Phase::Incoming { .. })).map(|(line, _)| line)
    }

    /// Drives an output. A strike that opens is heard on both sides.
    pub(super) fn change_output(&mut self, OutputIndex(index): OutputIndex, change: OutputChange) {
        let config = Arc::clone(&self.config);
        let (Some(pin), Some(output)) = (config.outputs.get(index), self.outputs.get_mut(index)) else { return };
        if self.shutting_down && change != OutputChange::Off {
            return;
        }
        let was_on = output.is_on();
        output.change(&pin.kind, change, self.now.at);
        let opened = !was_on && output.is_on() && matches!(pin.kind, OutputKind::Relay { .. });
        if opened {
            self.play(Sound::DoorOpen, true);
        }
    }
}

/// Whether the steps behind an action run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Stop,
}
