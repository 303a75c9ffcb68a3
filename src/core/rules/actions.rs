//! Actions: what a rule or a command can do (docs/configuration.md, "Actions").

use std::time::Duration;

use crate::config::{Action, HangupTarget, OutputChange, OutputIndex, Sound};
use crate::core::announcements::Announcements;
use crate::core::api::{By, Done, Fact, Lasting, Origin, Refusal};
use crate::core::calls::CallControl;
use crate::core::context::Context;
use crate::core::door::Door;
use crate::core::scene::SceneState;

/// The machines that actions and commands act on.
pub(in crate::core) struct Actions<'a> {
    pub(in crate::core) calls: CallControl<'a>,
    pub(in crate::core) door: &'a mut Door,
    pub(in crate::core) scene: &'a mut SceneState,
    pub(in crate::core) announcements: &'a mut Announcements,
}

/// Whether the steps after an action are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::core) enum Flow {
    Continue,
    Stop,
    /// They are run. The call of this action waits for the session, at most this long.
    Waits(Duration),
}

impl Actions<'_> {
    pub(in crate::core) fn cx(&mut self) -> &mut Context {
        self.calls.context()
    }

    /// Carries out one action.
    pub(in crate::core) fn carry_out(&mut self, action: &Action, origin: &Origin) -> Result<Flow, Refusal> {
        match action {
            Action::Call(call) => match self.calls.start_hunt(origin, call) {
                Ok(Done::Waits(patience)) => return Ok(Flow::Waits(patience)),
                Ok(_) => {}
                Err(refusal) => {
                    self.calls.report_no_call(origin.source, refusal.to_string());
                    self.calls.refused(call, origin, &refusal);
                    return Err(refusal);
                }
            },
            Action::Answer => {
                if let Some(line) = self.calls.ringing_line() {
                    self.calls.answer(line);
                    return Ok(Flow::Stop);
                }
            }
            Action::Hangup(HangupTarget::All) => self.calls.hang_up_all("hung up by a rule"),
            Action::Hangup(HangupTarget::Line(line)) => self.calls.hang_up_line(*line, "hung up by a rule"),
            Action::Output { output, change } => {
                // A refusal has been reported.
                let _ = self.change_output(*output, *change, &origin.by);
            }
            Action::Play(play) => {
                let now = self.cx().now.at;
                self.announcements.add(*play, &origin.by, now);
            }
            Action::Talk(mode) => self.calls.change_mode(*mode, &origin.by),
            Action::Hook(text) => self.cx().fact(Fact::Custom { text: text.clone(), by: origin.by.clone() }),
            Action::Volume(volume) => {
                self.change_volume(*volume, false, &origin.by);
            }
            Action::Mode { mode, change } => self.cx().change_mode(*mode, *change, &origin.by),
            Action::EndAlarm => self.calls.end_alarms(&origin.by),
            Action::Mute(muted) => {
                self.change_mute(*muted, false, &origin.by);
            }
        }
        Ok(Flow::Continue)
    }

    /// Sets the volume for a while. Returns for how long; `None` if it is the configured one.
    pub(super) fn change_volume(&mut self, volume: u8, keep: bool, by: &By) -> Option<Lasting> {
        let in_a_call = self.calls.any_active();
        self.scene.change_volume(volume, keep, in_a_call, by, self.calls.context())
    }

    /// Switches the microphone off or on, for a while. Returns for how long; `None` if it is on, which is the default.
    pub(super) fn change_mute(&mut self, muted: bool, keep: bool, by: &By) -> Option<Lasting> {
        let in_a_call = self.calls.any_active();
        self.scene.change_mute(muted, keep, in_a_call, by, self.calls.context())
    }

    /// Drives an output. When a relay goes on, both sides of a call hear the sound of an opened door.
    pub(super) fn change_output(&mut self, output: OutputIndex, change: OutputChange, by: &By) -> Result<(), Refusal> {
        if self.door.change_output(output, change, by, self.calls.context())? {
            self.cx().play(Sound::DoorOpen, true);
        }
        Ok(())
    }
}
