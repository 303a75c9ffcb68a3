//! What is heard and shown: functions of the station's state.

use crate::config::{OutputKind, SecondCall, ShownState, Sound};

use super::call::{Call, Phase};
use super::effect::{Scene, SceneCall};
use super::station::Station;

impl Station {
    /// The microphone is open only in calls that are up.
    pub(super) fn compose_scene(&self) -> Scene {
        let calls: Vec<SceneCall> = self.lines.calls().filter_map(|(line, call)| self.scene_call(line, call)).collect();
        let up = self.lines.active().any(|(_, call)| call.is_established() && !call.held);
        Scene {
            mixed: self.config.calls.second_call == SecondCall::Mix && calls.len() > 1,
            tone: if up { None } else { self.tone() },
            calls,
            volume: self.volume.value(self.config.audio.volume).max(self.sign_volume()),
            muted: self.muted.value(false),
        }
    }

    fn scene_call(&self, line: usize, call: &Call) -> Option<SceneCall> {
        let media = call.media?;
        match call.phase {
            Phase::Established { .. } if !call.held && !call.far_end_holds => {
                Some(SceneCall::established(media, self.mode_of(line)))
            }
            Phase::Alerting { early_media: true, .. } => {
                Some(SceneCall { media, microphone: false, loudspeaker: true })
            }
            _ => None,
        }
    }

    fn tone(&self) -> Option<Sound> {
        self.lines.calls().find_map(|(_, call)| match call.phase {
            Phase::Alerting { early_media: false, .. } => Some(Sound::Ringback),
            Phase::Incoming { answer_at: None, .. } => Some(Sound::Ring),
            _ => None,
        })
    }

    /// The states that LEDs may show, most urgent first.
    pub(super) fn shown_states(&self) -> Vec<ShownState> {
        let door_open = self
            .config
            .outputs
            .iter()
            .zip(&self.outputs)
            .any(|(pin, output)| matches!(pin.kind, OutputKind::Relay { .. }) && output.is_on());
        let talking = self.lines.active().any(|(_, call)| call.is_established());
        let calling = self.lines.active().any(|(_, call)| !call.is_established())
            || self.hunts.iter().any(|hunt| hunt.waits_until.is_some());
        let fault = !self.session.is_registered() || self.audio_fault.is_some() || self.has_pin_fault();
        [
            (door_open, ShownState::DoorOpen),
            (talking, ShownState::Talking),
            (calling, ShownState::Calling),
            (fault, ShownState::Fault),
            (!fault, ShownState::Ready),
        ]
        .into_iter()
        .filter_map(|(holds, state)| holds.then_some(state))
        .collect()
    }
}
