//! What is wrong with a station, from its status: for the status page, `/healthz`, the metrics and MQTT.

use serde::{Deserialize, Serialize};

use super::protocol::{FullStatus, InterfaceStatus};
use crate::core::{DoorState, Interface, SessionState};

/// Something that does not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fault {
    /// What it is in: `session`, `sound`, `pin bell`.
    pub part: String,
    pub problem: String,
    pub remedy: String,
    /// A visitor, or a resident, is not served as long as it lasts.
    pub vital: bool,
}

impl Fault {
    fn new(part: impl Into<String>, problem: impl Into<String>, remedy: &str, vital: bool) -> Self {
        Self { part: part.into(), problem: problem.into(), remedy: remedy.into(), vital }
    }
}

/// All faults of a station, the vital ones first.
pub fn faults(status: &FullStatus) -> Vec<Fault> {
    let mut faults = Vec::new();
    session(status, &mut faults);
    sound(status, &mut faults);
    pins(status, &mut faults);
    house(status, &mut faults);
    faults.sort_by_key(|fault| !fault.vital);
    faults
}

fn session(status: &FullStatus, faults: &mut Vec<Fault>) {
    let session = &status.station.session;
    if session.state != SessionState::Registered {
        let reason = session.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let remedy = match session.state {
            SessionState::Refused => "check the account, or log in again: callbox login",
            SessionState::TakenOver => "find the other client of this account, or set core.takeover",
            SessionState::WaitingForTime => "let this machine set its clock (timedatectl)",
            SessionState::Unregistered => "ask the administrator of the telephony server about the account",
            _ => "callbox check --network says which step fails; the station keeps trying",
        };
        faults.push(Fault::new("session", format!("{}{reason}", session.state), remedy, true));
    }
    if session.ping_pong {
        let remedy = "give each station an account of its own";
        faults.push(Fault::new("session", "two clients keep taking the session from each other", remedy, true));
    }
    if let Some(fault) = &status.station.ice_servers.fault {
        let remedy = "callbox check --network tries each of them; the station keeps trying";
        faults.push(Fault::new("STUN and TURN servers", fault, remedy, false));
    }
    if let Some(fault) = &status.station.clock_fault {
        faults.push(Fault::new("clock", fault, "let this machine set its clock (timedatectl)", false));
    }
}

fn sound(status: &FullStatus, faults: &mut Vec<Fault>) {
    let audio = &status.station.audio;
    if let Some(fault) = &audio.fault {
        faults.push(Fault::new("sound card", fault, "callbox devices lists the cards; the station keeps trying", true));
    }
    if let Some(fault) = &audio.microphone_fault {
        faults.push(Fault::new("microphone", fault, "callbox audio test listens to it", true));
    }
}

fn pins(status: &FullStatus, faults: &mut Vec<Fault>) {
    let station = &status.station;
    let remedy = "check its wiring; callbox devices lists the pins";
    let inputs =
        station.buttons.iter().map(|pin| ("button", pin)).chain(station.sensors.iter().map(|pin| ("sensor", pin)));
    for (kind, pin) in inputs {
        if let Some(fault) = &pin.fault {
            faults.push(Fault::new(format!("{kind} {}", pin.name), fault, remedy, true));
        }
    }
    for output in &station.outputs {
        if let Some(fault) = &output.fault {
            faults.push(Fault::new(format!("output {}", output.name), fault, remedy, true));
        }
    }
    for reader in &station.readers {
        let part = || format!("reader {}", reader.name);
        if let Some(fault) = &reader.fault {
            faults.push(Fault::new(part(), fault, "plug it in; callbox devices lists the readers", true));
        }
        if let Some(seconds) = reader.locked_s {
            let problem = format!("its codes are off for {seconds} s, after wrong ones");
            faults.push(Fault::new(part(), problem, "somebody has tried codes there: look who", false));
        }
    }
}

fn house(status: &FullStatus, faults: &mut Vec<Fault>) {
    for schedule in &status.station.schedules {
        if let Some(fault) = &schedule.fault {
            let part = format!("schedule {}", schedule.name);
            let problem = format!("nobody has taken its last call: {fault}");
            faults.push(Fault::new(part, problem, "make sure that its number is staffed", false));
        }
    }
    for door in &status.station.doors {
        let problem = match door.state {
            DoorState::Forced => "was opened without a right",
            DoorState::Held => "is held open",
            DoorState::Open | DoorState::Opening | DoorState::Closed => continue,
        };
        faults.push(Fault::new(format!("door {}", door.name), problem, "look who is there, and close it", false));
    }
    for (interface, InterfaceStatus { fault, .. }) in status.interfaces() {
        let remedy = match interface {
            Interface::Http | Interface::Mqtt => "the station keeps trying",
            Interface::Hooks => "look whether the receiver runs",
        };
        faults.extend(fault.as_ref().map(|fault| Fault::new(interface.to_string(), fault, remedy, false)));
    }
}
