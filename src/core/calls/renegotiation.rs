//! Renegotiation of media: our own `update` requests, and the re-INVITEs of the far end.

use std::time::Duration;

use super::call::{Phase, Update};
use super::control::CallControl;
use super::liveness::LivenessEvent;
use crate::config::Line;
use crate::core::api::MediaCommand;
use crate::core::time::Time;
use crate::secret::Sdp;
use crate::signaling::{TransactionId, sip_status};

/// If two updates met, ours is sent again after a random wait between these two (RFC 3261, section 14.1).
const COLLISION_WAIT: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(9));

impl CallControl<'_> {
    /// Renegotiates the media of a call with new ICE credentials.
    pub(super) fn restart_ice(&mut self, line: Line) {
        let Some(call) = self.call_mut(line) else { return };
        let Some(media) = call.media else { return };
        if !call.is_established() || matches!(call.update, Update::Preparing | Update::Sent { .. }) {
            return;
        }
        call.update = Update::Preparing;
        self.media(media, MediaCommand::RestartIce);
    }

    /// Answers a re-INVITE of the far end. If an update of ours is in flight, it gives way and is sent again later.
    pub(super) fn reinvited(&mut self, line: Line, offer: Sdp) {
        let retry = self.after_collision();
        let Some(call) = self.call_mut(line) else { return };
        match &mut call.phase {
            // Nobody has answered the first offer yet. The newer one replaces it.
            Phase::Incoming { offer: waiting, .. } => {
                *waiting = Some(offer);
                return;
            }
            // An event may overtake the confirmation of our answer.
            Phase::Established { .. } | Phase::Answering { sent: true, .. } => {}
            // This is UPDATE before the call is up (RFC 3311). Our first offer has its answer already.
            Phase::Alerting { early_media: true, .. } => {}
            // Our first offer has no answer yet, or our answer is still being made. The far end has to offer again.
            Phase::Dialing { .. } | Phase::Alerting { .. } | Phase::Answering { .. } => {
                let problem = "a re-offer came before the first description was answered: it is ignored";
                self.cx.protocol_problem(problem);
                return;
            }
            Phase::Ending { .. } => return,
        }
        if matches!(call.update, Update::Preparing | Update::Sent { .. }) {
            call.update = Update::RetryAt(retry);
            self.liveness(line, LivenessEvent::Collision { retry_at: retry });
        }
        // After too many collisions the repair may have replaced the peer connection, so it is looked up again.
        if let Some(media) = self.call(line).and_then(|call| call.media) {
            self.media(media, MediaCommand::AnswerUpdate { offer });
        }
    }

    pub(super) fn update_answered(&mut self, line: Line, transaction: Option<&TransactionId>, answer: Option<Sdp>) {
        let Some(call) = self.call_mut(line) else { return };
        let ours = match &call.update {
            Update::Sent { transaction: sent, .. } => transaction.is_none_or(|transaction| transaction == sent),
            _ => false,
        };
        if !ours {
            return;
        }
        if let (Some(answer), Some(media)) = (answer, call.media) {
            call.update = Update::Idle;
            self.media(media, MediaCommand::ApplyAnswer { answer });
            self.liveness(line, LivenessEvent::Negotiated);
        }
    }

    pub(super) fn update_failed(&mut self, line: Line, code: i64) {
        let retry = self.after_collision();
        let Some(call) = self.call_mut(line) else { return };
        if code == sip_status::REQUEST_PENDING {
            call.update = Update::RetryAt(retry);
            self.liveness(line, LivenessEvent::Collision { retry_at: retry });
            self.liveness(line, LivenessEvent::SilentCallCollision { retry_at: retry });
        } else {
            call.update = Update::Idle;
            self.liveness(line, LivenessEvent::Refused);
        }
        self.cx.protocol_problem(format!("update refused with {code}"));
    }

    /// When an update of ours that met one of the far end may be sent again.
    pub(super) fn after_collision(&mut self) -> Time {
        self.cx.now.at + self.cx.random.between(COLLISION_WAIT.0, COLLISION_WAIT.1)
    }

    /// Retries an update of ours if its time has come, and gives up one that has taken too long.
    pub(super) fn run_update_deadline(&mut self, line: Line) {
        let now = self.cx.now.at;
        let Some(call) = self.call_mut(line) else { return };
        let needed = matches!(&call.phase, Phase::Established { liveness, .. } if liveness.repairing().is_some());
        match call.update {
            Update::RetryAt(at) if now >= at => {
                call.update = Update::Idle;
                if needed {
                    self.restart_ice(line);
                }
            }
            // A repair has a deadline of its own.
            Update::Sent { deadline, .. } if now >= deadline => call.update = Update::Idle,
            _ => {}
        }
    }
}
