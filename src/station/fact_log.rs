//! Facts in the log, once each.

use crate::core::{AlarmState, DoorState, Fact};

/// Writes a fact to the log, at the level of its importance: a message for people, and fields for programs. The names of
/// the fields begin with `fact.`; a terminal does not show them.
pub(super) fn log(fact: &Fact) {
    match fact {
        Fact::Session { state, .. } => tracing::info!(fact.state = %state, "{fact}"),
        Fact::Press { button, gesture, by } => {
            tracing::info!(fact.button = button, fact.gesture = ?gesture, fact.by = %by, "{fact}");
        }
        Fact::Sensor { sensor, opened } => tracing::info!(fact.sensor = sensor, fact.opened = opened, "{fact}"),
        Fact::Pin { name, fault: Some(_) } => tracing::warn!(fact.pin = name, "{fact}"),
        Fact::Pin { name, fault: None } => tracing::info!(fact.pin = name, "{fact}"),
        Fact::PressRefused { .. } | Fact::DoorRefused { .. } | Fact::SensorRefused { .. } => log_refused(fact),
        Fact::Door { door, state: DoorState::Forced | DoorState::Held, .. } => {
            tracing::warn!(fact.door = door, "{fact}")
        }
        Fact::Door { door, .. } => tracing::info!(fact.door = door, "{fact}"),
        Fact::Schedule { .. } | Fact::ScheduleFault { .. } | Fact::ScheduleRefused { .. } => log_schedule(fact),
        Fact::NoTelephoneEvents { call_id } => tracing::warn!(fact.call_id = call_id, "{fact}"),
        Fact::Call { call_id, line, direction, number, state, cause, by, .. } => {
            let code = cause.as_ref().map_or(0, |cause| cause.code);
            tracing::info!(fact.call_id = call_id, fact.line = line.0, fact.direction = ?direction, fact.number = number.as_str(), fact.state = ?state, fact.code = code, fact.by = %by, "{fact}");
        }
        Fact::Media { call_id, connected } => {
            tracing::info!(fact.call_id = call_id, fact.connected = connected, "{fact}")
        }
        Fact::Silence { call_id, missing: Some(missing) } => {
            tracing::warn!(fact.call_id = call_id, fact.missing = ?missing, "{fact}")
        }
        Fact::Silence { call_id, missing: None } => tracing::info!(fact.call_id = call_id, "{fact}"),
        Fact::Repair { call_id, step, outcome } => {
            tracing::warn!(fact.call_id = call_id, fact.step = ?step, fact.outcome = ?outcome, "{fact}");
        }
        Fact::ServerHears { call_id, receiving } => {
            tracing::info!(fact.call_id = call_id, fact.receiving = receiving, "{fact}")
        }
        Fact::SlowLink { line, uplink, lost } => {
            tracing::warn!(fact.line = line.0, fact.uplink = uplink, fact.lost = lost, "{fact}")
        }
        Fact::MissedCall { caller } => tracing::info!(fact.caller = caller.as_str(), "{fact}"),
        Fact::Dtmf { call_id, number, matched, locked, .. } => log_code(fact, call_id, number, *matched, *locked),
        Fact::Code { .. } | Fact::Reader { .. } | Fact::ReaderRefused { .. } => log_reader(fact),
        Fact::Output { output, drive, by } => {
            tracing::info!(fact.output = output, fact.drive = ?drive, fact.by = %by, "{fact}");
        }
        Fact::OutputRefused { output, by, .. } => tracing::warn!(fact.output = output, fact.by = %by, "{fact}"),
        Fact::Alarm { .. }
        | Fact::Play { .. }
        | Fact::Custom { .. }
        | Fact::Talk { .. }
        | Fact::Mute { .. }
        | Fact::Mode { .. }
        | Fact::Volume { .. }
        | Fact::Command { .. } => log_caused(fact),
        Fact::CallRefused { number, .. } => tracing::info!(fact.number = number.as_str(), "{fact}"),
        Fact::Audio { ready: true, .. } => tracing::info!(fact.ready = true, "{fact}"),
        Fact::Microphone { fault: Some(_) }
        | Fact::IceServers { fault: Some(_), .. }
        | Fact::Clock { fault: Some(_) } => tracing::warn!("{fact}"),
        Fact::Microphone { .. } | Fact::IceServers { .. } | Fact::Clock { .. } => tracing::info!("{fact}"),
        Fact::Audio { ready: false, .. } => tracing::warn!(fact.ready = false, "{fact}"),
        Fact::Protocol { .. } => tracing::warn!(fact.protocol = true, "{fact}"),
    }
}

