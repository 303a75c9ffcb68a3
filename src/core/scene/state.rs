//! The sound card, volume and mute, and the scene that follows from them and from the calls.

use serde::{Deserialize, Serialize};

use super::setting::{Setting, Until};
use crate::config::SecondCall;
use crate::core::api::{AudioEvent, AudioStatus, By, Effect, Fact, Lasting, MicrophoneFault, Scene};
use crate::core::calls::Calls;
use crate::core::context::Context;
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;

/// The sound card, the changed settings, and the last scene.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::core) struct SceneState {
    card_is_ready: bool,
    card_fault: Option<String>,
    microphone_fault: Option<MicrophoneFault>,
    volume: Setting<u8>,
    muted: Setting<bool>,
    told: Scene,
}

/// What has changed with a report of the sound card.
pub(in crate::core) struct CardChange {
    /// The card works from now on. Nothing that was played before was heard.
    pub(in crate::core) came: bool,
    pub(in crate::core) fact: Option<Fact>,
}

impl SceneState {
    pub(in crate::core) fn new() -> Self {
        Self {
            card_is_ready: false,
            card_fault: None,
            microphone_fault: None,
            volume: Setting::default(),
            muted: Setting::default(),
            // No real scene has this volume, so the first scene always differs from it.
            told: Scene { volume: u8::MAX, ..Scene::default() },
        }
    }

    /// Handles a report of the sound card. A fault that only changes its reason is shown in the status, but it is not a
    /// fact.
    pub(in crate::core) fn audio_event(&mut self, event: AudioEvent) -> CardChange {
        let (ready, fault) = match event {
            AudioEvent::Ready => (true, None),
            AudioEvent::Fault(message) => (false, Some(message)),
            AudioEvent::Microphone(fault) => {
                let changed = std::mem::replace(&mut self.microphone_fault, fault) != fault;
                return CardChange { came: false, fact: changed.then_some(Fact::Microphone { fault }) };
            }
        };
        self.microphone_fault = None;
        let came = ready && !self.card_is_ready;
        let changed = (ready, fault.is_some()) != (self.card_is_ready, self.card_fault.is_some());
        self.card_is_ready = ready;
        self.card_fault.clone_from(&fault);
        CardChange { came, fact: changed.then_some(Fact::Audio { ready, reason: fault }) }
    }

    /// Sets the volume for a while. Returns for how long; `None` if it is the configured one.
    pub(in crate::core) fn change_volume(
        &mut self,
        volume: u8,
        keep: bool,
        in_a_call: bool,
        by: &By,
        cx: &mut Context,
    ) -> Option<Lasting> {
        let until = Until::new(keep, in_a_call, cx.now.at);
        let volume = volume.min(100);
        self.volume.change(volume, until, cx.configured_volume());
        cx.fact(Fact::Volume { volume, by: by.clone() });
        self.volume.lasting()
    }

    /// Switches the microphone off or on, for a while. Returns for how long; `None` if it is on, which is the default.
    pub(in crate::core) fn change_mute(
        &mut self,
        muted: bool,
        keep: bool,
        in_a_call: bool,
        by: &By,
        cx: &mut Context,
    ) -> Option<Lasting> {
        let until = Until::new(keep, in_a_call, cx.now.at);
        self.muted.change(muted, until, false);
        cx.fact(Fact::Mute { muted, by: by.clone() });
        self.muted.lasting()
    }

    /// The configured volume has changed. It replaces a volume that was set for a while.
    pub(in crate::core) fn reset_volume(&mut self) {
        self.volume.reset();
    }

    pub(in crate::core) fn card_is_ready(&self) -> bool {
        self.card_is_ready
    }

    pub(in crate::core) fn has_fault(&self) -> bool {
        self.card_fault.is_some()
    }

    /// Ends the changed settings whose time is over.
    pub(in crate::core) fn settle_settings(&mut self, in_a_call: bool, now: Time) {
        self.volume.settle(in_a_call, now);
        self.muted.settle(in_a_call, now);
    }

    /// Queues the scene as an effect if it has changed.
    pub(in crate::core) fn settle(&mut self, calls: &Calls, cx: &mut Context) {
        let scene = self.compose(calls, cx);
        if scene != self.told {
            self.told = scene.clone();
            cx.push(Effect::Scene(scene));
        }
    }

    pub(in crate::core) fn next_deadline(&self) -> Option<Deadline> {
        let ends = [self.volume.deadline(), self.muted.deadline()].into_iter().flatten();
        Deadline::earliest(ends.map(|at| Deadline::new(at, DeadlineReason::SettingEnds)))
    }

    pub(in crate::core) fn status(&self, cx: &Context) -> AudioStatus {
        AudioStatus {
            ready: self.card_is_ready,
            fault: self.card_fault.clone(),
            microphone_fault: self.microphone_fault.map(|fault| fault.to_string()),
            volume: self.volume.value(cx.configured_volume()),
            volume_changed: self.volume.lasting(),
            muted: self.muted.value(false),
            mute_changed: self.muted.lasting(),
            playing: None,
        }
    }

    fn compose(&self, calls: &Calls, cx: &Context) -> Scene {
        let heard = calls.scene_calls();
        Scene {
            mixed: cx.config.calls.second_call == SecondCall::Mix && heard.len() > 1,
            tone: calls.tone(),
            calls: heard,
            volume: self.volume.value(cx.configured_volume()).max(calls.answer_tone_volume(cx.now.at)),
            // Nobody who is in trouble may go unheard.
            muted: self.muted.value(false) && !calls.alarm_is_up(),
        }
    }
}
