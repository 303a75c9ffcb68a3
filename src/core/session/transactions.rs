//! Requests in flight, and the goodbyes that must not get lost.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Line;
use crate::core::api::PendingHangup;
use crate::core::time::Time;
use crate::signaling::{CallId, Request, RequestBody, RequestKind, TransactionId};

/// A request without a response for so long is over (`protocol.md`, "Requests").
pub(in crate::core) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// A request that meets silence for so long went into a dead link: there is time to reconnect and to
/// dial again before a press is too old. A new connection costs nothing where the link was only slow.
const SILENCE_PATIENCE: Duration = Duration::from_secs(3);
/// Requests in flight; the core has two lines and so needs far fewer.
const MAX_TRANSACTIONS: usize = 64;
/// Hangups remembered while offline.
const MAX_PENDING_HANGUPS: usize = 16;

/// A request in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) struct Pending {
    pub(in crate::core) transaction: TransactionId,
    pub(in crate::core) kind: RequestKind,
    pub(in crate::core) line: Option<Line>,
    pub(in crate::core) call_id: Option<CallId>,
    /// An `update` of ours that carried an offer.
    pub(in crate::core) is_offer: bool,
    sent_at: Time,
}

impl Pending {
    fn deadline(&self) -> Time {
        self.sent_at + TRANSACTION_TIMEOUT
    }

    /// When silence of the server means that the link is dead.
    fn suspicious_at(&self) -> Time {
        self.sent_at + SILENCE_PATIENCE
    }
}

fn body_of(hangup: &PendingHangup) -> RequestBody {
    if hangup.decline { RequestBody::Decline { refer_id: None } } else { RequestBody::Hangup {} }
}

/// A call that the server has, for the choice of its goodbye.
pub(in crate::core) struct ServerHas {
    pub(in crate::core) call_id: CallId,
    /// It is an incoming call that nobody has answered.
    pub(in crate::core) rings: bool,
}

/// Requests in flight and hangups.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Transactions {
    next: u64,
    pending: BTreeMap<TransactionId, Pending>,
    pending_hangups: Vec<PendingHangup>,
    /// The newest request, for close codes that blame it.
    pub(super) last: Option<RequestKind>,
}

impl Transactions {
    /// `seed` comes from the wall clock, so that transactions are unique across restarts.
    pub(super) fn new(seed: u64) -> Self {
        Self { next: seed, pending: BTreeMap::new(), pending_hangups: Vec::new(), last: None }
    }

    /// A transaction of its own: digits only (`protocol.md`, "Requests").
    pub(super) fn next_id(&mut self) -> TransactionId {
        self.next = self.next.wrapping_add(1);
        TransactionId(format!("transaction-{}", self.next))
    }

    /// Whether this request may go out now. Candidates must not keep a goodbye from going out.
    pub(super) fn has_room_for(&self, body: &RequestBody) -> bool {
        self.pending.len()
            < match body {
                RequestBody::Hangup {} | RequestBody::Decline { .. } => MAX_TRANSACTIONS + MAX_PENDING_HANGUPS,
                RequestBody::IceTrickle { .. } => MAX_TRANSACTIONS / 2,
                _ => MAX_TRANSACTIONS,
            }
    }

    /// A request that is about to be sent.
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

    /// The request that a response answers.
    pub(super) fn close(&mut self, transaction: &TransactionId) -> Option<Pending> {
        let pending = self.pending.remove(transaction)?;
        if pending.kind.ends_call()
            && let Some(call_id) = &pending.call_id
        {
            self.forget_call(call_id);
        }
        Some(pending)
    }

    /// Requests that were not answered in time.
    pub(super) fn expire(&mut self, now: Time) -> Vec<Pending> {
        if self.pending.values().all(|of| now < of.deadline()) {
            return Vec::new();
        }
        let (late, pending) = std::mem::take(&mut self.pending).into_iter().partition(|(_, of)| now >= of.deadline());
        self.pending = pending;
        let late: BTreeMap<TransactionId, Pending> = late;
        late.into_values().collect()
    }

    /// The connection is gone: everything in flight is void, hangups are kept.
    pub(super) fn void(&mut self) {
        self.pending.clear();
        self.last = None;
    }

    /// A request is out for so long that a server of which nothing at all was heard since is not there.
    pub(super) fn link_is_dead(&self, heard_at: Time, now: Time) -> bool {
        self.pending.values().any(|of| heard_at < of.sent_at && now >= of.suspicious_at())
    }

    pub(super) fn deadline(&self, heard_at: Time) -> Option<Time> {
        self.pending.values().map(|of| if heard_at < of.sent_at { of.suspicious_at() } else { of.deadline() }).min()
    }

    /// Remembers a goodbye until the server has taken it.
    pub(super) fn remember_hangup(&mut self, hangup: PendingHangup) {
        if !self.has_pending_hangup(&hangup.call_id) {
            if self.pending_hangups.len() >= MAX_PENDING_HANGUPS {
                self.pending_hangups.remove(0);
            }
            self.pending_hangups.push(hangup);
        }
    }

    /// Whether a hangup or decline of this call still waits for its `ack`.
    pub(super) fn has_pending_hangup(&self, call_id: &CallId) -> bool {
        self.pending_hangups.iter().any(|hangup| hangup.call_id == *call_id)
    }

    pub(super) fn pending_hangups(&self) -> &[PendingHangup] {
        &self.pending_hangups
    }

    /// Takes the goodbyes to say again, of those calls that the server still has.
    /// A call that still rings is declined, whatever it was for us: a hangup would be ignored.
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

    /// The call is over on both sides: nothing more is sent for it.
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