/// A code of a far end, without its digits. A wrong one is a warning.
fn log_code(fact: &Fact, call_id: &str, number: &str, matched: bool, locked: bool) {
    if matched {
        tracing::info!(fact.call_id = call_id, fact.number = number, fact.matched = matched, "{fact}");
    } else {
        tracing::warn!(
            fact.call_id = call_id,
            fact.number = number,
            fact.matched = matched,
            fact.locked = locked,
            "{fact}"
        );
    }
}

/// What somebody has done or caused, beside calls and doors.
fn log_caused(fact: &Fact) {
    match fact {
        Fact::Alarm { state: AlarmState::Ended, by } => tracing::info!(fact.alarm = "ended", fact.by = %by, "{fact}"),
        Fact::Alarm { state, by } => tracing::warn!(fact.alarm = %state, fact.by = %by, "{fact}"),
        Fact::Play { sound, by, .. } => tracing::info!(fact.sound = sound, fact.by = %by, "{fact}"),
        Fact::Custom { text, by } => tracing::info!(fact.text = text, fact.by = %by, "{fact}"),
        Fact::Talk { call_id, mode, by } => {
            tracing::info!(fact.call_id = call_id, fact.mode = ?mode, fact.by = %by, "{fact}");
        }
        Fact::Mute { muted, by } => tracing::info!(fact.muted = muted, fact.by = %by, "{fact}"),
        Fact::Mode { mode, on, by } => tracing::info!(fact.mode = mode, fact.on = on, fact.by = %by, "{fact}"),
        Fact::Volume { volume, by } => tracing::info!(fact.volume = volume, fact.by = %by, "{fact}"),
        Fact::Command { command, by } => tracing::info!(fact.command = command, fact.by = %by, "{fact}"),
        _ => {}
    }
}

fn log_schedule(fact: &Fact) {
    match fact {
        Fact::Schedule { schedule } => tracing::info!(fact.schedule = schedule, "{fact}"),
        Fact::ScheduleFault { schedule, fault: Some(_) } => tracing::warn!(fact.schedule = schedule, "{fact}"),
        Fact::ScheduleFault { schedule, fault: None } => tracing::info!(fact.schedule = schedule, "{fact}"),
        Fact::ScheduleRefused { schedule, .. } => tracing::warn!(fact.schedule = schedule, "{fact}"),
        _ => {}
    }
}

/// What happens at a reader. The code itself is in no log.
fn log_reader(fact: &Fact) {
    match fact {
        Fact::Code { reader, code, accepted: true, .. } => {
            let code = code.as_ref().map_or("", |code| code.as_str());
            tracing::info!(fact.reader = reader, fact.code = code, fact.accepted = true, "{fact}");
        }
        Fact::Code { reader, locked, .. } => {
            tracing::warn!(fact.reader = reader, fact.accepted = false, fact.locked = locked, "{fact}");
        }
        Fact::Reader { reader, fault: None } => tracing::info!(fact.reader = reader, "{fact}"),
        Fact::Reader { reader, .. } | Fact::ReaderRefused { reader, .. } => {
            tracing::warn!(fact.reader = reader, "{fact}");
        }
        _ => {}
    }
}

/// What did not become a call.
fn log_refused(fact: &Fact) {
    match fact {
        Fact::PressRefused { button, .. } => tracing::warn!(fact.button = button, "{fact}"),
        Fact::DoorRefused { door, .. } => tracing::warn!(fact.door = door, "{fact}"),
        Fact::SensorRefused { sensor, .. } => tracing::warn!(fact.sensor = sensor, "{fact}"),
        _ => {}
    }
}
