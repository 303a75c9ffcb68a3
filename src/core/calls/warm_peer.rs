//! The warm peer connection: the one of the next outgoing call.

use serde::{Deserialize, Serialize};

use super::candidate_queue::CandidateQueue;
use crate::core::api::MediaId;
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;
use crate::secret::Sdp;

/// The warm peer connection: a peer connection that is made before anybody presses a button.
///
/// Its offer and its candidates are ready. So a press only has to send them, and the next outgoing call takes this peer
/// connection as its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) enum WarmPeer {
    /// There is none.
    #[default]
    None,
    /// It could not be made. The next attempt is at this time.
    RetryAt(Time),
    Ready(ReadyPeer),
}

/// A warm peer connection with what it has made so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ReadyPeer {
    pub(super) media: MediaId,
    pub(super) offer: Option<Sdp>,
    pub(super) candidates: CandidateQueue,
    pub(super) remake_at: Time,
}

impl WarmPeer {
    pub(super) fn is(&self, media: MediaId) -> bool {
        matches!(self, Self::Ready(ready) if ready.media == media)
    }

    /// Removes and returns it, for a call or to close it.
    pub(super) fn take(&mut self) -> Option<ReadyPeer> {
        match std::mem::take(self) {
            Self::Ready(ready) => Some(ready),
            other => {
                *self = other;
                None
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        let at = match self {
            Self::None => return None,
            Self::RetryAt(at) => *at,
            Self::Ready(ready) => ready.remake_at,
        };
        Some(Deadline::new(at, DeadlineReason::WarmPeerConnection))
    }
}
