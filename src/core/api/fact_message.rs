//! Facts as messages for people, in one line each.

use super::by::called;
use super::call_state::{CallState, Direction};
use super::fact::Fact;
use crate::config::{CallMode, PlayTo};

impl std::fmt::Display for Fact {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = match self {
            Self::Session { state, reason } => format!("session {state}{}", because(reason.as_ref())),
            Self::Press { button, gesture, by } => {
                format!("button {button}: {}, {by}", format!("{gesture:?}").to_lowercase())
            }
            Self::Pin { name, fault: Some(fault) } => format!("pin of {name}: {fault}"),
            Self::Pin { name, fault: None } => format!("pin of {name} works"),
            Self::Sensor { sensor, opened } => format!("sensor {sensor} {}", if *opened { "opened" } else { "closed" }),
            Self::PressRefused { button, reason } => format!("button {button}: no call: {reason}"),
            Self::Door { door, state, by } => {
                let by = by.as_ref().map(|by| format!(", {by}")).unwrap_or_default();
                format!("door {door} {state}{by}")
            }
            Self::DoorRefused { door, reason } => format!("door {door}: no call: {reason}"),
            Self::Schedule { schedule } => format!("schedule {schedule}"),
            Self::ScheduleFault { schedule, fault: Some(fault) } => {
                format!("schedule {schedule}: nobody has taken the call: {fault}")
            }
            Self::ScheduleFault { schedule, fault: None } => format!("schedule {schedule}: the call was taken again"),
            Self::ScheduleRefused { schedule, reason } => format!("schedule {schedule}: no call: {reason}"),
            Self::SensorRefused { sensor, reason } => format!("sensor {sensor}: no call: {reason}"),
            Self::Code { .. } | Self::Reader { .. } | Self::ReaderRefused { .. } => self.of_a_reader(),
            Self::MissedCall { caller } => format!("missed call from {}", called(caller)),
            Self::Output { output, drive, by } => {
                format!("output {output} {}, {by}", format!("{drive:?}").to_lowercase())
            }
            Self::OutputRefused { reason, by, .. } => format!("output: {reason}; requested {by}"),
            Self::CallRefused { number, reason } => format!("call from {} refused: {reason}", called(number)),
            Self::IceServers { counts, fault: None } => format!("STUN and TURN servers of the server: {counts}"),
            Self::IceServers { fault: Some(fault), .. } => format!("STUN and TURN servers: {fault}"),
            Self::Clock { fault: Some(fault) } => fault.clone(),
            Self::Clock { fault: None } => "the clock agrees with the server's".into(),
            Self::Interface { interface, fault: Some(fault) } => format!("{interface}: {fault}"),
            Self::Interface { interface, fault: None } => format!("{interface}: works again"),
            Self::Protocol { problem } => format!("protocol: {problem}"),
            Self::Call { .. }
            | Self::Media { .. }
            | Self::Silence { .. }
            | Self::Repair { .. }
            | Self::ServerHears { .. }
            | Self::SlowLink { .. }
            | Self::NoTelephoneEvents { .. }
            | Self::Dtmf { .. }
            | Self::Talk { .. } => self.of_a_call(),
            Self::Alarm { .. }
            | Self::Play { .. }
            | Self::Custom { .. }
            | Self::Mute { .. }
            | Self::Mode { .. }
            | Self::Volume { .. }
            | Self::Command { .. }
            | Self::Audio { .. }
            | Self::Microphone { .. } => self.of_the_station(),
        };
        formatter.write_str(&message)
    }
}

