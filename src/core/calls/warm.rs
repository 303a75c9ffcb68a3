//! The peer connection that is kept ready for the next outgoing call, so that a press only has to send.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::MAX_CANDIDATES;
use super::control::CallControl;
use crate::core::api::{MediaCommand, MediaEvent, MediaId};
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;
use crate::signaling::Trickle;

/// It is remade after this time, so that its candidates are fresh (docs/protocol.md, "Requests").
const LIFETIME: Duration = Duration::from_secs(300);
/// After a failure it is made again this much later.
const RETRY: Duration = Duration::from_secs(10);

/// The peer connection of the next outgoing call.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) enum WarmPeer {
    /// There is none: the session is not registered.
    #[default]
    None,
    /// It could not be made.
    RetryAt(Time),
    Ready(ReadyPeer),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ReadyPeer {
    pub(super) media: MediaId,
    pub(super) offer: Option<String>,
    pub(super) candidates: VecDeque<Trickle>,
    remake_at: Time,
}

impl WarmPeer {
    pub(super) fn is(&self, media: MediaId) -> bool {
        matches!(self, Self::Ready(ready) if ready.media == media)
    }

    /// Takes it away, for a call or to be closed.
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

impl CallControl<'_> {
    pub(super) fn warm_media_event(&mut self, event: MediaEvent) {
        let WarmPeer::Ready(ready) = &mut self.calls.warm else { return };
        match event {
            MediaEvent::LocalOffer { sdp } => ready.offer = Some(sdp),
            MediaEvent::LocalCandidate(candidate) if ready.candidates.len() < MAX_CANDIDATES => {
                ready.candidates.push_back(Trickle::Candidate(candidate));
            }
            MediaEvent::CandidatesComplete => ready.candidates.push_back(Trickle::Completed),
            MediaEvent::Failed(words) => {
                self.cx.protocol_problem(format!("no peer connection for the next call: {words}"));
                self.close_warm();
                self.calls.warm = WarmPeer::RetryAt(self.cx.now.at + RETRY);
            }
            _ => {}
        }
    }

    /// Keeps a peer connection ready while calls can go out.
    pub(in crate::core) fn settle_warm(&mut self) {
        let now = self.cx.now.at;
        match &self.calls.warm {
            WarmPeer::Ready(ready) if now >= ready.remake_at => self.close_warm(),
            WarmPeer::RetryAt(at) if now >= *at => self.calls.warm = WarmPeer::None,
            WarmPeer::None | WarmPeer::RetryAt(_) | WarmPeer::Ready(_) => {}
        }
        let wanted = self.session.is_registered() && !self.cx.shutting_down;
        if wanted && matches!(self.calls.warm, WarmPeer::None) {
            let media = self.new_media(MediaCommand::Offer);
            let remake_at = now + LIFETIME;
            self.calls.warm = WarmPeer::Ready(ReadyPeer { media, offer: None, candidates: VecDeque::new(), remake_at });
        }
    }

    pub(in crate::core) fn close_warm(&mut self) {
        if let Some(ready) = self.calls.warm.take() {
            self.media(ready.media, MediaCommand::Close);
        }
    }
}
