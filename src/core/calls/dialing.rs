//! Outgoing calls, from the number to the first ring.

use std::time::Duration;

use super::call::{Call, Phase};
use super::control::CallControl;
use super::id::HuntId;
use crate::config::{Line, LineChoice};
use crate::core::api::{Cause, Direction, MediaCommand, Origin};
use crate::core::session::Rejection;
use crate::core::time::Time;
use crate::secret::{PhoneNumber, Sdp};
use crate::signaling::{Jsep, RequestBody};

/// A line whose call was refused as "wrong state" is left alone for this long (docs/protocol.md, "Edge cases").
const WRONG_STATE_PAUSE: Duration = Duration::from_millis(500);

impl CallControl<'_> {
    pub(super) fn dial(
        &mut self,
        line: Line,
        number: PhoneNumber,
        origin: Origin,
        hunt: Option<HuntId>,
        deadline: Time,
    ) {
        let id = self.cx.random.call_id();
        let phase = Phase::Dialing { sent: false, deadline };
        let mut call = Call::new(id, Direction::Outgoing, number, origin, phase, self.cx.now.at);
        call.hunt = hunt;
        call.ring = Some(deadline.since(self.cx.now.at));
        call.redial = hunt.and_then(|id| self.calls.hunts.get(id)).is_some_and(|hunt| hunt.redial);
        if let Some(hunt) = hunt.and_then(|id| self.calls.hunts.get(id)) {
            (call.assurance, call.alarm) = (hunt.assurance, hunt.alarm);
        }
        if let Some(ready) = self.calls.warm.take() {
            call.media = Some(ready.media);
            call.offer = ready.offer;
            call.candidates = ready.candidates;
        } else {
            call.media = Some(self.new_media(MediaCommand::Offer));
        }
        self.calls.lines.put(line, call);
        self.try_dial(line);
    }

    /// Sends `outgoing_call`, once the offer is made and the line does not cool any more.
    pub(super) fn try_dial(&mut self, line: Line) {
        if self.calls.lines.is_cooling(line, self.cx.now.at) || !self.session.is_up() {
            return;
        }
        let Some(call) = self.call(line) else { return };
        let (Phase::Dialing { sent: false, deadline }, Some(sdp)) = (&call.phase, &call.offer) else { return };
        let (deadline, id) = (*deadline, call.id.clone());
        let body = RequestBody::OutgoingCall {
            number: call.number.clone(),
            jsep: Jsep::offer(sdp.clone()),
            from: None,
            refer_id: None,
            replaces: None,
        };
        if self.send(line, Some(id), body).is_some()
            && let Some(call) = self.call_mut(line)
        {
            call.phase = Phase::Dialing { sent: true, deadline };
        }
    }

    /// The server refused `outgoing_call`. If the reason may be a line that is not clean yet, the call is tried once
    /// more, on another line if there is one.
    pub(super) fn dial_rejected(&mut self, line: Line, rejection: &Rejection) {
        use crate::signaling::response_code::{UNKNOWN, WRONG_STATE, WRONG_WEBRTC_STATE};
        let busy_line = matches!(rejection.code, WRONG_STATE | UNKNOWN | WRONG_WEBRTC_STATE);
        let retry = busy_line
            && self.call(line).is_some_and(|call| {
                !call.retried && matches!(call.phase, Phase::Dialing { .. }) && !call.candidates.is_open()
            });
        if self.call(line).is_some_and(Call::is_ending) || !retry {
            self.finish(line, Cause::of_the_server(rejection.code, rejection.reason.clone()));
            return;
        }
        let Some(mut call) = self.calls.lines.take(line, self.cx.now.at) else { return };
        self.calls.lines.cool_until(line, self.cx.now.at + WRONG_STATE_PAUSE);
        call.retried = true;
        call.candidates.close();
        if let Phase::Dialing { deadline, .. } | Phase::Alerting { deadline, .. } = call.phase {
            call.phase = Phase::Dialing { sent: false, deadline };
        }
        let choice = call.hunt.and_then(|id| self.calls.hunts.get(id)).map_or(LineChoice::Any, |hunt| hunt.line);
        let line = self.calls.lines.choose(choice, self.cx.now.at).unwrap_or(line);
        self.calls.lines.put(line, call);
        self.try_dial(line);
    }

    pub(super) fn alerting(&mut self, line: Line, answer: Option<Sdp>) {
        let Some(call) = self.call_mut(line) else { return };
        let (Phase::Dialing { deadline, .. } | Phase::Alerting { deadline, .. }) = call.phase else { return };
        let before = matches!(call.phase, Phase::Alerting { early_media: true, .. });
        call.phase = Phase::Alerting { early_media: before || answer.is_some(), deadline };
        if let (Some(media), Some(answer)) = (call.media, answer) {
            self.media(media, MediaCommand::ApplyAnswer { answer });
        }
    }
}
