//! Calls that come in: which are taken, by whom, and how they are answered.

use crate::config::{AnswerAction, AnswerRule, CallMode, SecondCall};
use crate::signaling::{CallId, Invitation, RequestBody};

use super::by::By;
use super::call::{ANSWERING_TIMEOUT, Call, Direction, Origin, Phase, Source};
use super::cause::Cause;
use super::effect::MediaCommand;
use super::fact::Fact;
use super::session::Rejection;
use super::station::Station;
use crate::sip_address::caller;

impl Station {
    /// `incoming_call`: decides by `[[answer]]`, `hours` and `second_call`.
    pub(super) fn invited(&mut self, line: usize, call_id: CallId, invitation: Invitation) {
        if let Some(known) = self.lines.find(&call_id) {
            self.invited_again(known, line, call_id, invitation);
            return;
        }
        let number = caller(&invitation.caller, &self.config.core.sip_domains);
        if line >= self.lines.len() || self.lines.call(line).is_some() || self.shutting_down {
            self.turn_away(line, call_id, number, "the line is not free");
            return;
        }
        let Some(rule) = self.answer_rule(&number).cloned() else {
            self.turn_away(line, call_id, number, "no [[answer]] is for this caller now");
            return;
        };
        if rule.action == AnswerAction::Decline {
            self.turn_away(line, call_id, number, "an [[answer]] declines this caller");
            return;
        }
        if !self.admits_second_call() {
            self.turn_away(line, call_id, number, "another call is up (calls.second_call)");
            return;
        }
        let now = self.now.at;
        let phase = Phase::Incoming {
            offer: invitation.jsep.map(|jsep| jsep.sdp),
            answer_at: (rule.action == AnswerAction::Answer).then(|| now + rule.after),
            deadline: now + self.config.calls.ring_timeout.max(rule.after),
        };
        let origin = Origin { source: Source::FarEnd, by: By::Caller { number: number.clone() } };
        let mut call = Call::new(call_id, Direction::Incoming, number, origin, phase, now);
        call.mode = rule.mode;
        call.display_name = invitation.caller_display_name;
        self.lines.put(line, call);
        if rule.action == AnswerAction::Answer && rule.after.is_zero() {
            self.answer(line);
        }
    }

    fn invited_again(&mut self, known: usize, line: usize, call_id: CallId, invitation: Invitation) {
        let ours = self.lines.call(known).is_some_and(|call| call.direction == Direction::Outgoing);
        if ours && known != line {
            // A call to ourselves. The request must not be taken for the end of our own leg.
            self.refuse_unknown(line, call_id);
            return;
        }
        if let Some(Call { phase: Phase::Incoming { offer, .. }, .. }) = self.lines.call_mut(known)
            && let Some(jsep) = invitation.jsep
        {
            *offer = Some(jsep.sdp);
        }
    }

    /// Somebody who calls is declined, which is told and counted.
    fn turn_away(&mut self, line: usize, call_id: CallId, number: String, reason: &str) {
        self.refused_calls = self.refused_calls.saturating_add(1);
        self.fact(Fact::CallRefused { number, reason: reason.to_owned() });
        self.refuse_unknown(line, call_id);
    }

    fn refuse_unknown(&mut self, line: usize, call_id: CallId) {
        self.send(line, Some(call_id), RequestBody::Decline { refer_id: None });
    }

    pub(super) fn answer_rule(&self, number: &str) -> Option<&AnswerRule> {
        self.config.answers.iter().find(|rule| rule.is_for(number) && self.hours_match(rule.hours.as_ref()))
    }

    fn admits_second_call(&self) -> bool {
        let mut others = self.lines.active().peekable();
        if others.peek().is_none() && self.hunts.is_empty() {
            return true;
        }
        match self.config.calls.second_call {
            SecondCall::Reject => false,
            SecondCall::Replace => true,
            SecondCall::Hold | SecondCall::Mix => {
                others.all(|(_, call)| call.is_established()) && self.hunts_are_quiet()
            }
        }
    }

    /// No hunt is between two numbers, about to take a line.
    fn hunts_are_quiet(&self) -> bool {
        self.hunts.iter().all(|hunt| hunt.answered || hunt.cancelled)
    }

    /// Answers a call that rings here.
    pub(super) fn answer(&mut self, line: usize) {
        let Some(call) = self.lines.call(line) else { return };
        let Phase::Incoming { offer, .. } = &call.phase else { return };
        let offer = offer.clone();
        self.make_room_for(line);
        let with_offer = offer.is_none();
        let media = self.new_media(offer.map_or(MediaCommand::Offer, |offer| MediaCommand::Answer { offer }));
        let deadline = self.now.at + ANSWERING_TIMEOUT;
        if let Some(call) = self.lines.call_mut(line) {
            call.media = Some(media);
            call.phase = Phase::Answering { with_offer, sent: false, deadline };
        }
    }

    /// Applies `second_call` for the call on `line`, which is about to be up.
    fn make_room_for(&mut self, line: usize) {
        let others: Vec<usize> = self.lines.active().map(|(other, _)| other).filter(|other| *other != line).collect();
        for other in others {
            match self.config.calls.second_call {
                SecondCall::Mix => {}
                SecondCall::Hold => {
                    self.hold(other, true);
                }
                SecondCall::Reject | SecondCall::Replace => {
                    self.hang_up(other, Cause::new(200, "replaced by another call"));
                }
            }
        }
    }

    /// Our description for the far end's INVITE is made.
    pub(super) fn send_accept(&mut self, line: usize) {
        let Some(call) = self.lines.call(line) else { return };
        let Phase::Answering { with_offer, deadline, .. } = call.phase else { return };
        let Some(jsep) = call.description.clone() else { return };
        let id = call.id.clone();
        if self.send(line, Some(id), RequestBody::Accept { jsep }).is_some()
            && let Some(call) = self.lines.call_mut(line)
        {
            call.phase = Phase::Answering { with_offer, sent: true, deadline };
            self.open_trickle(line);
        }
    }

    /// The core refused our `accept`: mostly the caller is gone.
    pub(super) fn accept_rejected(&mut self, line: usize, rejection: &Rejection) {
        use crate::signaling::response_code::{NO_SUCH_CALL, UNEXPECTED_ANSWER};
        if matches!(rejection.code, 410 | NO_SUCH_CALL | UNEXPECTED_ANSWER) {
            self.finish(line, Cause::new(487, "the caller gave up"));
        } else {
            self.hang_up(line, Cause::new(rejection.code, rejection.reason.clone()));
        }
    }

    pub(super) fn mode_of(&self, line: usize) -> CallMode {
        self.lines.call(line).map(|call| call.mode).unwrap_or_default()
    }
}
