//! What a restarted process must know of its former life: the calls that are up, and the goodbyes
//! that nobody took. Kept in the runtime directory, which a power cut empties.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::access::WrongCodes;
use super::by::By;
use super::call::{Call, Direction, Origin, Phase, Source};
use super::station::Station;
use super::time::Time;
use super::transactions::Farewell;
use crate::config::CallMode;
use crate::signaling::CallId;

/// See [`super::Effect::Remember`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Calls that are up.
    pub calls: Vec<RememberedCall>,
    /// Hangups and declines without an `ack`.
    pub farewells: Vec<Farewell>,
    /// Who has typed wrong codes. This outlives a power cut, too.
    #[serde(default)]
    pub wrong_codes: Vec<WrongCodes>,
}

/// A call that was up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RememberedCall {
    /// The call.
    pub call_id: CallId,
    /// Who started it.
    pub direction: Direction,
    /// The far end's number.
    pub number: String,
    /// Which directions carry sound.
    pub mode: CallMode,
    /// The button that started it.
    pub button: Option<String>,
    /// When it came up, on a clock that outlives the process.
    pub established_at: Time,
    /// When its talk time ends, on the same clock.
    pub talk_ends_at: Time,
    /// We hold.
    pub held: bool,
    /// By `second_call`, so that it is taken up again by itself.
    pub held_for_other: bool,
    /// How long it was to ring, where the station called.
    pub ring: Option<Duration>,
    /// Wrong door codes so far.
    pub wrong_codes: u32,
    /// It is the redial of media proof: there is no other.
    pub redial: bool,
}

impl Station {
    /// Takes up what a former process remembered. Before the first input.
    pub fn recall(&mut self, memory: Memory) {
        for farewell in memory.farewells {
            self.session.remember_farewell(farewell);
        }
        self.recalled = memory.calls;
        self.access.recall(memory.wrong_codes, self.now.at);
    }

    pub(super) fn compose_memory(&self) -> Memory {
        // Until the server has said which of them live, the old ones stay.
        let recalled = self.recalled.iter().cloned();
        let calls = self.lines.calls().filter_map(|(_, call)| self.remembered(call));
        Memory {
            calls: recalled.chain(calls).collect(),
            farewells: self.session.farewells().to_vec(),
            wrong_codes: self.access.remembered(),
        }
    }

    fn remembered(&self, call: &Call) -> Option<RememberedCall> {
        let Phase::Established { talk_ends_at, .. } = call.phase else { return None };
        let button = match call.origin.source {
            Source::Button(index) => self.config.buttons.get(index).map(|button| button.name.clone()),
            Source::Sensor(_) | Source::Station | Source::FarEnd => None,
        };
        Some(RememberedCall {
            call_id: call.id.clone(),
            direction: call.direction,
            number: call.number.clone(),
            mode: call.mode,
            button,
            established_at: call.established_at.unwrap_or(call.started_at),
            talk_ends_at,
            held: call.held,
            held_for_other: call.held_for_other,
            ring: call.ring,
            wrong_codes: call.code_entry.wrong_codes,
            redial: call.redial,
        })
    }

    /// Forgets a former call, and tells what was known of it.
    pub(super) fn take_recalled(&mut self, call_id: &CallId) -> Option<RememberedCall> {
        let index = self.recalled.iter().position(|call| call.call_id == *call_id)?;
        Some(self.recalled.swap_remove(index))
    }

    /// Of a call that this button made, or nobody here.
    pub(super) fn origin_named(&self, button: Option<&str>) -> Origin {
        let named = |name| self.config.buttons.iter().position(|button| button.name == name);
        self.origin_of(button.and_then(named))
    }

    /// Where nobody remembers who made a call: the first button that calls this number, for it is its visitor
    /// who stands at the door.
    pub(super) fn origin_calling(&self, number: &str) -> Origin {
        self.origin_of(self.config.buttons.iter().position(|button| button.calls(number)))
    }

    fn origin_of(&self, button: Option<usize>) -> Origin {
        match button.and_then(|index| Some((index, self.config.buttons.get(index)?))) {
            Some((index, button)) => {
                Origin { source: Source::Button(index), by: By::Finger { button: button.name.clone() } }
            }
            None => Origin { source: Source::FarEnd, by: By::Station },
        }
    }
}
