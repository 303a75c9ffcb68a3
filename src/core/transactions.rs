//! Requests in flight, and the goodbyes that must not get lost.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Time;
use crate::signaling::{CallId, Request, RequestBody};

/// A request without a response for so long is over (`protocol.md`, "Requests").
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// A request that meets silence for so long went into a dead link: there is time to reconnect and to
/// dial again before a press is too old. A new connection costs nothing where the link was only slow.
const SILENCE_PATIENCE: Duration = Duration::from_secs(3);
/// Requests in flight; the core has two lines and so needs far fewer.
const MAX_TRANSACTIONS: usize = 64;
/// Hangups remembered while offline.
const MAX_FAREWELLS: usize = 16;

/// A request in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) transaction: String,
    pub(super) name: String,
    pub(super) line: Option<u32>,
    pub(super) call_id: Option<CallId>,
    /// An `update` of ours that carried an offer.
    pub(super) is_offer: bool,
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

/// A hangup or decline that the server has not acknowledged: sent again first after a reconnect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Farewell {
    /// The call's line.
    pub line: u32,
    /// The call.
    pub call_id: CallId,
    /// It never rang through to us: `decline` in place of `hangup`.
    pub decline: bool,
}

impl Farewell {
    fn body(&self) -> RequestBody {
        if self.decline { RequestBody::Decline { refer_id: None } } else { RequestBody::Hangup {} }
    }
}

/// A call that the server has, for the choice of its goodbye.
pub(super) struct ServerHas {
    pub(super) call_id: CallId,
    /// It is an incoming call that nobody has answered.
    pub(super) rings: bool,
}

/// Requests in flight and farewells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Transactions {
    next: u64,
    pending: BTreeMap<String, Pending>,
    farewells: Vec<Farewell>,
    /// Name and call of the newest request, for close codes that blame it.
    pub(super) last: Option<(String, Option<CallId>)>,
}

impl Transactions {
    /// `seed` comes from the wall clock, so that transactions are unique across restarts.
    pub(super) fn new(seed: u64) -> Self {
        Self { next: seed, pending: BTreeMap::new(), farewells: Vec::new(), last: None }
    }

    /// A transaction of its own: digits only (`protocol.md`, "Requests").
    pub(super) fn number(&mut self) -> String {
        self.next = self.next.wrapping_add(1);
        format!("transaction-{}", self.next)
    }

    /// Whether this request may go out now. Candidates must not keep a goodbye from going out.
    pub(super) fn has_room_for(&self, body: &RequestBody) -> bool {
        self.pending.len()
            < match body {
                RequestBody::Hangup {} | RequestBody::Decline { .. } => MAX_TRANSACTIONS + MAX_FAREWELLS,
                RequestBody::IceTrickle { .. } => MAX_TRANSACTIONS / 2,
                _ => MAX_TRANSACTIONS,
            }
    }

    /// A request that is about to be sent.
    pub(super) fn open(&mut self, line: Option<u32>, call_id: Option<CallId>, body: RequestBody, now: Time) -> Request {
        let transaction = self.number();
        let pending = Pending {
            transaction: transaction.clone(),
            name: body.name().to_owned(),
            line,
            call_id: call_id.clone(),
            is_offer: is_offer(&body),
            sent_at: now,
        };
        self.last = Some((pending.name.clone(), call_id.clone()));
        self.pending.insert(transaction.clone(), pending);
        Request { transaction, line, call_id, body }
    }

    /// The request that a response answers.
    pub(super) fn close(&mut self, transaction: &str) -> Option<Pending> {
        let pending = self.pending.remove(transaction)?;
        if matches!(pending.name.as_str(), "hangup" | "decline")
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
        let late: BTreeMap<String, Pending> = late;
        late.into_values().collect()
    }

    /// The connection is gone: everything in flight is void, farewells are kept.
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
    pub(super) fn remember_farewell(&mut self, farewell: Farewell) {
        if !self.has_farewell(&farewell.call_id) {
            if self.farewells.len() >= MAX_FAREWELLS {
                self.farewells.remove(0);
            }
            self.farewells.push(farewell);
        }
    }

    /// Whether a hangup or decline of this call still waits for its `ack`.
    pub(super) fn has_farewell(&self, call_id: &CallId) -> bool {
        self.farewells.iter().any(|farewell| farewell.call_id == *call_id)
    }

    pub(super) fn farewells(&self) -> &[Farewell] {
        &self.farewells
    }

    /// Takes the goodbyes to say again, of those calls that the server still has.
    /// A call that still rings is declined, whatever it was for us: a hangup would be ignored.
    pub(super) fn take_farewells(&mut self, server_has: &[ServerHas]) -> Vec<(Farewell, RequestBody)> {
        let farewells = std::mem::take(&mut self.farewells).into_iter();
        farewells
            .filter_map(|farewell| {
                let theirs = server_has.iter().find(|theirs| theirs.call_id == farewell.call_id)?;
                let farewell = Farewell { decline: theirs.rings, ..farewell };
                Some((farewell.clone(), farewell.body()))
            })
            .collect()
    }

    /// The call is over on both sides: nothing more is sent for it.
    pub(super) fn forget_call(&mut self, call_id: &CallId) {
        self.farewells.retain(|farewell| farewell.call_id != *call_id);
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len() + self.farewells.len()
    }
}

fn is_offer(body: &RequestBody) -> bool {
    use crate::signaling::JsepKind;
    matches!(body, RequestBody::Update { jsep } if jsep.kind == JsepKind::Offer)
}
