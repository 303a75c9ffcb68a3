//! Our ICE candidates until the server knows the call (docs/protocol.md, "Order matters").

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::signaling::Trickle;

/// The most candidates of one call that wait.
const MAX_CANDIDATES: usize = 64;

/// The candidates of one peer connection. They wait, in order, until the server knows the call; from then on each is
/// sent at once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct CandidateQueue {
    waiting: VecDeque<Trickle>,
    open: bool,
}

impl CandidateQueue {
    /// Whether the server knows the call.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Takes a candidate. Returns it if it can be sent now.
    pub(super) fn gathered(&mut self, candidate: Trickle) -> Option<Trickle> {
        if self.open {
            return Some(candidate);
        }
        // There is always room for the end of the candidates.
        let is_first_end = candidate == Trickle::Completed && self.waiting.back() != Some(&candidate);
        if self.waiting.len() < MAX_CANDIDATES || is_first_end {
            self.waiting.push_back(candidate);
        }
        None
    }

    /// The server knows the call. Returns what has waited.
    pub(super) fn open(&mut self) -> VecDeque<Trickle> {
        self.open = true;
        std::mem::take(&mut self.waiting)
    }

    /// The server does not know the call (any more): candidates wait.
    pub(super) fn close(&mut self) {
        self.open = false;
    }

    /// The peer connection is replaced: its candidates are worth nothing.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}
