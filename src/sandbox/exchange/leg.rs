//! One account's side of a call.

use crate::core::{Direction, Time};
use crate::signaling::{CallId, CallLogEntry, Event, EventBody, LogMessage, Request, RequestBody, TransactionId};

/// Entries of a call's log that are kept.
const MAX_LOG: usize = 64;

/// A line of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) account: usize,
    pub(super) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LegState {
    Ringing,
    Up,
}

/// A renegotiation that this side asked for and that the far side has not answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PendingUpdate {
    pub(super) transaction: TransactionId,
    /// The request was an `update` with an offer, so this side needs the answer. False for hold and unhold.
    pub(super) wants_answer: bool,
    /// If the far side has not answered by then, its answer was lost with its connection.
    pub(super) until: Time,
}

#[derive(Debug, Clone)]
pub(super) struct Leg {
    pub(super) call_id: CallId,
    pub(super) direction: Direction,
    pub(super) state: LegState,
    pub(super) far: Seat,
    /// The last description of this side, for re-offers on its behalf.
    pub(super) sdp: Option<String>,
    /// The transaction of the `outgoing_call`. All events that follow from it carry this transaction.
    pub(super) transaction: Option<TransactionId>,
    pub(super) update: Option<PendingUpdate>,
    /// The call that this one replaces when it is accepted.
    pub(super) replaces: Option<CallId>,
    log: Vec<CallLogEntry>,
}

impl Leg {
    pub(super) fn new(call_id: CallId, direction: Direction, far: Seat, sdp: Option<String>) -> Self {
        Self {
            call_id,
            direction,
            state: LegState::Ringing,
            far,
            sdp,
            transaction: None,
            update: None,
            replaces: None,
            log: Vec::new(),
        }
    }

    /// The entries of the log, newest first.
    pub(super) fn logs(&self) -> Vec<CallLogEntry> {
        self.log.iter().rev().cloned().collect()
    }

    pub(super) fn log_event(&mut self, at_ms: i64, transaction: Option<&TransactionId>, body: &EventBody) {
        let event = Event { transaction: transaction.cloned(), line: None, call_id: None, body: body.clone() };
        self.log(at_ms, LogMessage::Event(Box::new(event)));
    }

    pub(super) fn log_request(&mut self, at_ms: i64, transaction: &TransactionId, body: &RequestBody) {
        let request = Request { transaction: transaction.clone(), line: None, call_id: None, body: body.clone() };
        self.log(at_ms, LogMessage::Request(request));
    }

    fn log(&mut self, at_ms: i64, message: LogMessage) {
        if self.log.len() >= MAX_LOG {
            // The first entry says which call this is, so the second one is the oldest that can be removed.
            self.log.remove(1);
        }
        self.log.push(CallLogEntry(at_ms, message));
    }
}
