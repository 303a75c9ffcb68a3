//! Does for the media of a call what [`super::liveness`] decides.

use super::call::{Call, Phase, Update};
use super::control::CallControl;
use super::liveness::{Liveness, LivenessEvent, Repair, Report, Surroundings};
use crate::config::{CallAction, Line, LineChoice, Outcomes, Sound, Trigger};
use crate::core::api::{Cause, Direction, Fact, MediaCommand, RepairOutcome, RepairStep};
use crate::core::time::Time;
use crate::mutant::{Mutant, mutant};
use crate::secret::Sdp;
use crate::signaling::sip_status;

impl CallControl<'_> {
    /// Passes an event to the media liveness of an established call, reports what follows, and does what it decides.
    pub(super) fn liveness(&mut self, line: Line, event: LivenessEvent) {
        let (now, session_is_up) = (self.cx.now.at, self.session.is_up());
        let Some(call) = self.call_mut(line) else { return };
        let seen = Surroundings {
            connected: call.connected,
            on_hold: call.is_on_hold(),
            session_is_up,
            may_update: call.update == Update::Idle,
        };
        let Phase::Established { liveness, .. } = &mut call.phase else { return };
        let repair = liveness.handle(event, seen, now);
        let reports = liveness.take_reports();
        let call_id = call.id.0.clone();
        for report in reports {
            let call_id = call_id.clone();
            self.cx.fact(match report {
                Report::Silence(missing) => Fact::Silence { call_id, missing },
                Report::Repair(step, outcome) => Fact::Repair { call_id, step, outcome },
            });
        }
        if let Some(repair) = repair {
            self.repair(line, repair);
        }
    }

    fn repair(&mut self, line: Line, repair: Repair) {
        match repair {
            Repair::RestartIce => self.restart_ice(line),
            Repair::ReplacePeerConnection => self.replace_media(line),
            Repair::RedialOrEnd => self.redial_or_end(line),
            Repair::End => self.give_up(line),
            Repair::Renegotiate => self.renegotiate(line),
            Repair::UpdateAt(at) => self.set_update(line, Update::RetryAt(at)),
            Repair::AwaitSession => {
                if let Some(call) = self.call_mut(line) {
                    call.connected = false;
                }
            }
        }
    }

    /// ICE and DTLS are up, or lost.
    pub(super) fn media_connected(&mut self, line: Line, connected: bool) {
        let Some(call) = self.call_mut(line) else { return };
        let changed = std::mem::replace(&mut call.connected, connected) != connected;
        if changed {
            let call_id = call.id.0.clone();
            self.cx.fact(Fact::Media { call_id, connected });
        }
        if connected {
            // An ICE restart that never lost the old pair ends here as well.
            self.liveness(line, LivenessEvent::Connected);
        } else if changed {
            self.liveness(line, LivenessEvent::Lost);
        }
    }

    /// DTLS of the call is over. No sound passes any more, whatever ICE reports.
    pub(super) fn media_closed(&mut self, line: Line) {
        let Some(call) = self.call_mut(line) else { return };
        if std::mem::replace(&mut call.connected, false) {
            let call_id = call.id.0.clone();
            self.cx.fact(Fact::Media { call_id, connected: false });
        }
        self.liveness(line, LivenessEvent::Closed);
    }

    /// The call comes back from hold.
    pub(super) fn liveness_starts_again(&mut self, line: Line) {
        let unheard = self.call(line).is_some_and(|call| call.server_hears_us == Some(false));
        self.liveness(line, LivenessEvent::Resumed { unheard });
    }

    /// An address of this machine is gone.
    pub(super) fn address_lost(&mut self, line: Line) {
        self.liveness(line, LivenessEvent::AddressLost);
    }

    /// An offer of the far end was lost with the socket. It is answered first, and our own offer follows if that does
    /// not help.
    pub(super) fn answer_before_repair(&mut self, line: Line, offer: Sdp) {
        let retry_at = self.after_collision();
        self.reinvited(line, offer);
        self.liveness(line, LivenessEvent::SessionBackWithOffer { retry_at });
    }

    /// Renegotiates a call that is connected but silent.
    fn renegotiate(&mut self, line: Line) {
        let Some(call) = self.call_mut(line) else { return };
        call.update = Update::Preparing;
        if let Some(media) = call.media {
            self.media(media, MediaCommand::Offer);
        }
    }

    /// Replaces the peer connection of a call by a new one.
    fn replace_media(&mut self, line: Line) {
        let media = self.new_media(MediaCommand::Offer);
        let Some(call) = self.call_mut(line) else { return };
        let old = call.media.replace(media);
        call.connected = false;
        call.candidates.clear();
        call.update = Update::Preparing;
        if let Some(old) = old {
            self.media(old, MediaCommand::Close);
        }
    }

    /// The last step: hangs up, and calls once more if the station was the caller.
    fn redial_or_end(&mut self, line: Line) {
        let Some(call) = self.call(line) else { return };
        // If there is another call, it serves the visitor, who does not need a redial.
        let alone = self.calls.lines.active().all(|(other, _)| other == line);
        let is_first = !call.redial || mutant(Mutant::EndlessRedial);
        let again = call.direction == Direction::Outgoing && is_first && alone && !self.cx.shutting_down;
        let (call_id, number, origin, ring) = (call.id.0.clone(), call.number.clone(), call.origin.clone(), call.ring);
        let assurance = call.assurance;
        if !again || assurance.alarm {
            return self.give_up(line);
        }
        self.cx.fact(Fact::Repair { call_id, step: RepairStep::Redial, outcome: RepairOutcome::Started });
        let hunt = self.call(line).and_then(|call| call.hunt).and_then(|id| self.calls.hunts.get_mut(id));
        let ended = hunt.map(|hunt| std::mem::take(&mut hunt.outcomes.ended)).unwrap_or_default();
        self.hang_up(line, Cause::new(sip_status::REQUEST_TIMEOUT, "no media, and no repair helped: redialling"));
        let mut action = CallAction::to(number, LineChoice::Any, ring);
        action.assurance = assurance;
        // Somebody had taken the call. So whatever becomes of it now is its end.
        action.outcomes =
            Outcomes { answered: Trigger::default(), no_answer: ended.clone(), failed: ended.clone(), ended };
        self.cx.play(Sound::Connecting, false);
        self.redial(&origin, &action);
    }

    fn give_up(&mut self, line: Line) {
        if let Some(alarm) = self.call(line).and_then(|call| call.alarm) {
            self.alarm_lost_its_call(line, alarm);
        }
        self.hang_up(line, Cause::new(sip_status::REQUEST_TIMEOUT, "no media: ICE found no way to the far end"));
        self.cx.play(Sound::NoConnection, false);
    }

    pub(super) fn set_update(&mut self, line: Line, update: Update) {
        if let Some(call) = self.call_mut(line) {
            call.update = update;
        }
    }
}

impl Call {
    /// The media liveness of a call that is established now.
    pub(super) fn new_liveness(&self, now: Time) -> Liveness {
        Liveness::new(self.connected, now)
    }
}
