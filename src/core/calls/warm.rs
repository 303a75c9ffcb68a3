//! Keeps the warm peer connection ready for the next outgoing call.

use std::time::Duration;

use super::candidate_queue::CandidateQueue;
use super::control::CallControl;
use super::warm_peer::{ReadyPeer, WarmPeer};
use crate::core::api::{MediaCommand, MediaEvent};
use crate::signaling::Trickle;

/// The warm peer connection is replaced after this time, because candidates expire (docs/protocol.md, "Requests").
const LIFETIME: Duration = Duration::from_secs(300);
/// If the warm peer connection has failed, another one is made after this time.
const RETRY: Duration = Duration::from_secs(10);

impl CallControl<'_> {
    pub(super) fn warm_media_event(&mut self, event: MediaEvent) {
        let WarmPeer::Ready(ready) = &mut self.calls.warm else { return };
        match event {
            MediaEvent::LocalOffer { sdp } => ready.offer = Some(sdp),
            MediaEvent::LocalCandidate(candidate) => {
                ready.candidates.gathered(Trickle::Candidate(candidate));
            }
            MediaEvent::CandidatesComplete => {
                ready.candidates.gathered(Trickle::Completed);
            }
            MediaEvent::Failed(message) => {
                self.cx.protocol_problem(format!("no peer connection for the next call: {message}"));
                self.close_warm();
                self.calls.warm = WarmPeer::RetryAt(self.cx.now.at + RETRY);
            }
            _ => {}
        }
    }

    /// Keeps a warm peer connection while calls can go out.
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
            self.calls.warm =
                WarmPeer::Ready(ReadyPeer { media, offer: None, candidates: CandidateQueue::default(), remake_at });
        }
    }

    pub(in crate::core) fn close_warm(&mut self) {
        if let Some(ready) = self.calls.warm.take() {
            self.media(ready.media, MediaCommand::Close);
        }
    }
}
