//! `update` requests of our own, and re-INVITEs of the far end.

use std::time::Duration;

use super::call::{Phase, Update};
use super::control::CallControl;
use super::liveness::LivenessEvent;
use crate::config::Line;
use crate::core::api::MediaCommand;
use crate::core::time::Time;
use crate::signaling::{TransactionId, sip_status};

/// After two updates met, ours is sent again after a random wait between these (RFC 3261, section 14.1).
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

    /// re-INVITE of the far end. Ours, if one is out, gives way and comes again.
    pub(super) fn reinvited(&mut self, line: Line, offer: String) {
        let retry = self.after_collision();
        let Some(call) = self.call_mut(line) else { return };
        match &mut call.phase {
            // Nobody has answered the first one yet: the newer one will be.
            Phase::Incoming { offer: waiting, .. } => {
                *waiting = Some(offer);
                return;
            }
            // An event may overtake the confirmation of our answer.
            Phase::Established { .. } | Phase::Answering { sent: true, .. } => {}
            // UPDATE before the call is up (RFC 3311), once our first offer has its answer.
            Phase::Alerting { early_media: true, .. } => {}
            // Our own offer is still out, or our answer in the making: it has to come again.
            Phase::Dialing { .. } | Phase::Alerting { .. } | Phase::Answering { .. } => {
                let problem = "a re-offer came before the first description was answered: it is left out";
                self.cx.protocol_problem(problem);
                return;
            }
            Phase::Ending { .. } => return,
        }
        if matches!(call.update, Update::Preparing | Update::Sent { .. }) {
            call.update = Update::RetryAt(retry);
            self.liveness(line, LivenessEvent::Collision { retry_at: retry });
        }
        // The delay may have been one too many, and the peer connection another one since.
        if let Some(media) = self.call(line).and_then(|call| call.media) {
            self.media(media, MediaCommand::AnswerUpdate { offer });
        }
    }

    pub(super) fn update_answered(&mut self, line: Line, transaction: Option<&TransactionId>, answer: Option<String>) {
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

    /// When an update of ours that met one of the far end comes again.
    pub(super) fn after_collision(&mut self) -> Time {
        self.cx.now.at + self.cx.random.between(COLLISION_WAIT.0, COLLISION_WAIT.1)
    }

    /// A renegotiation of our own: when it may be tried again, or has taken too long.
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
