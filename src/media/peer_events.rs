//! What a peer connection of the library reports.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionIceEvent, RTCPeerConnectionState,
};

use super::turn::StreamServers;
use crate::config::IceTransport;
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

pub(super) struct Handler {
    pub(super) events: mpsc::Sender<PeerEvent>,
    /// The TURN servers that are reached over a stream.
    pub(super) stream_servers: StreamServers,
}

// Handlers run inside the driver of the connection, which also moves media (docs/workarounds.md, "webrtc: handlers run
// inside the driver"). So they only queue an event and never wait.
#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let Ok(init) = event.candidate.to_json() else { return };
        if is_usable(&init.candidate) {
            // The library leaves the mid empty (docs/workarounds.md, "webrtc: local candidates have an empty mid").
            let mid = init.sdp_mid.filter(|mid| !mid.is_empty()).unwrap_or_else(|| "0".into());
            let transport = self.stream_servers.transport_of(&event.url);
            let candidate = Candidate {
                candidate: with_priority_of(transport, init.candidate).into(),
                sdp_mid: Some(mid),
                sdp_m_line_index: Some(init.sdp_mline_index.unwrap_or(0)),
            };
            let _ = self.events.try_send(PeerEvent::Candidate(candidate));
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.events.try_send(PeerEvent::CandidatesComplete);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let event = match state {
            RTCPeerConnectionState::Connected => PeerEvent::Connected,
            RTCPeerConnectionState::Disconnected => PeerEvent::Disconnected,
            RTCPeerConnectionState::Failed => PeerEvent::Failed,
            _ => return,
        };
        let _ = self.events.try_send(event);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let _ = self.events.try_send(PeerEvent::Track(track));
    }
}

/// Whether a local candidate may be reachable. A wildcard socket of an address family without an interface produces a
/// candidate that nobody can reach (docs/workarounds.md, "webrtc: a wildcard candidate may be useless"). mDNS is off
/// (docs/workarounds.md, "webrtc: mdns queries are on by default"), so nobody would answer for a `.local` name.
fn is_usable(candidate: &str) -> bool {
    let address = candidate.split(' ').nth(4).unwrap_or_default();
    !candidate.contains(".local") && address.parse::<IpAddr>().is_ok_and(|address| !address.is_unspecified())
}

/// A local candidate with the priority of its relay's transport (docs/workarounds.md, "webrtc: all relays have the same
/// priority"). A relay over UDP is better than one over TCP, and that is better than one over TLS (RFC 8445, section
/// 5.1.2.1, leaves the local preference to us).
fn with_priority_of(transport: Option<IceTransport>, candidate: String) -> String {
    let less = match transport {
        Some(IceTransport::TurnTcp) => 0x4000 << 8,
        Some(IceTransport::TurnTls) => 0x8000 << 8,
        Some(IceTransport::Stun | IceTransport::TurnUdp) | None => return candidate,
    };
    let mut fields: Vec<String> = candidate.split(' ').map(str::to_owned).collect();
    if let Some(field) = fields.get_mut(3)
        && let Ok(priority) = field.parse::<u32>()
    {
        *field = priority.saturating_sub(less).max(1).to_string();
    }
    fields.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_are_preferred_by_their_transport() {
        let candidate = "candidate:1 1 udp 16777215 192.0.2.9 5000 typ relay raddr 10.0.0.1 rport 9";
        let priority = |transport| {
            let line = with_priority_of(transport, candidate.into());
            assert!(line.ends_with("192.0.2.9 5000 typ relay raddr 10.0.0.1 rport 9"), "{line}");
            line.split(' ').nth(3).and_then(|field| field.parse::<u32>().ok()).expect("a priority")
        };
        assert_eq!(priority(None), 16_777_215);
        assert!(priority(None) > priority(Some(IceTransport::TurnTcp)));
        assert!(priority(Some(IceTransport::TurnTcp)) > priority(Some(IceTransport::TurnTls)));
    }
}
