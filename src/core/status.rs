//! The typed snapshot behind `callbox status --json`.

use serde::{Deserialize, Serialize};

use super::call::{Call, CallState, Direction};
use super::cause::Cause;
use super::contact::Contact;
use super::fact::{MissingSound, RepairStep};
use super::input::{AnyPin, Pin};
use super::proof::Proof;
use super::session::{SessionCounters, SessionState};
use super::setting::Lasting;
use super::station::Station;
use crate::config::{Drive, OutputIndex};

/// Everything a person asks first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Status {
    /// The session with the server.
    pub session: SessionStatus,
    /// Lines in their order.
    pub lines: Vec<LineStatus>,
    /// The sound card.
    pub audio: AudioStatus,
    /// Relays and LEDs.
    pub outputs: Vec<OutputStatus>,
    /// Names of the buttons, and whether each is down.
    pub buttons: Vec<PinStatus>,
    /// Names of the sensors, and whether each is active.
    pub sensors: Vec<PinStatus>,
    /// Calls that came while no line was free.
    pub missed_calls: u64,
    /// Calls that were declined.
    #[serde(default)]
    pub refused_calls: u64,
    /// Why the last call ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<EndStatus>,
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EndStatus {
    /// Which call.
    pub call_id: String,
    /// Why.
    pub cause: Cause,
}

/// The session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SessionStatus {
    /// Where it stands.
    pub state: SessionState,
    /// The address of the server in use, by its place in `core.url`.
    pub server: usize,
    /// Two clients take the session from each other.
    pub ping_pong: bool,
    /// In words, where something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since the start of the process.
    pub counters: SessionCounters,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LineStatus {
    /// Its number.
    pub line: u32,
    /// Its state.
    pub state: CallState,
    /// Its call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallStatus>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CallStatus {
    /// The call.
    pub call_id: String,
    /// Who started it.
    pub direction: Direction,
    /// The far end's number.
    pub number: String,
    /// The far end's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Seconds since it began.
    pub age_s: u64,
    /// Seconds since it is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talk_s: Option<u64>,
    /// ICE and DTLS are up.
    pub media_connected: bool,
    /// The server's word that it hears us.
    #[serde(rename = "core_hears_us", default, skip_serializing_if = "Option::is_none")]
    pub server_hears_us: Option<bool>,
    /// The repair that is in work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairing: Option<RepairStep>,
    /// The direction that is silent though ICE is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<MissingSound>,
    /// We hold.
    pub held: bool,
    /// The far end holds.
    pub far_end_holds: bool,
    /// Whether digits can come as telephone events (RFC 4733); absent until that is negotiated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telephone_events: Option<bool>,
    /// Codes are configured, and no digit of this call can reach them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub codes_unreachable: bool,
    /// Candidates of the far end that cannot be used and were left out.
    #[serde(default)]
    pub unusable_candidates: u32,
}

/// The sound card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AudioStatus {
    /// Capture and playback run.
    pub ready: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What is wrong with the microphone of a card that works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microphone_fault: Option<String>,
    /// Loudspeaker, 0 to 100.
    pub volume: u8,
    /// How long the loudspeaker is not as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_changed: Option<Lasting>,
    /// The microphone is silent.
    pub muted: bool,
    /// How long the microphone is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute_changed: Option<Lasting>,
}

/// One output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OutputStatus {
    /// Its name.
    pub name: String,
    /// `relay` or `led`.
    pub kind: String,
    /// What it does.
    pub drive: Drive,
    /// Why its pin cannot be driven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// One input pin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PinStatus {
    /// Its name.
    pub name: String,
    /// Pressed, or open.
    pub active: bool,
    /// Why it cannot be read, or that it is stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Changes of its level since the start.
    pub edges: u64,
    /// Pulses that did not last `debounce_ms`; where the kernel debounces nobody sees them.
    pub bounces: u64,
    /// The kernel debounces.
    pub debounced_by_kernel: bool,
}

