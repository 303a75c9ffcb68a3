//! Sends the requests of the calls, and keeps the pending hangups.

use super::state::Session;
use super::transactions::ServerHas;
use crate::config::Line;
use crate::core::api::{Effect, PendingHangup};
use crate::core::context::Context;
use crate::signaling::{CallId, ClientMessage, RequestBody, TransactionId};

impl Session {
    /// Sends a request; returns its transaction, or `None` if it could not be sent. Hangups and declines become pending
    /// hangups, so they are sent later if there is no session now.
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

    /// The call is over on both sides. Its pending hangup is dropped.
    pub(in crate::core) fn forget_call(&mut self, call_id: &CallId) {
        self.transactions.forget_call(call_id);
    }

    /// Whether this call has a pending hangup.
    pub(in crate::core) fn has_pending_hangup(&self, call_id: &CallId) -> bool {
        self.transactions.has_pending_hangup(call_id)
    }

    /// The pending hangups.
    pub(in crate::core) fn pending_hangups(&self) -> &[PendingHangup] {
        self.transactions.pending_hangups()
    }

    /// Takes over a pending hangup of the previous process.
    pub(in crate::core) fn remember_hangup(&mut self, hangup: PendingHangup) {
        self.transactions.remember_hangup(hangup);
    }

    /// Sends the pending hangups of calls that the server still has (docs/protocol.md, "Recovery after a reconnect",
    /// rule 3).
    pub(in crate::core) fn resend_hangups(&mut self, server_has: &[ServerHas], cx: &mut Context) {
        for (hangup, body) in self.transactions.take_hangups(server_has) {
            self.request(Some(hangup.line), Some(hangup.call_id), body, cx);
        }
    }

    /// The number of requests in flight and pending hangups, for tests of the bounds.
    pub(in crate::core) fn queued(&self) -> usize {
        self.transactions.len()
    }
}
