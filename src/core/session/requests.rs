//! Requests of the calls, and hangups that the server has not acknowledged yet.

use super::state::Session;
use super::transactions::ServerHas;
use crate::config::Line;
use crate::core::api::{Effect, PendingHangup};
use crate::core::context::Context;
use crate::signaling::{CallId, ClientMessage, RequestBody, TransactionId};

impl Session {
    /// Sends a request. Without a session only hangups and declines are remembered, for later.
    /// Gives the transaction where it was sent.
    pub(in crate::core) fn request(
        &mut self,
        line: Option<Line>,
        call_id: Option<CallId>,
        body: RequestBody,
        cx: &mut Context,
    ) -> Option<TransactionId> {
        let now = cx.now.at;
        if let (RequestBody::Hangup {} | RequestBody::Decline { refer_id: None }, Some(line), Some(call_id)) =
            (&body, line, &call_id)
        {
            let decline = matches!(body, RequestBody::Decline { .. });
            self.transactions.remember_hangup(PendingHangup { line, call_id: call_id.clone(), decline });
        }
        if !self.is_up() || !self.transactions.has_room_for(&body) {
            return None;
        }
        let request = self.transactions.open(line, call_id, body, now);
        let transaction = request.transaction.clone();
        cx.push(Effect::Send(ClientMessage::Request(request)));
        self.note_sent(now);
        Some(transaction)
    }

    /// The call is over on both sides: nothing more is sent for it.
    pub(in crate::core) fn forget_call(&mut self, call_id: &CallId) {
        self.transactions.forget_call(call_id);
    }

    /// Whether a hangup or decline of this call still waits for its `ack`.
    pub(in crate::core) fn has_pending_hangup(&self, call_id: &CallId) -> bool {
        self.transactions.has_pending_hangup(call_id)
    }

    /// Goodbyes that the server has not taken yet.
    pub(in crate::core) fn pending_hangups(&self) -> &[PendingHangup] {
        self.transactions.pending_hangups()
    }

    /// A goodbye of a former life of this process.
    pub(in crate::core) fn remember_hangup(&mut self, hangup: PendingHangup) {
        self.transactions.remember_hangup(hangup);
    }

    /// Rule 3: sends unacknowledged hangups again, of those calls that the server still has.
    pub(in crate::core) fn resend_hangups(&mut self, server_has: &[ServerHas], cx: &mut Context) {
        for (hangup, body) in self.transactions.take_hangups(server_has) {
            self.request(Some(hangup.line), Some(hangup.call_id), body, cx);
        }
    }

    /// Requests in flight and goodbyes kept, for those who watch the bounds.
    pub(in crate::core) fn queued(&self) -> usize {
        self.transactions.len()
    }
}
