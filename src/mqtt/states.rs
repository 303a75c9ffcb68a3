//! The states of a station as messages.

use super::entities::{Entities, What};
use super::topics::Topics;
use crate::control::{FullStatus, faults};
use crate::core::{CallState, Direction, DoorState, Drive, SessionState};

/// The topic and the message of every state.
pub(super) fn states(status: &FullStatus, entities: &Entities, topics: &Topics) -> Vec<(String, String)> {
    let state = |what: &What| state(status, what);
    entities.iter().filter_map(|entity| Some((topics.state(&entity.topic), state(&entity.what)?))).collect()
}

/// The state of a thing; `None` if it has none.
fn state(status: &FullStatus, what: &What) -> Option<String> {
    let station = &status.station;
    match what {
        What::Button { .. } | What::Relay { momentary: true, .. } => None,
        What::Sensor { name, .. } => station.sensors.iter().find(|pin| pin.name == *name).map(|pin| on_off(pin.active)),
        What::Door { name } => {
            station.doors.iter().find(|door| door.name == *name).map(|door| on_off(door.state != DoorState::Closed))
        }
        What::Relay { name, .. } => {
            station.outputs.iter().find(|output| output.name == *name).map(|output| on_off(output.drive == Drive::On))
        }
        What::Mode { name } => station.modes.iter().find(|mode| mode.name == *name).map(|mode| on_off(mode.on)),
        What::Mute => Some(on_off(station.audio.muted)),
        What::Volume => Some(station.audio.volume.to_string()),
        What::CallState => Some(call_state(status).to_owned()),
        What::LastCaller => Some(last_caller(status)),
        What::LastEnd => Some(status.recent_calls.first().map_or("none", |call| call.result.word()).to_owned()),
        What::Connectivity => Some(on_off(station.session.state == SessionState::Registered)),
        What::Problem => Some(on_off(!faults(status).is_empty())),
    }
}

fn on_off(on: bool) -> String {
    if on { "ON" } else { "OFF" }.to_owned()
}

/// The call that a person would look at: the one that is furthest.
fn call_state(status: &FullStatus) -> &'static str {
    let rank = |state: CallState| match state {
        CallState::Idle => 0,
        CallState::Ending => 1,
        CallState::Held => 2,
        CallState::Dialing => 3,
        CallState::Alerting => 4,
        CallState::Incoming | CallState::Answering => 5,
        CallState::Established => 6,
    };
    let lines = status.station.lines.iter().map(|line| line.state);
    match lines.max_by_key(|state| rank(*state)).unwrap_or(CallState::Idle) {
        CallState::Idle => "idle",
        CallState::Dialing => "dialing",
        CallState::Alerting => "alerting",
        CallState::Incoming | CallState::Answering => "incoming",
        CallState::Established => "established",
        CallState::Held => "held",
        CallState::Ending => "ending",
    }
}

/// Who called the station last: a call that is up, or else the last one.
fn last_caller(status: &FullStatus) -> String {
    let calls = status.station.lines.iter().filter_map(|line| line.call.as_ref());
    let now = calls.filter(|call| call.direction == Direction::Incoming).map(|call| &call.number).next();
    let before = status.recent_calls.iter().find(|call| call.direction == Direction::Incoming).map(|call| &call.number);
    let number = now.or(before).map_or("none", |number| crate::core::called(number));
    // Home Assistant takes states of at most 255 characters.
    crate::plain_text::shortened(number)
}
