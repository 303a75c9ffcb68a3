//! What the server says, applied to the calls.

use std::time::Duration;

use crate::signaling::{CallId, Event, EventBody, RequestBody, Trickle, response_code};

use super::call::{Call, Direction, Phase, Update};
use super::cause::Cause;
use super::effect::{Effect, MediaCommand};
use super::fact::Fact;
use super::session::{News, Rejection};
use super::station::Station;
use super::time::Time;
use super::transactions::Pending;

/// After two updates met: wait at random between these (`protocol.md`, 491).
const GLARE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(9));

/// Both sides updated at once (RFC 3261, 14.1).
const REQUEST_PENDING: i64 = 491;

impl Station {
    pub(super) fn take_news(&mut self, news: Vec<News>) {
        for item in news {
            match item {
                News::Up(state) => self.recover(*state),
                News::Down => self.session_lost(),
                News::Answered(pending, result) => self.answered(&pending, result),
                News::TimedOut(pending) => self.timed_out(&pending),
                News::Event(event) => self.event(*event),
            }
        }
    }

    /// Calls live on without their session; what waits for a response does not.
    fn session_lost(&mut self) {
        let (now, press_max_age) = (self.now.at, self.config.calls.press_max_age);
        for line in 0..self.lines.len() {
            let Some(call) = self.lines.call_mut(line) else { continue };
            if matches!(call.update, Update::Preparing | Update::Sent { .. }) {
                call.update = Update::Idle;
            }
            if let Phase::Dialing { sent: false, deadline } = &mut call.phase {
                // As a press made offline.
                *deadline = (*deadline).min(now.max(call.started_at + press_max_age));
            }
            if call.is_ending() {
                // Its farewell is remembered by the session.
                self.finish(line, Cause::new(200, "ended while offline"));
            }
        }
    }

    pub(super) fn call_gone(&mut self, call_id: &CallId, words: &str) {
        self.session.forget_call(call_id);
        if let Some(line) = self.lines.find(call_id) {
            self.finish(line, Cause::new(481, words));
        }
    }

    fn answered(&mut self, pending: &Pending, result: Result<(), Rejection>) {
        let Some(line) = self.line_of(pending) else { return };
        // The decline of a transfer says nothing of the call that goes on.
        let ending = self.lines.call(line).is_some_and(Call::is_ending);
        match (pending.name.as_str(), result) {
            ("outgoing_call", Ok(())) => self.open_trickle(line),
            ("outgoing_call", Err(rejection)) => self.dial_rejected(line, &rejection),
            ("accept", Err(rejection)) => self.accept_rejected(line, &rejection),
            ("hangup" | "decline", Ok(())) if ending => self.close_media(line),
            ("hangup" | "decline", Err(_)) if ending => self.finish(line, Cause::new(200, "ended")),
            ("update", Err(rejection)) if pending.is_offer && rejection.code != response_code::NO_SUCH_CALL => {
                // One of an earlier step says nothing of the step in work.
                let newest = self.lines.call(line).is_some_and(|call| {
                    matches!(&call.update, Update::Sent { transaction, .. } if *transaction == pending.transaction)
                });
                if newest {
                    self.update_failed(line, rejection.code);
                }
            }
            (_, Err(rejection)) => self.request_rejected(line, pending, &rejection),
            (_, Ok(())) => {}
        }
    }

    /// The line of a request's call, where it is still the same: a call to ourselves has one call id
    /// on two lines.
    fn line_of(&self, pending: &Pending) -> Option<usize> {
        let line = usize::try_from(pending.line?).ok()?;
        (self.lines.call(line)?.id == *pending.call_id.as_ref()?).then_some(line)
    }

    fn request_rejected(&mut self, line: usize, pending: &Pending, rejection: &Rejection) {
        if rejection.code == response_code::NO_SUCH_CALL
            && let Some(call_id) = &pending.call_id
        {
            self.call_gone(call_id, "the server no longer knows the call");
            return;
        }
        if pending.name == "hold"
            && let Some(call) = self.lines.call_mut(line)
        {
            call.held = false;
            call.held_for_other = false;
        }
        let problem = format!("{} refused: {} {}", pending.name, rejection.code, rejection.reason);
        self.fact(Fact::Protocol { problem });
    }

    /// A lost `ack` is not a failed request: the next event or handshake tells.
    fn timed_out(&mut self, pending: &Pending) {
        let Some(line) = self.line_of(pending) else { return };
        let ending = self.lines.call(line).is_some_and(Call::is_ending);
        if ending && matches!(pending.name.as_str(), "hangup" | "decline") {
            self.finish(line, Cause::new(408, "the server did not confirm our hangup"));
        }
    }

