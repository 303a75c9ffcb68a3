//! One account's side of a call.

use crate::core::{Direction, Time};
use crate::signaling::{CallId, CallLogEntry, Event, EventBody, LogMessage, Request, RequestBody};

/// Entries of a call's log that are kept.
const MAX_LOG: usize = 64;

/// A line of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) account: usize,
    pub(super) line: usize,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LegState {
    Ringing,
    Up,
}

/// A renegotiation that this side asked for and the far side has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PendingUpdate {
    pub(super) transaction: String,
    /// `update` with an offer of its own, rather than hold or unhold.
    pub(super) wants_answer: bool,
    /// A far side that has not answered by then will not: its answer went down with its connection.
    pub(super) until: Time,
}

#[derive(Debug, Clone)]
pub(super) struct Leg {
    pub(super) call_id: CallId,
    pub(super) direction: Direction,
    pub(super) state: LegState,
    pub(super) far: Seat,
    /// The last description of this side, for re-offers in its name.
    pub(super) sdp: Option<String>,
    /// Transaction of the `outgoing_call`, which all its events carry.
    pub(super) transaction: Option<String>,
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

    /// Newest first.
    pub(super) fn logs(&self) -> Vec<CallLogEntry> {
        self.log.iter().rev().cloned().collect()
    }

    pub(super) fn log_event(&mut self, at_ms: i64, transaction: Option<&str>, body: &EventBody) {
        let event =
            Event { transaction: transaction.map(str::to_owned), line: None, call_id: None, body: body.clone() };
        self.log(at_ms, LogMessage::Event(Box::new(event)));
    }

    pub(super) fn log_request(&mut self, at_ms: i64, transaction: &str, body: &RequestBody) {
        let request = Request { transaction: transaction.to_owned(), line: None, call_id: None, body: body.clone() };
        self.log(at_ms, LogMessage::Request(request));
    }

    fn log(&mut self, at_ms: i64, message: LogMessage) {
        if self.log.len() >= MAX_LOG {
            // The first entry tells what call this is; the second is the oldest that can go.
            self.log.remove(1);
        }
        self.log.push(CallLogEntry(at_ms, message));
    }
}
