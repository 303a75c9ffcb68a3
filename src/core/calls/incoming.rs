//! Incoming calls: which of them are taken, and how they are answered.

use super::call::{ANSWERING_TIMEOUT, Call, Phase};
use super::control::CallControl;
use crate::config::{AnswerAction, AnswerRule, Line};
use crate::core::api::{By, Cause, Direction, Fact, MediaCommand, Origin, Source};
use crate::core::session::Rejection;
use crate::secret::PhoneNumber;
use crate::signaling::{CallId, Invitation, RequestBody, sip_status};
use crate::sip_address::caller;

impl CallControl<'_> {
    /// Handles `incoming_call`: decides by `[[answer]]`, its conditions and `second_call`.
    pub(super) fn invited(&mut self, line: Line, call_id: CallId, invitation: Invitation) {
        if let Some(known) = self.calls.lines.find(&call_id) {
            self.invited_again(known, line, call_id, invitation);
            return;
        }
        let number = caller(&invitation.caller, &self.cx.config.core.sip_domains);
        if !self.calls.lines.has(line) || self.call(line).is_some() || self.cx.shutting_down {
            self.turn_away(line, call_id, number, "the line is not free");
            return;
        }
        if let Some(alarm) = self.alarm_of_caller(&number).cloned() {
            // Whoever is called by an alarm is expected.
            let phase = Phase::Incoming {
                offer: invitation.jsep.map(|jsep| jsep.sdp),
                answer_at: None,
                deadline: self.cx.now.at + self.cx.config.calls.ring_timeout,
            };
            let mut call = Call::new(call_id, Direction::Incoming, number, alarm.origin.clone(), phase, self.cx.now.at);
            (call.assurance, call.alarm, call.hunt) = (alarm.asks(), Some(alarm.id), alarm.hunt);
            call.display_name = invitation.caller_display_name;
            self.calls.lines.put(line, call);
            return self.answer(line);
        }
        let Some(rule) = self.answer_rule(&number).cloned() else {
            self.turn_away(line, call_id, number, "no [[answer]] rule admits this caller now");
            return;
        };
        if rule.action == AnswerAction::Decline {
            self.turn_away(line, call_id, number, "an [[answer]] rule declines this caller");
            return;
        }
        if !self.admits_second_call() {
            self.turn_away(line, call_id, number, "another call is up (calls.second_call)");
            return;
        }
        let now = self.cx.now.at;
        let phase = Phase::Incoming {
            offer: invitation.jsep.map(|jsep| jsep.sdp),
            answer_at: (rule.action == AnswerAction::Answer).then(|| now + rule.after),
            deadline: now + self.cx.config.calls.ring_timeout.max(rule.after),
        };
        let origin = Origin { source: Source::FarEnd, by: By::Caller { number: number.clone() } };
        let mut call = Call::new(call_id, Direction::Incoming, number, origin, phase, now);
        call.mode = rule.mode;
        call.display_name = invitation.caller_display_name;
        self.calls.lines.put(line, call);
        if rule.action == AnswerAction::Answer && rule.after.is_zero() {
            self.answer(line);
        }
    }

    fn invited_again(&mut self, known: Line, line: Line, call_id: CallId, invitation: Invitation) {
        let ours = self.call(known).is_some_and(|call| call.direction == Direction::Outgoing);
        if ours && known != line {
            // We call ourselves. The decline is for the new leg, and must not end our outgoing one.
            self.refuse_unknown(line, call_id);
            return;
        }
        if let Some(Call { phase: Phase::Incoming { offer, .. }, .. }) = self.call_mut(known)
            && let Some(jsep) = invitation.jsep
        {
            *offer = Some(jsep.sdp);
        }
    }

    /// Declines a call, and reports and counts that.
    fn turn_away(&mut self, line: Line, call_id: CallId, number: PhoneNumber, reason: &str) {
        self.calls.refused_calls = self.calls.refused_calls.saturating_add(1);
        self.cx.fact(Fact::CallRefused { number, reason: reason.to_owned() });
        self.refuse_unknown(line, call_id);
    }

    fn refuse_unknown(&mut self, line: Line, call_id: CallId) {
        self.send(line, Some(call_id), RequestBody::Decline { refer_id: None });
    }

    pub(super) fn answer_rule(&self, number: &str) -> Option<&AnswerRule> {
        self.cx.config.answers.iter().find(|rule| rule.is_for(number) && rule.conditions.hold(self.cx.moment()))
    }

    /// Answers a call that rings here.
    pub(in crate::core) fn answer(&mut self, line: Line) {
        let Some(call) = self.call(line) else { return };
        let Phase::Incoming { offer, .. } = &call.phase else { return };
        let offer = offer.clone();
        self.make_room_for(line);
        let with_offer = offer.is_none();
        let media = self.new_media(offer.map_or(MediaCommand::Offer, |offer| MediaCommand::Answer { offer }));
        let deadline = self.cx.now.at + ANSWERING_TIMEOUT;
        let Some(call) = self.call_mut(line) else { return };
        call.media = Some(media);
        call.phase = Phase::Answering { with_offer, sent: false, deadline };
        for candidate in std::mem::take(&mut call.early_candidates) {
            self.media(media, MediaCommand::AddCandidate(candidate));
        }
    }

    /// Sends `accept`, once our description for the far end's INVITE is made.
    pub(super) fn send_accept(&mut self, line: Line) {
        let Some(call) = self.call(line) else { return };
        let Phase::Answering { with_offer, deadline, .. } = call.phase else { return };
        let Some(jsep) = call.description.clone() else { return };
        let id = call.id.clone();
        if self.send(line, Some(id), RequestBody::Accept { jsep }).is_some()
            && let Some(call) = self.call_mut(line)
        {
            call.phase = Phase::Answering { with_offer, sent: true, deadline };
            self.open_trickle(line);
        }
    }

    /// The server refused our `accept`. In most cases the caller has hung up (docs/workarounds.md, "janus: an accept
    /// that crosses a cancel is error 469").
    pub(super) fn accept_rejected(&mut self, line: Line, rejection: &Rejection) {
        use crate::signaling::response_code::{NO_SUCH_CALL, UNEXPECTED_ANSWER};
        if matches!(rejection.code, sip_status::GONE | NO_SUCH_CALL | UNEXPECTED_ANSWER) {
            self.finish(line, Cause::new(sip_status::REQUEST_TERMINATED, "the caller gave up"));
        } else {
            self.hang_up(line, Cause::new(rejection.code, rejection.reason.clone()));
        }
    }
}