    fn event(&mut self, event: Event) {
        let line = event.line.and_then(|line| usize::try_from(line).ok());
        if let Some(call_id) = event.call_id.clone() {
            self.call_event(line, call_id, event);
        } else if matches!(event.body, EventBody::IncomingCall(_)) {
            let problem = "a call came without its call id: it can be neither answered nor declined";
            self.fact(Fact::Protocol { problem: problem.into() });
        } else if let Some(line) = line {
            self.line_event(line, event);
        } else if let EventBody::Error { code, reason } = &event.body {
            self.fact(Fact::Protocol { problem: format!("session error {code} {reason}") });
        } else if let EventBody::MissedCall { caller, .. } = &event.body {
            self.missed(caller);
        } else if self.session.is_registered() {
            self.release_waiting_hunts();
        }
    }

    fn missed(&mut self, caller: &str) {
        self.missed_calls += 1;
        self.fact(Fact::MissedCall { caller: crate::sip_address::caller(caller, &self.config.core.sip_domains) });
    }

    fn line_event(&mut self, line: usize, event: Event) {
        match event.body {
            EventBody::IceTrickle { candidate: Trickle::Candidate(candidate) } => {
                if let Some(media) = self.lines.call(line).and_then(|call| call.media) {
                    self.push(Effect::Media(media, MediaCommand::AddCandidate(candidate)));
                }
            }
            EventBody::IceHangup { .. } => {
                // It may speak of the call before the one that is there now.
                if let Some(line) = self.lines.get_mut(line) {
                    line.cooling_until = None;
                }
                self.try_dial(line);
            }
            EventBody::IceMedia { kind, receiving, .. } if kind == "audio" => {
                let heard = self.lines.call_mut(line).and_then(|call| {
                    let changed = call.server_hears_us.replace(receiving) != Some(receiving);
                    changed.then(|| call.id.0.clone())
                });
                if let Some(call_id) = heard {
                    self.fact(Fact::ServerHears { call_id, receiving });
                    self.server_hears(line, receiving);
                }
            }
            EventBody::IceSlowlink { media, uplink, lost, .. } if media == "audio" => {
                let line = u32::try_from(line).unwrap_or(u32::MAX);
                self.fact(Fact::SlowLink { line, uplink, lost });
            }
            EventBody::Transfer { refer_id, .. } => {
                // A far end must not make the door call a number of its choice.
                if let Some(id) = self.lines.call(line).map(|call| call.id.clone()) {
                    self.send(line, Some(id), RequestBody::Decline { refer_id: Some(refer_id) });
                }
            }
            EventBody::Error { code, reason } => {
                self.fact(Fact::Protocol { problem: format!("line {line}: error {code} {reason}") });
            }
            _ => {}
        }
    }

    fn call_event(&mut self, line: Option<usize>, call_id: CallId, event: Event) {
        match event.body {
            EventBody::MissedCall { caller, .. } => return self.missed(&caller),
            EventBody::IncomingCall(invitation) => {
                // A server that names no line leaves the choice to us; line 0 is told where none is free.
                let idle = || (0..self.lines.len()).find(|line| self.lines.call(*line).is_none());
                let line = line.or_else(idle).unwrap_or_default();
                self.invited(line, call_id, invitation);
                return;
            }
            _ => {}
        }
        let offers = matches!(&event.body, EventBody::UpdatingCall(invitation) if invitation.jsep.is_some());
        match self.lines.find(&call_id) {
            // The call id names the call, whatever line an offer is told for.
            Some(known) if offers || line.is_none_or(|line| line == known) => self.known_call_event(known, event),
            // Another leg with this call id: one that we declined.
            Some(_) => {}
            None if matches!(event.body, EventBody::Hangup { .. }) => self.session.forget_call(&call_id),
            None if offers => {
                // As a call that the handshake tells of and that we do not have (`protocol.md`, "Recovery after a reconnect").
                self.fact(Fact::Protocol { problem: "a re-offer for a call that is not ours: it is hung up".into() });
                self.send(line.unwrap_or_default(), Some(call_id), RequestBody::Hangup {});
            }
            None => {}
        }
    }

    pub(super) fn known_call_event(&mut self, line: usize, event: Event) {
        // Either the ack or the first event tells that the server knows the call.
        if self.lines.call(line).is_some_and(|call| !call.trickle_open && call.is_known_to_server())
            && !matches!(event.body, EventBody::Hangup { .. } | EventBody::Error { .. })
        {
            self.open_trickle(line);
        }
        match event.body {
            EventBody::Ringing {} | EventBody::Proceeding { code: 180 } => self.alerting(line, None),
            EventBody::Progress { jsep, .. } => self.alerting(line, jsep.map(|jsep| jsep.sdp)),
            EventBody::Accepted { jsep, .. } => {
                self.accepted(line, event.transaction.as_deref(), jsep.map(|jsep| jsep.sdp));
            }
            EventBody::Updated { jsep } => {
                self.update_answered(line, event.transaction.as_deref(), jsep.map(|jsep| jsep.sdp));
            }
            EventBody::UpdatingCall(invitation) => {
                if let Some(jsep) = invitation.jsep {
                    self.reinvited(line, jsep.sdp);
                }
            }
            EventBody::Hangup { code, reason } => {
                if let Some(call_id) = self.lines.call(line).map(|call| call.id.clone()) {
                    self.session.forget_call(&call_id);
                }
                self.finish(line, Cause::new(code, reason));
            }
            EventBody::Error { code, reason } => self.call_error(line, event.transaction.as_deref(), code, &reason),
            EventBody::Transfer { .. }
            | EventBody::IceTrickle { .. }
            | EventBody::IceHangup { .. }
            | EventBody::IceMedia { .. }
            | EventBody::IceSlowlink { .. } => self.line_event(line, Event { call_id: None, ..event }),
            _ => {}
        }
    }