impl Fact {
    /// The message of a fact about one call; empty for any other fact.
    fn of_a_call(&self) -> String {
        match self {
            Self::Call { .. } => self.call_message().unwrap_or_default(),
            Self::NoTelephoneEvents { call_id } => {
                format!("call {call_id}: the far end has no telephone events, so no code can be typed in it")
            }
            Self::Media { connected: true, .. } => "media connected".into(),
            Self::Media { connected: false, .. } => "media lost".into(),
            Self::Silence { call_id, missing: Some(missing) } => format!("call {call_id}: no sound, {missing}"),
            Self::Silence { call_id, missing: None } => format!("call {call_id}: sound again"),
            Self::Repair { call_id, step, outcome } => {
                format!("call {call_id}: media repair, {step}: {outcome}")
            }
            Self::ServerHears { receiving: true, .. } => "the server hears us".into(),
            Self::ServerHears { receiving: false, .. } => "the server does not hear us".into(),
            Self::SlowLink { line, lost, .. } => format!("line {line}: {lost} packets lost"),
            Self::Dtmf { matched: true, number, .. } => format!("code from {} accepted", called(number)),
            Self::Dtmf { locked_s: Some(seconds), number, .. } => {
                format!("wrong code from {}: codes are off for {seconds} s", called(number))
            }
            Self::Dtmf { locked: true, number, .. } => format!("wrong code from {}: codes are off", called(number)),
            Self::Dtmf { number, .. } => format!("wrong code from {}", called(number)),
            Self::Talk { mode, by, .. } => {
                let what = match mode {
                    CallMode::Talk => "sound both ways",
                    CallMode::Listen => "the far end hears this place and is not heard here",
                    CallMode::Announce => "the far end is heard here and hears nothing",
                };
                format!("{what}, {by}")
            }
            _ => String::new(),
        }
    }

    /// The message of a fact about a reader; empty for any other fact.
    fn of_a_reader(&self) -> String {
        match self {
            Self::Code { reader, code: Some(code), accepted: true, .. } => {
                format!("code of {code} accepted at {reader}")
            }
            Self::Code { reader, code: Some(code), .. } => {
                format!("code of {code} refused at {reader}: it does not count now")
            }
            Self::Code { reader, locked_s: Some(seconds), .. } => {
                format!("wrong code at {reader}: codes are off for {seconds} s")
            }
            Self::Code { reader, locked: true, .. } => format!("wrong code at {reader}: codes are off"),
            Self::Code { reader, .. } => format!("wrong code at {reader}"),
            Self::Reader { reader, fault: Some(fault) } => format!("reader {reader}: {fault}"),
            Self::Reader { reader, fault: None } => format!("reader {reader} works"),
            Self::ReaderRefused { reader, reason } => format!("reader {reader}: no call: {reason}"),
            _ => String::new(),
        }
    }

    /// The message of a fact about sound, settings and commands; empty for any other fact.
    fn of_the_station(&self) -> String {
        match self {
            Self::Alarm { state, by } => format!("alarm {state}, {by}"),
            Self::Play { sound, to, by } => {
                let whom = match to {
                    PlayTo::Near => "here",
                    PlayTo::Far => "to the far end",
                    PlayTo::Both => "here and to the far end",
                };
                format!("plays {sound} {whom}, {by}")
            }
            Self::Custom { text, by } => format!("{text}, {by}"),
            Self::Mute { muted: true, by } => format!("microphone off, {by}"),
            Self::Mute { muted: false, by } => format!("microphone on, {by}"),
            Self::Mode { mode, on, by } => format!("mode {mode} {}, {by}", if *on { "on" } else { "off" }),
            Self::Volume { volume, by } => format!("volume {volume}, {by}"),
            Self::Command { command, by } => format!("{command}, {by}"),
            Self::Audio { ready: true, .. } => "sound card ready".into(),
            Self::Audio { reason, .. } => format!("sound card fault{}", because(reason.as_ref())),
            Self::Microphone { fault: Some(fault) } => fault.to_string(),
            Self::Microphone { fault: None } => "the microphone works".into(),
            _ => String::new(),
        }
    }

    /// How a call stands or ended; `None` for any other fact.
    fn call_message(&self) -> Option<String> {
        let Self::Call { line, direction, number, state, cause, by, .. } = self else { return None };
        let way = if *direction == Direction::Outgoing { "to" } else { "from" };
        let end = cause.as_ref().map(|cause| {
            let why = cause.unanswered.map(|why| format!("{why}, ")).unwrap_or_default();
            format!(": {why}{cause}")
        });
        let (number, end) = (called(number), end.unwrap_or_default());
        // Who called is reported once, when the call begins. Who started an incoming call is its number.
        let by = if *state == CallState::Dialing { format!(", {by}") } else { String::new() };
        let state = if cause.is_some() { "call ended".to_owned() } else { state.to_string() };
        Some(format!("line {line}: {state} {way} {number}{end}{by}"))
    }
}

fn because(reason: Option<&String>) -> String {
    reason.map(|message| format!(": {message}")).unwrap_or_default()
}
