//! What a restarted process knows about the calls of the previous process.

use super::call::{Call, Hold, Phase};
use super::state::Calls;
use crate::config::{ButtonIndex, Config};
use crate::core::api::{By, Origin, RememberedCall, Source};
use crate::signaling::CallId;

impl Calls {
    /// Takes over what the previous process remembered, before the first input.
    pub(in crate::core) fn recall(&mut self, calls: Vec<RememberedCall>) {
        self.recalled = calls;
    }

    /// What the next process must know. The calls of the previous process are part of it until the server has said
    /// which of them still exist.
    pub(in crate::core) fn remembered(&self, config: &Config) -> Vec<RememberedCall> {
        let calls = self.lines.calls().filter_map(|(_, call)| remembered(call, config));
        self.recalled.iter().cloned().chain(calls).collect()
    }

    /// Removes a call of the previous process, and returns what was remembered of it.
    pub(super) fn take_recalled(&mut self, call_id: &CallId) -> Option<RememberedCall> {
        let index = self.recalled.iter().position(|call| call.call_id == *call_id)?;
        Some(self.recalled.swap_remove(index))
    }
}

fn remembered(call: &Call, config: &Config) -> Option<RememberedCall> {
    let Phase::Established { talk_ends_at, .. } = call.phase else { return None };
    let button = match call.origin.source {
        Source::Button(ButtonIndex(index)) => config.buttons.get(index).map(|button| button.name.clone()),
        _ => None,
    };
    Some(RememberedCall {
        call_id: call.id.clone(),
        direction: call.direction,
        number: call.number.clone(),
        mode: call.mode,
        button,
        established_at: call.established_at.unwrap_or(call.started_at),
        talk_ends_at,
        held: call.is_held(),
        held_for_other: call.hold == Hold::ForOtherCall,
        ring: call.ring,
        wrong_codes: call.code_entry.wrong_codes,
        redial: call.redial,
        alarm: call.assurance.alarm,
        confirm: call.assurance.confirm,
    })
}

/// The origin of a call that was started by the button with this name, if there is one.
pub(super) fn origin_named(button: Option<&str>, config: &Config) -> Origin {
    let named = |name| config.buttons.iter().position(|button| button.name == name);
    origin_of(button.and_then(named), config)
}

/// The origin of an outgoing call if nobody remembers who started it: the first button that calls this number, because
/// its visitor probably stands at the door.
pub(super) fn origin_calling(number: &str, config: &Config) -> Origin {
    origin_of(config.buttons.iter().position(|button| button.calls(number)), config)
}

fn origin_of(button: Option<usize>, config: &Config) -> Origin {
    match button.and_then(|index| Some((index, config.buttons.get(index)?))) {
        Some((index, button)) => {
            Origin { source: Source::Button(ButtonIndex(index)), by: By::Finger { button: button.name.clone() } }
        }
        None => Origin { source: Source::FarEnd, by: By::Station },
    }
}
