//! Facts in the log, once each.

use crate::core::{AlarmState, DoorState, Fact};

/// A fact as `callbox events --json` has it. The journal keeps it for `callbox history`.
struct Json<'a>(&'a Fact);

impl std::fmt::Display for Json<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&serde_json::to_string(self.0).map_err(|_| std::fmt::Error)?)
    }
}

/// An entry of the log about a fact, with the fact itself.
macro_rules! note {
    ($fact:expr, $($rest:tt)*) => { tracing::info!(fact.json = %Json($fact), $($rest)*) };
}
/// The same for a fact that somebody should look at.
macro_rules! warning {
    ($fact:expr, $($rest:tt)*) => { tracing::warn!(fact.json = %Json($fact), $($rest)*) };
}

/// Writes a fact to the log, at the level of its importance: a message for people, and fields for programs. The names of
/// the fields begin with `fact.`; a terminal does not show them.
pub(super) fn log(fact: &Fact) {
    match fact {
        Fact::Session { state, .. } => note!(fact, fact.state = %state, "{fact}"),
        Fact::Press { button, gesture, by } => {
            note!(fact, fact.button = button, fact.gesture = ?gesture, fact.by = %by, "{fact}");
        }
        Fact::Sensor { sensor, opened } => note!(fact, fact.sensor = sensor, fact.opened = opened, "{fact}"),
        Fact::Pin { name, fault: Some(_) } => warning!(fact, fact.pin = name, "{fact}"),
        Fact::Pin { name, fault: None } => note!(fact, fact.pin = name, "{fact}"),
        Fact::PressRefused { .. } | Fact::DoorRefused { .. } | Fact::SensorRefused { .. } => log_refused(fact),
        Fact::Door { door, state: DoorState::Forced | DoorState::Held, .. } => {
            warning!(fact, fact.door = door, "{fact}")
        }
        Fact::Door { door, .. } => note!(fact, fact.door = door, "{fact}"),
        Fact::Schedule { .. } | Fact::ScheduleFault { .. } | Fact::ScheduleRefused { .. } => log_schedule(fact),
        Fact::NoTelephoneEvents { call_id } => warning!(fact, fact.call_id = call_id, "{fact}"),
        Fact::Call { call_id, line, direction, number, state, cause, by, .. } => {
            let code = cause.as_ref().map_or(0, |cause| cause.code);
            note!(fact, fact.call_id = call_id, fact.line = line.0, fact.direction = ?direction, fact.number = number.as_str(), fact.state = ?state, fact.code = code, fact.by = %by, "{fact}");
        }
        Fact::Media { call_id, connected } => {
            note!(fact, fact.call_id = call_id, fact.connected = connected, "{fact}")
        }
        Fact::Silence { call_id, missing: Some(missing) } => {
            warning!(fact, fact.call_id = call_id, fact.missing = ?missing, "{fact}")
        }
        Fact::Silence { call_id, missing: None } => note!(fact, fact.call_id = call_id, "{fact}"),
        Fact::Repair { call_id, step, outcome } => {
            warning!(fact, fact.call_id = call_id, fact.step = ?step, fact.outcome = ?outcome, "{fact}");
        }
        Fact::ServerHears { call_id, receiving } => {
            note!(fact, fact.call_id = call_id, fact.receiving = receiving, "{fact}")
        }
        Fact::SlowLink { line, uplink, lost } => {
            warning!(fact, fact.line = line.0, fact.uplink = uplink, fact.lost = lost, "{fact}")
        }
        Fact::MissedCall { caller } => note!(fact, fact.caller = caller.as_str(), "{fact}"),
        Fact::Dtmf { call_id, number, matched, locked, .. } => log_code(fact, call_id, number, *matched, *locked),
        Fact::Code { .. } | Fact::Reader { .. } | Fact::ReaderRefused { .. } => log_reader(fact),
        Fact::Output { output, drive, by } => {
            note!(fact, fact.output = output, fact.drive = ?drive, fact.by = %by, "{fact}");
        }
        Fact::OutputRefused { output, by, .. } => warning!(fact, fact.output = output, fact.by = %by, "{fact}"),
        Fact::Alarm { .. }
        | Fact::Play { .. }
        | Fact::Custom { .. }
        | Fact::Talk { .. }
        | Fact::Mute { .. }
        | Fact::Mode { .. }
        | Fact::Volume { .. }
        | Fact::Command { .. } => log_caused(fact),
        Fact::CallRefused { number, .. } => note!(fact, fact.number = number.as_str(), "{fact}"),
        Fact::Audio { ready: true, .. } => note!(fact, fact.ready = true, "{fact}"),
        Fact::Microphone { .. } | Fact::IceServers { .. } | Fact::Interface { .. } | Fact::Clock { .. } => {
            log_fault(fact)
        }
        Fact::Audio { ready: false, .. } => warning!(fact, fact.ready = false, "{fact}"),
        Fact::Protocol { .. } => warning!(fact, fact.protocol = true, "{fact}"),
    }
}

