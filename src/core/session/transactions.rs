//! The requests in flight, and the pending hangups, which must not get lost.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Line;
use crate::core::api::PendingHangup;
use crate::core::time::Time;
use crate::signaling::{CallId, Request, RequestBody, RequestKind, TransactionId};

/// A request that gets no response within this time has timed out (docs/protocol.md, "Requests").
pub(in crate::core) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// If nothing arrives for this long after a request, the link counts as dead. So there is time to reconnect and to dial
/// again before a press is too old. If the link was only slow, little is lost by a new connection.
const SILENCE_PATIENCE: Duration = Duration::from_secs(3);
/// The most requests in flight. The station has few lines and needs far fewer.
const MAX_TRANSACTIONS: usize = 64;
/// The most pending hangups. If there are more, the oldest one is dropped.
const MAX_PENDING_HANGUPS: usize = 16;

/// A request in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) struct Pending {
    pub(in crate::core) transaction: TransactionId,
    pub(in crate::core) kind: RequestKind,
    pub(in crate::core) line: Option<Line>,
    pub(in crate::core) call_id: Option<CallId>,
    /// The request is an `update` that carries an offer.
    pub(in crate::core) is_offer: bool,
    sent_at: Time,
}

impl Pending {
    fn deadline(&self) -> Time {
        self.sent_at + TRANSACTION_TIMEOUT
    }

    /// If nothing has arrived from the server since the request, the link counts as dead at this time.
    fn suspicious_at(&self) -> Time {
        self.sent_at + SILENCE_PATIENCE
    }
}

fn body_of(hangup: &PendingHangup) -> RequestBody {
    if hangup.decline { RequestBody::Decline { refer_id: None } } else { RequestBody::Hangup {} }
}

/// A call that the server has. It decides which pending hangup is sent again, and in which form.
pub(in crate::core) struct ServerHas {
    pub(in crate::core) call_id: CallId,
    /// It is an incoming call that nobody has answered.
    pub(in crate::core) rings: bool,
}

/// The requests in flight, and the pending hangups.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Transactions {
    next: u64,
    pending: BTreeMap<TransactionId, Pending>,
    pending_hangups: Vec<PendingHangup>,
    /// The kind of the newest request, for the log if a close code blames a request.
    pub(super) last: Option<RequestKind>,
}

impl Transactions {
    /// `seed` comes from the wall clock, so that transactions are unique across restarts.
    pub(super) fn new(seed: u64) -> Self {
        Self { next: seed, pending: BTreeMap::new(), pending_hangups: Vec::new(), last: None }
    }

    /// A new transaction. It ends with digits only (docs/protocol.md, "Requests").
    pub(super) fn next_id(&mut self) -> TransactionId {
        self.next = self.next.wrapping_add(1);
        TransactionId(format!("transaction-{}", self.next))
    }

    /// Whether this request may be sent now. Hangups have the most room, candidates the least: candidates must not keep
    /// a hangup from being sent.
    pub(super) fn has_room_for(&self, body: &RequestBody) -> bool {
        self.pending.len()
            < match body {
                RequestBody::Hangup {} | RequestBody::Decline { .. } => MAX_TRANSACTIONS + MAX_PENDING_HANGUPS,
                RequestBody::IceTrickle { .. } => MAX_TRANSACTIONS / 2,
                _ => MAX_TRANSACTIONS,
            }
    }

    /// Makes a request that is about to be sent, and remembers it as in flight.
    pub(super) fn open(
        &mut self,
        line: Option<Line>,
        call_id: Option<CallId>,
        body: RequestBody,
        now: Time,
    ) -> Request {
        let transaction = self.next_id();
        let pending = Pending {
            transaction: transaction.clone(),
            kind: body.kind(),
            line,
            call_id: call_id.clone(),
            is_offer: is_offer(&body),
            sent_at: now,
        };
        self.last = Some(pending.kind);
        self.pending.insert(transaction.clone(), pending);
        Request { transaction, line, call_id, body }
    }

    /// Removes and returns the request that a response answers. If it ended a call, its pending hangup is done.
    pub(super) fn close(&mut self, transaction: &TransactionId) -> Option<Pending> {
        let pending = self.pending.remove(transaction)?;
        if pending.kind.ends_call()
            && let Some(call_id) = &pending.call_id
        {
            self.forget_call(call_id);
        }
        Some(pending)
    }

    /// Removes and returns the requests that were not answered in time.
    pub(super) fn expire(&mut self, now: Time) -> Vec<Pending> {
        if self.pending.values().all(|of| now < of.deadline()) {
            return Vec::new();
        }
        let (late, pending) = std::mem::take(&mut self.pending).into_iter().partition(|(_, of)| now >= of.deadline());
        self.pending = pending;
        let late: BTreeMap<TransactionId, Pending> = late;
        late.into_values().collect()
    }

    /// The connection is gone. The requests in flight are forgotten, the pending hangups are kept.
    pub(super) fn void(&mut self) {
        self.pending.clear();
        self.last = None;
    }

    /// Whether the link counts as dead: nothing has arrived since a request was sent, and its patience is over.
    pub(super) fn link_is_dead(&self, heard_at: Time, now: Time) -> bool {
        self.pending.values().any(|of| heard_at < of.sent_at && now >= of.suspicious_at())
    }

    pub(super) fn deadline(&self, heard_at: Time) -> Option<Time> {
        self.pending.values().map(|of| if heard_at < of.sent_at { of.suspicious_at() } else { of.deadline() }).min()
    }

    /// Remembers a pending hangup until the server has acknowledged it.
    pub(super) fn remember_hangup(&mut self, hangup: PendingHangup) {
        if !self.has_pending_hangup(&hangup.call_id) {
            if self.pending_hangups.len() >= MAX_PENDING_HANGUPS {
                self.pending_hangups.remove(0);
            }
            self.pending_hangups.push(hangup);
        }
    }

    /// Whether this call has a pending hangup.
    pub(super) fn has_pending_hangup(&self, call_id: &CallId) -> bool {
        self.pending_hangups.iter().any(|hangup| hangup.call_id == *call_id)
    }

    pub(super) fn pending_hangups(&self) -> &[PendingHangup] {
        &self.pending_hangups
    }

    /// Removes all pending hangups, and returns those of calls that the server still has, with the request that must be
    /// sent. A call that still rings gets `decline`, because the server would ignore `hangup`.
    pub(super) fn take_hangups(&mut self, server_has: &[ServerHas]) -> Vec<(PendingHangup, RequestBody)> {
        let hangups = std::mem::take(&mut self.pending_hangups).into_iter();
        hangups
            .filter_map(|hangup| {
                let theirs = server_has.iter().find(|theirs| theirs.call_id == hangup.call_id)?;
                let hangup = PendingHangup { decline: theirs.rings, ..hangup };
                Some((hangup.clone(), body_of(&hangup)))
            })
            .collect()
    }

    /// The call is over on both sides. Its pending hangup is dropped.
    pub(super) fn forget_call(&mut self, call_id: &CallId) {
        self.pending_hangups.retain(|hangup| hangup.call_id != *call_id);
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len() + self.pending_hangups.len()
    }
}

fn is_offer(body: &RequestBody) -> bool {
    use crate::signaling::JsepKind;
    matches!(body, RequestBody::Update { jsep } if jsep.kind == JsepKind::Offer)
}
