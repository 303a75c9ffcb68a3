//! Handles the responses of the server to our requests.

use super::call::{Call, Hold, Update};
use super::control::CallControl;
use crate::config::Line;
use crate::core::api::Cause;
use crate::core::session::{Pending, Rejection};
use crate::signaling::{RequestKind, response_code, sip_status};

impl CallControl<'_> {
    pub(super) fn answered(&mut self, pending: &Pending, result: Result<(), Rejection>) {
        let Some(line) = self.line_of(pending) else { return };
        // A `decline` may also refuse a transfer, in a call that continues.
        let ending = self.call(line).is_some_and(Call::is_ending);
        match (pending.kind, result) {
            (RequestKind::OutgoingCall, Ok(())) => self.open_trickle(line),
            (RequestKind::OutgoingCall, Err(rejection)) => self.dial_rejected(line, &rejection),
            (RequestKind::Accept, Err(rejection)) => self.accept_rejected(line, &rejection),
            (RequestKind::Hangup | RequestKind::Decline, Ok(())) if ending => self.close_media(line),
            (RequestKind::Hangup | RequestKind::Decline, Err(_)) if ending => {
                self.finish(line, Cause::new(sip_status::OK, "ended"))
            }
            (RequestKind::Update, Err(rejection))
                if pending.is_offer && rejection.code != response_code::NO_SUCH_CALL =>
            {
                // The failure of an older update says nothing about the newest one.
                let newest = self.call(line).is_some_and(|call| {
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

    /// The line of a request, if it still has the same call. It cannot be found by the call id alone, because a call to
    /// ourselves has one call id on two lines.
    fn line_of(&self, pending: &Pending) -> Option<Line> {
        let line = pending.line?;
        (self.call(line)?.id == *pending.call_id.as_ref()?).then_some(line)
    }

    fn request_rejected(&mut self, line: Line, pending: &Pending, rejection: &Rejection) {
        if rejection.code == response_code::NO_SUCH_CALL
            && let Some(call_id) = &pending.call_id
        {
            self.call_gone(call_id, "the server no longer knows the call");
            return;
        }
        if pending.kind == RequestKind::Hold
            && let Some(call) = self.call_mut(line)
        {
            call.hold = Hold::No;
        }
        let problem = format!("{} refused: {} {}", pending.kind, rejection.code, rejection.reason);
        self.cx.protocol_problem(problem);
    }

    /// A request was not answered in time. That does not mean that it failed: the next event or `state` shows what is
    /// true. Only a call that we ended is over now.
    pub(super) fn timed_out(&mut self, pending: &Pending) {
        let Some(line) = self.line_of(pending) else { return };
        let ending = self.call(line).is_some_and(Call::is_ending);
        if ending && pending.kind.ends_call() {
            self.finish(line, Cause::new(sip_status::REQUEST_TIMEOUT, "the server did not confirm our hangup"));
        }
    }
}
