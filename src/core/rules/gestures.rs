//! From a press of a button to its trigger.

use std::sync::Arc;

use super::actions::Actions;
use crate::config::{Again, ButtonIndex, Sound, Trigger};
use crate::core::api::{By, Fact, Gesture, Source};
use crate::mutant::{Mutant, mutant};

impl Actions<'_> {
    /// A button was pressed, by a finger or by a command. Returns the trigger that must be run. A press of a button
    /// that has a call already follows `again` instead.
    pub(in crate::core) fn gesture(&mut self, button: ButtonIndex, gesture: Gesture, by: &By) -> Option<Trigger> {
        let config = Arc::clone(&self.cx().config);
        let ButtonIndex(index) = button;
        let configured = config.buttons.get(index)?;
        self.cx().fact(Fact::Press { button: configured.name.clone(), gesture, by: by.clone() });
        let trigger = match gesture {
            Gesture::Press => Some(&configured.press),
            Gesture::Long => configured.long_press.as_ref(),
            Gesture::Double => configured.double_press.as_ref(),
        }?;
        let source = Source::Button(button);
        if gesture == Gesture::Press && self.calls.has_call_of(source) {
            match configured.again {
                Again::Ignore if mutant(Mutant::SilentSecondPress) => {}
                Again::Ignore => self.cx().play(Sound::Connecting, false),
                // A second press must not end an alarm.
                Again::Hangup if self.calls.has_alarm_of(source) => self.cx().play(Sound::Connecting, false),
                Again::Hangup => self.calls.hang_up_of(source, "hung up at the button"),
            }
            return None;
        }
        Some(trigger.clone())
    }
}
