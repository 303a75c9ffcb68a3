//! Applies the events of the server to the calls.

use super::call::{Call, Phase, Update};
use super::control::CallControl;
use super::liveness::LivenessEvent;
use crate::config::Line;
use crate::core::api::{Cause, Direction, Fact, MediaCommand};
use crate::core::session::Rejection;
use crate::secret::Sdp;
use crate::signaling::{CallId, Event, EventBody, RequestBody, TransactionId, Trickle, response_code, sip_status};
use crate::sip_address::caller;

impl CallControl<'_> {
    pub(super) fn event(&mut self, event: Event) {
        let line = event.line;
        if let Some(call_id) = event.call_id.clone() {
            self.call_event(line, call_id, event);
        } else if matches!(event.body, EventBody::IncomingCall(_)) {
            let problem = "a call came without its call id: it can be neither answered nor declined";
            self.cx.protocol_problem(problem);
        } else if let Some(line) = line {
            self.line_event(line, event);
        } else if let EventBody::Error { code, reason } = &event.body {
            self.cx.protocol_problem(format!("session error {code} {reason}"));
        } else if let EventBody::MissedCall { caller, .. } = &event.body {
            self.missed(caller);
        } else if self.session.is_registered() {
            self.release_waiting_hunts();
        }
    }

    fn missed(&mut self, address: &str) {
        self.calls.missed_calls += 1;
        self.cx.fact(Fact::MissedCall { caller: caller(address, &self.cx.config.core.sip_domains) });
    }

    fn line_event(&mut self, line: Line, event: Event) {
        match event.body {
            EventBody::IceTrickle { candidate: Trickle::Candidate(candidate) } => {
                let Some(call) = self.call_mut(line) else { return };
                match call.media {
                    Some(media) => self.media(media, MediaCommand::AddCandidate(candidate)),
                    // A caller trickles as soon as the call rings here.
                    None => call.keep_candidate(candidate),
                }
            }
            EventBody::IceHangup { .. } => {
                // The event may be about the previous call of this line.
                self.calls.lines.end_cooling(line);
                self.try_dial(line);
            }
            EventBody::IceMedia { kind, receiving, .. } if kind == "audio" => {
                let heard = self.call_mut(line).and_then(|call| {
                    let changed = call.server_hears_us.replace(receiving) != Some(receiving);
                    changed.then(|| call.id.0.clone())
                });
                if let Some(call_id) = heard {
                    self.cx.fact(Fact::ServerHears { call_id, receiving });
                    self.liveness(line, LivenessEvent::ServerHears(receiving));
                }
            }
            EventBody::IceSlowlink { media, uplink, lost, .. } if media == "audio" => {
                self.cx.fact(Fact::SlowLink { line, uplink, lost });
            }
            EventBody::Transfer { refer_id, .. } => {
                // A far end must not make the door call a number of its choice.
                if let Some(id) = self.call(line).map(|call| call.id.clone()) {
                    self.send(line, Some(id), RequestBody::Decline { refer_id: Some(refer_id) });
                }
            }
            EventBody::Error { code, reason } => {
                self.cx.protocol_problem(format!("line {line}: error {code} {reason}"));
            }
            _ => {}
        }
    }

    fn call_event(&mut self, line: Option<Line>, call_id: CallId, event: Event) {
        match event.body {
            EventBody::MissedCall { caller, .. } => return self.missed(&caller),
            EventBody::IncomingCall(invitation) => {
                // A server that names no line leaves the choice to us. If no line is free, we use line 0.
                let idle = || self.calls.lines.numbers().find(|line| self.call(*line).is_none());
                let line = line.or_else(idle).unwrap_or_default();
                self.invited(line, call_id, invitation);
                return;
            }
            _ => {}
        }
        let offers = matches!(&event.body, EventBody::UpdatingCall(invitation) if invitation.jsep.is_some());
        match self.calls.lines.find(&call_id) {
            // A call is identified by its call id, so an offer counts whatever line it names.
            Some(known) if offers || line.is_none_or(|line| line == known) => self.known_call_event(known, event),
            // This is another leg with the same call id, which we declined.
            Some(_) => {}
            None if matches!(event.body, EventBody::Hangup { .. }) => self.session.forget_call(&call_id),
            None if offers => {
                // The same happens to a call that only the handshake shows (docs/protocol.md, "Recovery after a
                // reconnect").
                self.cx.protocol_problem("a re-offer for a call that the station does not have: the call is hung up");
                self.send(line.unwrap_or_default(), Some(call_id), RequestBody::Hangup {});
            }
            None => {}
        }
    }

    pub(super) fn known_call_event(&mut self, line: Line, event: Event) {
        // The `ack` or the first event shows that the server knows the call, whichever comes first.
        // One that is ending needs no candidates: perhaps the server has no description of ours.
        let may_trickle = |call: &Call| !call.candidates.is_open() && call.is_known_to_server() && !call.is_ending();
        if self.call(line).is_some_and(may_trickle)
            && !matches!(event.body, EventBody::Hangup { .. } | EventBody::Error { .. })
        {
            self.open_trickle(line);
        }
        match event.body {
            EventBody::Ringing {} | EventBody::Proceeding { code: sip_status::RINGING } => self.alerting(line, None),
            EventBody::Progress { jsep, .. } => self.alerting(line, jsep.map(|jsep| jsep.sdp)),
            EventBody::Accepted { jsep, .. } => {
                self.accepted(line, event.transaction.as_ref(), jsep.map(|jsep| jsep.sdp));
            }
            EventBody::Updated { jsep } => {
                self.update_answered(line, event.transaction.as_ref(), jsep.map(|jsep| jsep.sdp));
            }
            EventBody::UpdatingCall(invitation) => {
                if let Some(jsep) = invitation.jsep {
                    self.reinvited(line, jsep.sdp);
                }
            }
            EventBody::Hangup { code, reason } => {
                if let Some(call_id) = self.call(line).map(|call| call.id.clone()) {
                    self.session.forget_call(&call_id);
                }
                self.finish(line, Cause::new(code, reason));
            }
            EventBody::Error { code, reason } => self.call_error(line, event.transaction.as_ref(), code, &reason),
            EventBody::Transfer { .. }
            | EventBody::IceTrickle { .. }
            | EventBody::IceHangup { .. }
            | EventBody::IceMedia { .. }
            | EventBody::IceSlowlink { .. } => self.line_event(line, Event { call_id: None, ..event }),
            _ => {}
        }
    }

    /// Handles `accepted`: the call is up, or an update of ours was accepted.
    fn accepted(&mut self, line: Line, transaction: Option<&TransactionId>, answer: Option<Sdp>) {
        let Some(call) = self.call(line) else { return };
        match (&call.phase, call.direction) {
            (Phase::Established { .. }, _) => self.update_answered(line, transaction, answer),
            (Phase::Dialing { .. } | Phase::Alerting { .. } | Phase::Answering { .. }, _) => {
                if let (Some(media), Some(answer)) = (call.media, answer) {
                    self.media(media, MediaCommand::ApplyAnswer { answer });
                }
                self.establish(line);
            }
            (Phase::Incoming { .. }, Direction::Incoming | Direction::Outgoing) | (Phase::Ending { .. }, _) => {}
        }
    }

    /// Handles `error` of a call (docs/workarounds.md, "janus: an accept that crosses a cancel is error 469").
    fn call_error(&mut self, line: Line, transaction: Option<&TransactionId>, code: i64, reason: &str) {
        let Some(call) = self.call(line) else { return };
        let gone = code == response_code::NO_SUCH_CALL
            || (matches!(code, sip_status::GONE | response_code::UNEXPECTED_ANSWER)
                && matches!(call.phase, Phase::Answering { .. }));
        if gone {
            let call_id = call.id.clone();
            return self.call_gone(&call_id, "the server no longer knows the call");
        }
        let of_update = matches!(&call.update, Update::Sent { transaction: sent, .. }
            if transaction.is_none_or(|transaction| transaction == sent));
        match call {
            Call { phase: Phase::Established { .. }, .. } if of_update => self.update_failed(line, code),
            Call { phase: Phase::Established { .. } | Phase::Ending { .. }, .. } => {
                self.cx.protocol_problem(format!("error {code} {reason} in a call that goes on"));
            }
            Call { phase: Phase::Dialing { .. }, .. } => {
                self.dial_rejected(line, &Rejection { code, reason: reason.to_owned() });
            }
            _ => self.hang_up(line, Cause::new(code, reason)),
        }
    }
}