/// A code of a far end, without its digits. A wrong one is a warning.
fn log_code(fact: &Fact, call_id: &str, number: &str, matched: bool, locked: bool) {
    if matched {
        note!(fact, fact.call_id = call_id, fact.number = number, fact.matched = matched, "{fact}");
    } else {
        warning!(
            fact,
            fact.call_id = call_id,
            fact.number = number,
            fact.matched = matched,
            fact.locked = locked,
            "{fact}"
        );
    }
}

/// A fault of something, or its end.
fn log_fault(fact: &Fact) {
    match fact {
        Fact::Microphone { fault: Some(_) }
        | Fact::IceServers { fault: Some(_), .. }
        | Fact::Interface { fault: Some(_), .. }
        | Fact::Clock { fault: Some(_) } => warning!(fact, "{fact}"),
        _ => note!(fact, "{fact}"),
    }
}

/// What somebody has done or caused, beside calls and doors.
fn log_caused(fact: &Fact) {
    match fact {
        Fact::Alarm { state: AlarmState::Ended, by } => note!(fact, fact.alarm = "ended", fact.by = %by, "{fact}"),
        Fact::Alarm { state, by } => warning!(fact, fact.alarm = %state, fact.by = %by, "{fact}"),
        Fact::Play { sound, by, .. } => note!(fact, fact.sound = sound, fact.by = %by, "{fact}"),
        Fact::Custom { text, by } => note!(fact, fact.text = text, fact.by = %by, "{fact}"),
        Fact::Talk { call_id, mode, by } => {
            note!(fact, fact.call_id = call_id, fact.mode = ?mode, fact.by = %by, "{fact}");
        }
        Fact::Mute { muted, by } => note!(fact, fact.muted = muted, fact.by = %by, "{fact}"),
        Fact::Mode { mode, on, by } => note!(fact, fact.mode = mode, fact.on = on, fact.by = %by, "{fact}"),
        Fact::Volume { volume, by } => note!(fact, fact.volume = volume, fact.by = %by, "{fact}"),
        Fact::Command { command, by } => note!(fact, fact.command = command, fact.by = %by, "{fact}"),
        _ => {}
    }
}

fn log_schedule(fact: &Fact) {
    match fact {
        Fact::Schedule { schedule } => note!(fact, fact.schedule = schedule, "{fact}"),
        Fact::ScheduleFault { schedule, fault: Some(_) } => warning!(fact, fact.schedule = schedule, "{fact}"),
        Fact::ScheduleFault { schedule, fault: None } => note!(fact, fact.schedule = schedule, "{fact}"),
        Fact::ScheduleRefused { schedule, .. } => warning!(fact, fact.schedule = schedule, "{fact}"),
        _ => {}
    }
}

/// What happens at a reader. The code itself is in no log.
fn log_reader(fact: &Fact) {
    match fact {
        Fact::Code { reader, code, accepted: true, .. } => {
            let code = code.as_ref().map_or("", |code| code.as_str());
            note!(fact, fact.reader = reader, fact.code = code, fact.accepted = true, "{fact}");
        }
        Fact::Code { reader, locked, .. } => {
            warning!(fact, fact.reader = reader, fact.accepted = false, fact.locked = locked, "{fact}");
        }
        Fact::Reader { reader, fault: None } => note!(fact, fact.reader = reader, "{fact}"),
        Fact::Reader { reader, .. } | Fact::ReaderRefused { reader, .. } => {
            warning!(fact, fact.reader = reader, "{fact}");
        }
        _ => {}
    }
}

/// What did not become a call.
fn log_refused(fact: &Fact) {
    match fact {
        Fact::PressRefused { button, .. } => warning!(fact, fact.button = button, "{fact}"),
        Fact::DoorRefused { door, .. } => warning!(fact, fact.door = door, "{fact}"),
        Fact::SensorRefused { sensor, .. } => warning!(fact, fact.sensor = sensor, "{fact}"),
        _ => {}
    }
}
