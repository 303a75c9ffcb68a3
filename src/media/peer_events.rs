//! What a peer connection of the library reports.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionIceEvent, RTCPeerConnectionState,
};

use crate::signaling::Candidate;

/// What a peer connection reports.
pub(super) enum PeerEvent {
    Candidate(Candidate),
    CandidatesComplete,
    Connected,
    Disconnected,
    Failed,
    Track(Arc<dyn TrackRemote>),
}

pub(super) struct Handler(pub(super) mpsc::Sender<PeerEvent>);

// Handlers run inside the driver of the connection, which also moves media (docs/workarounds.md, "webrtc: handlers run
// inside the driver"). So they only queue an event and never wait.
#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let Ok(init) = event.candidate.to_json() else { return };
        if is_usable(&init.candidate) {
            // The library leaves the mid empty (docs/workarounds.md, "webrtc: local candidates have an empty mid").
            let mid = init.sdp_mid.filter(|mid| !mid.is_empty()).unwrap_or_else(|| "0".into());
            let candidate = Candidate {
                candidate: init.candidate.into(),
                sdp_mid: Some(mid),
                sdp_m_line_index: Some(init.sdp_mline_index.unwrap_or(0)),
            };
            let _ = self.0.try_send(PeerEvent::Candidate(candidate));
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.0.try_send(PeerEvent::CandidatesComplete);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let event = match state {
            RTCPeerConnectionState::Connected => PeerEvent::Connected,
            RTCPeerConnectionState::Disconnected => PeerEvent::Disconnected,
            RTCPeerConnectionState::Failed => PeerEvent::Failed,
            _ => return,
        };
        let _ = self.0.try_send(event);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let _ = self.0.try_send(PeerEvent::Track(track));
    }
}

/// Whether a local candidate may be reachable. A wildcard socket of an address family without an interface produces a
/// candidate that nobody can reach (docs/workarounds.md, "webrtc: a wildcard candidate may be useless"). mDNS is off
/// (docs/workarounds.md, "webrtc: mdns queries are on by default"), so nobody would answer for a `.local` name.
fn is_usable(candidate: &str) -> bool {
    let address = candidate.split(' ').nth(4).unwrap_or_default();
    !candidate.contains(".local") && address.parse::<IpAddr>().is_ok_and(|address| !address.is_unspecified())
}
