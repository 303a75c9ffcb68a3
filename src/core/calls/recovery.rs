//! Recovery after a reconnect: after every `state` handshake, the calls of the station are brought in line with those
//! of the server. The rules are those of docs/protocol.md, "Recovery after a reconnect".

use super::alarms::Alarm;
use super::call::{Call, Hold, Phase, Update};
use super::control::CallControl;
use super::liveness::LivenessEvent;
use super::memory::{origin_calling, origin_named};
use super::server_call::ServerCall;
use crate::config::{AnswerAction, Assurance, CallMode, Line};
use crate::core::api::{By, Cause, Direction, MediaCommand, Origin, RememberedCall, Source};
use crate::core::session::ServerHas;
use crate::mutant::{Mutant, mutant};
use crate::secret::PhoneNumber;
use crate::signaling::{CallId, Event, EventBody, RequestBody, StateHandshake, sip_status};
use crate::sip_address::caller;

impl CallControl<'_> {
    pub(super) fn recover(&mut self, state: StateHandshake) {
        self.calls.lines.resize(self.session.server_lines());
        let server = ServerCall::all(&state);
        let live: Vec<ServerHas> = server
            .iter()
            .filter(|call| call.end().is_none())
            .map(|call| ServerHas { call_id: call.call_id.clone(), rings: call.rings() })
            .collect();
        let being_ended: Vec<CallId> = live
            .iter()
            .map(|theirs| theirs.call_id.clone())
            .filter(|call_id| self.session.has_pending_hangup(call_id))
            .collect();
        if !mutant(Mutant::ForgottenHangup) {
            self.session.resend_hangups(&live, self.cx);
        }
        self.compare_local_calls(&server);
        for call in &server {
            let ended = call.end().is_some() || being_ended.contains(call.call_id);
            if !ended && self.calls.lines.find(call.call_id).is_none() {
                self.take_up(call);
            }
        }
        // The server has said which calls of the previous process still exist.
        self.calls.recalled.clear();
        for line in self.calls.lines.numbers() {
            self.try_dial(line);
        }
        self.release_waiting_hunts();
    }

    /// Rules 1 and 2: our own calls.
    fn compare_local_calls(&mut self, server: &[ServerCall<'_>]) {
        // The loop may start new calls. They are newer than what the server said, so it must not judge them.
        let ours: Vec<(Line, CallId)> = self.calls.lines.calls().map(|(line, call)| (line, call.id.clone())).collect();
        for (line, id) in ours {
            let Some(call) = self.call(line).filter(|call| call.id == id) else { continue };
            if !call.is_known_to_server() {
                continue;
            }
            let Some(theirs) = server.iter().find(|theirs| *theirs.call_id == call.id) else {
                if self.never_arrived(line) {
                    continue;
                }
                self.finish(line, Cause::new(sip_status::NO_SUCH_CALL, "the server no longer has the call"));
                continue;
            };
            if let Some(cause) = theirs.end() {
                self.finish(line, cause);
                continue;
            }
            self.catch_up(line, theirs);
            let answering = self.call(line).is_some_and(|call| matches!(call.phase, Phase::Answering { .. }));
            if answering && !theirs.is_being_answered() {
                // Our answer was lost with the socket.
                self.send_accept(line);
            }
            match theirs.open_offer() {
                Some(offer) if self.call(line).is_some_and(Call::is_established) => {
                    self.answer_before_repair(line, offer);
                }
                _ => self.liveness(line, LivenessEvent::SessionBack),
            }
        }
    }

    /// Whether our `outgoing_call` was probably lost with its socket, and the press is still young. If so, it will be
    /// sent again.
    fn never_arrived(&mut self, line: Line) -> bool {
        let (now, press_max_age) = (self.cx.now.at, self.cx.config.calls.press_max_age);
        let Some(call) = self.call_mut(line) else { return false };
        let Phase::Dialing { sent: true, deadline } = call.phase else { return false };
        if call.candidates.is_open() || now.since(call.started_at) > press_max_age {
            return false;
        }
        call.phase = Phase::Dialing { sent: false, deadline };
        true
    }

    /// Applies to a call that is being set up what happened while we were away, from the oldest event on.
    fn catch_up(&mut self, line: Line, theirs: &ServerCall<'_>) {
        let setting_up = self.call(line).is_some_and(|call| {
            matches!(call.phase, Phase::Dialing { .. } | Phase::Alerting { .. } | Phase::Answering { .. })
        });
        if !setting_up {
            return;
        }
        let id = self.call(line).map(|call| call.id.clone());
        for event in theirs.history() {
            // An event that ends the call may start another one on its line.
            if self.call(line).map(|call| &call.id) != id.as_ref() {
                return;
            }
            if !matches!(event.body, EventBody::IncomingCall(_)) {
                self.known_call_event(line, event);
            }
        }
    }

    /// Rule 4: a call that only the server has.
    fn take_up(&mut self, theirs: &ServerCall<'_>) {
        let invitation = theirs.invitation().cloned();
        let free = self.calls.lines.has(theirs.line) && self.call(theirs.line).is_none();
        let restorable = theirs.has_accepted() && free && !self.cx.shutting_down;
        let recalled = self.calls.take_recalled(theirs.call_id).map(FormerLife::Remembered);
        if restorable && let Some(former) = recalled.or_else(|| self.former_life(theirs, invitation.as_ref())) {
            self.restore(theirs, former);
        } else if let (Some(Event { body: EventBody::IncomingCall(invitation), .. }), false) =
            (invitation, theirs.has_accepted())
        {
            self.invited(theirs.line, theirs.call_id.clone(), invitation);
        } else {
            self.send(theirs.line, Some(theirs.call_id.clone()), RequestBody::Hangup {});
        }
    }

    /// Who called whom, and in which mode, as far as the log proves it. `None` if no rule admits the caller, or if the
    /// log does not show who called: such a call is not taken up.
    fn former_life(&self, theirs: &ServerCall<'_>, invitation: Option<&Event>) -> Option<FormerLife> {
        if let Some(EventBody::IncomingCall(invitation)) = invitation.map(|event| &event.body) {
            let number = caller(&invitation.caller, &self.cx.config.core.sip_domains);
            let rule = self.answer_rule(&number).filter(|rule| rule.action != AnswerAction::Decline);
            let expected = self.alarm_of_caller(&number).map(|_| CallMode::Talk);
            let mode = expected.or(rule.map(|rule| rule.mode))?;
            return Some(FormerLife::Logged { direction: Direction::Incoming, mode, number });
        }
        let number = theirs.called_number()?;
        Some(FormerLife::Logged { direction: Direction::Outgoing, mode: CallMode::Talk, number })
    }

    /// A call of an alarm that was recalled is one of it again.
    fn take_up_alarm(&self, call: &mut Call, former: &FormerLife) {
        let alarm = self.alarm_of_caller(&call.number);
        let mut join = |alarm: &Alarm, asked: Assurance| {
            (call.origin, call.assurance, call.alarm) = (alarm.origin.clone(), asked, Some(alarm.id));
        };
        match (former, alarm) {
            (FormerLife::Remembered(known), Some(alarm)) if known.alarm => {
                join(alarm, Assurance { confirm: known.confirm, ..alarm.asks() });
            }
            (FormerLife::Remembered(known), _) => {
                call.assurance = Assurance { confirm: known.confirm, ..Assurance::default() };
            }
            (FormerLife::Logged { .. }, Some(alarm)) => join(alarm, alarm.asks()),
            (FormerLife::Logged { .. }, None) => {}
        }
    }

    /// Takes up a call that is up on the server. It gets a new peer connection, whose offer is sent as `update`.
    fn restore(&mut self, theirs: &ServerCall<'_>, former: FormerLife) {
        let now = self.cx.now.at;
        let phase = Phase::Answering { with_offer: true, sent: true, deadline: now };
        let id = theirs.call_id.clone();
        let mut call = match &former {
            FormerLife::Remembered(known) => {
                let origin = origin_named(known.button.as_deref(), &self.cx.config);
                let mut call =
                    Call::new(id, known.direction, known.number.clone(), origin, phase, known.established_at);
                call.mode = known.mode;
                call.redial = known.redial;
                call.ring = known.ring;
                call.code_entry.wrong_codes = known.wrong_codes;
                call
            }
            FormerLife::Logged { direction, mode, number } => {
                let origin = match direction {
                    Direction::Incoming => Origin { source: Source::FarEnd, by: By::Caller { number: number.clone() } },
                    Direction::Outgoing => origin_calling(number, &self.cx.config),
                };
                let mut call = Call::new(id, *direction, number.clone(), origin, phase, now);
                call.mode = *mode;
                call
            }
        };
        self.take_up_alarm(&mut call, &former);
        call.candidates.open();
        call.media = Some(self.new_media(MediaCommand::Offer));
        self.calls.lines.put(theirs.line, call);
        self.establish(theirs.line);
        let Some(call) = self.call_mut(theirs.line) else { return };
        call.update = Update::Preparing;
        if let (FormerLife::Remembered(known), Phase::Established { talk_ends_at, .. }) = (&former, &mut call.phase) {
            // The talk time continues, but never ends later than the configuration allows.
            *talk_ends_at = (*talk_ends_at).min(known.talk_ends_at);
            call.established_at = Some(known.established_at);
            call.hold = Hold::remembered(known.held, known.held_for_other);
        }
    }
}

/// What is known of a call that is taken up.
enum FormerLife {
    /// The previous process remembered it.
    Remembered(RememberedCall),
    /// The server's log proves it.
    Logged { direction: Direction, mode: CallMode, number: PhoneNumber },
}