    fn alerting(&mut self, line: usize, answer: Option<String>) {
        let Some(call) = self.lines.call_mut(line) else { return };
        let (Phase::Dialing { deadline, .. } | Phase::Alerting { deadline, .. }) = call.phase else { return };
        let before = matches!(call.phase, Phase::Alerting { early_media: true, .. });
        call.phase = Phase::Alerting { early_media: before || answer.is_some(), deadline };
        if let (Some(media), Some(answer)) = (call.media, answer) {
            self.push(Effect::Media(media, MediaCommand::ApplyAnswer { answer }));
        }
    }

    /// `accepted`: the call is up, or an update of ours was taken.
    fn accepted(&mut self, line: usize, transaction: Option<&str>, answer: Option<String>) {
        let Some(call) = self.lines.call(line) else { return };
        match (&call.phase, call.direction) {
            (Phase::Established { .. }, _) => self.update_answered(line, transaction, answer),
            (Phase::Dialing { .. } | Phase::Alerting { .. } | Phase::Answering { .. }, _) => {
                if let (Some(media), Some(answer)) = (call.media, answer) {
                    self.push(Effect::Media(media, MediaCommand::ApplyAnswer { answer }));
                }
                self.establish(line);
            }
            (Phase::Incoming { .. }, Direction::Incoming | Direction::Outgoing) | (Phase::Ending { .. }, _) => {}
        }
    }

    fn update_answered(&mut self, line: usize, transaction: Option<&str>, answer: Option<String>) {
        let Some(call) = self.lines.call_mut(line) else { return };
        let ours = match &call.update {
            Update::Sent { transaction: sent, .. } => transaction.is_none_or(|transaction| transaction == sent),
            _ => false,
        };
        if !ours {
            return;
        }
        if let (Some(answer), Some(media)) = (answer, call.media) {
            call.update = Update::Idle;
            self.push(Effect::Media(media, MediaCommand::ApplyAnswer { answer }));
            self.negotiated(line);
        }
    }

    /// When an update of ours that met one of the far end comes again.
    pub(super) fn after_glare(&mut self) -> Time {
        self.now.at + self.random.between(GLARE.0, GLARE.1)
    }

    /// re-INVITE of the far end. Ours, if one is out, gives way and comes again.
    pub(super) fn reinvited(&mut self, line: usize, offer: String) {
        let retry = self.after_glare();
        let Some(call) = self.lines.call_mut(line) else { return };
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
                self.fact(Fact::Protocol { problem: problem.into() });
                return;
            }
            Phase::Ending { .. } => return,
        }
        if matches!(call.update, Update::Preparing | Update::Sent { .. }) {
            call.update = Update::RetryAt(retry);
            self.repair_delayed(line, retry);
        }
        // The delay may have been one too many, and the peer connection another one since.
        if let Some(media) = self.lines.call(line).and_then(|call| call.media) {
            self.push(Effect::Media(media, MediaCommand::AnswerUpdate { offer }));
        }
    }

    fn update_failed(&mut self, line: usize, code: i64) {
        let retry = self.after_glare();
        let Some(call) = self.lines.call_mut(line) else { return };
        if code == REQUEST_PENDING {
            call.update = Update::RetryAt(retry);
            self.repair_delayed(line, retry);
            self.ask_again(line, retry);
        } else {
            call.update = Update::Idle;
            self.repair_refused(line);
        }
        self.fact(Fact::Protocol { problem: format!("update refused with {code}") });
    }

    fn call_error(&mut self, line: usize, transaction: Option<&str>, code: i64, reason: &str) {
        let Some(call) = self.lines.call(line) else { return };
        let gone = code == response_code::NO_SUCH_CALL
            || (matches!(code, 410 | response_code::UNEXPECTED_ANSWER)
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
                self.fact(Fact::Protocol { problem: format!("error {code} {reason} in a call that goes on") });
            }
            Call { phase: Phase::Dialing { .. }, .. } => {
                self.dial_rejected(line, &Rejection { code, reason: reason.to_owned() });
            }
            _ => self.hang_up(line, Cause::new(code, reason)),
        }
    }
}