impl Station {
    /// The state of everything, at the last input.
    pub fn status(&self) -> Status {
        Status {
            session: SessionStatus {
                state: self.session.state(),
                server: self.session.server().0,
                ping_pong: self.session.is_ping_pong(self.now.at),
                reason: self.session.reason().map(str::to_owned),
                counters: self.session.counters,
            },
            lines: self.line_status(),
            audio: AudioStatus {
                ready: self.audio_ready,
                fault: self.audio_fault.clone(),
                microphone_fault: self.microphone_fault.map(|fault| fault.to_string()),
                volume: self.volume.value(self.config.audio.volume),
                volume_changed: self.volume.lasting(),
                muted: self.muted.value(false),
                mute_changed: self.muted.lasting(),
            },
            outputs: self
                .config
                .outputs
                .iter()
                .zip(&self.outputs)
                .enumerate()
                .map(|(index, (pin, output))| OutputStatus {
                    fault: self.pin_faults.told(AnyPin::Output(OutputIndex(index))),
                    name: pin.name.clone(),
                    kind: match pin.kind {
                        crate::config::OutputKind::Relay { .. } => "relay".into(),
                        crate::config::OutputKind::Led { .. } => "led".into(),
                    },
                    drive: output.drive(),
                })
                .collect(),
            buttons: self
                .config
                .buttons
                .iter()
                .zip(&self.buttons)
                .enumerate()
                .map(|(index, (button, input))| self.pin_status(Pin::Button(index), &button.name, &input.contact))
                .collect(),
            sensors: self
                .config
                .sensors
                .iter()
                .zip(&self.sensors)
                .enumerate()
                .map(|(index, (sensor, contact))| self.pin_status(Pin::Sensor(index), &sensor.name, contact))
                .collect(),
            missed_calls: self.missed_calls,
            refused_calls: self.refused_calls,
            last_end: self
                .last_end
                .as_ref()
                .map(|(call_id, cause)| EndStatus { call_id: call_id.0.clone(), cause: cause.clone() }),
        }
    }

    fn pin_status(&self, pin: Pin, name: &str, contact: &Contact) -> PinStatus {
        let (edges, bounces) = contact.statistics();
        PinStatus {
            name: name.to_owned(),
            active: contact.is_active(),
            fault: self.pin_faults.told(AnyPin::Input(pin)),
            edges,
            bounces,
            debounced_by_kernel: contact.is_debounced_by_kernel(),
        }
    }

    /// Codes are configured, none of them is listened for in the sound, and the call has no telephone events.
    pub(super) fn codes_unreachable(&self, call: &Call) -> bool {
        let codes = &self.config.dtmf;
        call.telephone_events == Some(false) && !codes.is_empty() && !codes.iter().any(|code| code.in_band)
    }

    fn line_status(&self) -> Vec<LineStatus> {
        (0..self.lines.len())
            .map(|index| {
                let call = self.lines.call(index);
                LineStatus {
                    line: u32::try_from(index).unwrap_or(u32::MAX),
                    state: call.map_or(CallState::Idle, super::call::Call::state),
                    call: call.map(|call| CallStatus {
                        call_id: call.id.0.clone(),
                        direction: call.direction,
                        number: call.number.clone(),
                        name: call.display_name.clone(),
                        age_s: self.now.at.since(call.started_at).as_secs(),
                        talk_s: call.established_at.map(|at| self.now.at.since(at).as_secs()),
                        media_connected: call.connected,
                        server_hears_us: call.server_hears_us,
                        repairing: call.proof().and_then(Proof::repairing),
                        silent: call.proof().and_then(Proof::missing),
                        held: call.held,
                        far_end_holds: call.far_end_holds,
                        telephone_events: call.telephone_events,
                        codes_unreachable: self.codes_unreachable(call),
                        unusable_candidates: call.unusable_candidates,
                    }),
                }
            })
            .collect()
    }
}
