//! A peer connection with a small interface: the `webrtc` crate, its settings and its workarounds.
//!
//! The workarounds are explained in docs/workarounds.md, "The media library: session descriptions" and "The media
//! library: connections".

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rtc::interceptor::Slot;
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, RTCConfigurationBuilder, RTCIceCandidateInit, RTCSessionDescription,
    Registry, StatsSelector, configure_rtcp_reports,
};
use webrtc::rtp_transceiver::RTCRtpTransceiverDirection;

use super::authentic::AuthenticStreams;
use super::guard::Protection;
use super::guarded_socket::{Gate, GuardedRuntime};
use super::identity::Identity;
use super::library::{addresses, local_track, media_engine, payload_list, settings};
use super::peer_events::{Handler, PeerEvent};
use super::relay_flush::RelayFlush;
use super::reports::ReportReader;
use super::sdp::{self, Origin, PayloadMap, Remote, SdpDirection, Setup};
use super::send::SendControl;
use super::tap::Tap;
use super::turn::{StreamServers, UdpServers};
use super::wire_types::{WireTypeWriter, WireTypes};
use super::{MediaContext, MediaError};
use crate::config::Codec;
use crate::network::Nat64Prefix;
use crate::signaling::Candidate;

/// Number of events of a peer connection that can wait for the task of its call.
const EVENTS: usize = 256;

/// What an offer and its answer together mean.
pub(super) struct Negotiated {
    /// The codec to send with.
    pub(super) codec: Codec,
    /// Payload types of the packets that we send, which are those of the far end.
    pub(super) theirs: PayloadMap,
    /// Payload types of our own description.
    pub(super) ours: PayloadMap,
}

/// The result of answering an offer.
pub(super) struct Answered {
    pub(super) sdp: String,
    pub(super) far_end_holds: bool,
    pub(super) negotiated: Negotiated,
}

/// One peer connection with one audio line.
pub(super) struct Peer {
    connection: Arc<dyn PeerConnection>,
    /// Checks each datagram of its sockets.
    pub(super) gate: Arc<Gate>,
    pub(super) track: Arc<TrackLocalStaticRTP>,
    pub(super) ssrc: u32,
    codecs: Vec<Codec>,
    mid: String,
    pub(super) origin: Origin,
    /// An offer of ours is not answered yet.
    offering: bool,
    offered: PayloadMap,
    /// The payload types that the library was given with the first description of the far end. It cannot be given
    /// others later.
    formats: Option<PayloadMap>,
    /// The payload types in the far end's last description.
    theirs: PayloadMap,
    wire_types: Arc<WireTypes>,
    /// Our DTLS role, once it is settled. It does not change for the life of the connection.
    role: Option<Setup>,
    /// Where there is no IPv4, the far end's IPv4 candidates are reached through this as well.
    nat64: Option<Nat64Prefix>,
}

impl Peer {
    /// `offer_setup` is the DTLS role that the far end takes in the offer, if this connection is to answer one.
    pub(super) async fn new(
        context: &MediaContext,
        identity: &Identity,
        ssrc: u32,
        control: Arc<SendControl>,
        origin: Origin,
        offer_setup: Option<Setup>,
    ) -> Result<(Self, mpsc::Receiver<PeerEvent>), MediaError> {
        let (events, queue) = mpsc::channel(EVENTS);
        let codecs = context.config.codecs.clone();
        let ice_servers = Arc::clone(&context.ice_servers.borrow());
        let addresses = addresses(context);
        let mut stream_servers = StreamServers::new(context.turn.clone());
        let is_ipv6_alone = addresses.iter().all(SocketAddr::is_ipv6);
        let configuration = RTCConfigurationBuilder::new()
            .with_ice_servers(ice_servers.for_library(&mut stream_servers, is_ipv6_alone))
            .with_certificates(vec![identity.certificate().await?])
            .build();
        let gate = Arc::new(Gate::new(Arc::clone(&context.dropped)));
        let wire_types = Arc::new(WireTypes::default());
        let interceptors = configure_rtcp_reports(Registry::new())
            .with(Slot::TwccSender, Tap::new(WireTypeWriter(Arc::clone(&wire_types))))
            .with(Slot::CongestionControl, Tap::new(ReportReader::new(ssrc, control)))
            .with(Slot::Pacer, Tap::new(AuthenticStreams::new(Arc::clone(&gate))));
        let building = PeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_media_engine(media_engine()?)
            .with_setting_engine(settings(offer_setup))
            .with_interceptor_registry(interceptors)
            .with_handler(Arc::new(Handler { events, stream_servers: stream_servers.clone() }))
            .with_runtime(Arc::new(GuardedRuntime {
                gate: Arc::clone(&gate),
                stream_servers,
                relay_flush: Arc::new(RelayFlush::new()),
                udp_servers: Arc::new(UdpServers::new(ice_servers.udp_servers(), Arc::clone(&context.turn.faults))),
            }))
            .with_udp_addrs(addresses)
            .build();
        // docs/workarounds.md, "webrtc: its futures are large".
        let connection = Box::pin(building).await.map_err(MediaError::library("make a peer connection"))?;
        let connection: Arc<dyn PeerConnection> = Arc::new(connection);
        let track = Arc::new(local_track(ssrc));
        let local: Arc<dyn TrackLocal> = Arc::clone(&track) as Arc<dyn TrackLocal>;
        let peer = Self {
            connection,
            gate,
            track,
            ssrc,
            codecs,
            mid: "0".into(),
            origin,
            offering: false,
            offered: PayloadMap::default(),
            formats: None,
            theirs: PayloadMap::default(),
            wire_types,
            role: None,
            nat64: ice_servers.nat64().filter(|_| is_ipv6_alone),
        };
        if let Err(error) = peer.connection.add_track(local).await {
            // docs/workarounds.md, "webrtc: a dropped connection leaks".
            peer.close().await;
            return Err(MediaError::library("add the microphone's track")(error));
        }
        Ok((peer, queue))
    }

    /// Makes an offer and starts to gather candidates. Returns the text to send.
    pub(super) async fn offer(&mut self) -> Result<String, MediaError> {
        let offer = self.connection.create_offer(None).await.map_err(MediaError::library("make an offer"))?;
        self.stage_offer(offer).await
    }

    /// Makes an offer with new ICE credentials and new sockets. Returns the text to send.
    pub(super) async fn restart(&mut self) -> Result<String, MediaError> {
        self.connection.restart_ice().await.map_err(MediaError::library("restart ICE"))?;
        self.offer().await
    }

    async fn stage_offer(&mut self, offer: RTCSessionDescription) -> Result<String, MediaError> {
        // A payload type keeps its meaning for as long as the session lasts (RFC 3264, section 8.3.2).
        self.offered = self.theirs.accepted(&self.codecs).completed(&payload_list(&self.codecs));
        let sent = sdp::offer_to_send(&offer.sdp, &self.offered, &mut self.origin);
        self.tell_guard_of_us(&offer.sdp);
        // docs/workarounds.md, "webrtc: only its own description can be applied".
        self.connection.set_local_description(offer).await.map_err(MediaError::library("apply our offer"))?;
        self.offering = true;
        Ok(sent)
    }

    /// Whether an offer of ours is not answered yet.
    pub(super) fn is_offering(&self) -> bool {
        self.offering
    }

    /// The payload type with which packets of a codec are written; `None` if the far end does not accept the codec.
    pub(super) fn speech_type(&self, codec: Codec) -> Option<u8> {
        self.theirs.speech_type(codec)?;
        self.formats.as_ref()?.speech_type(codec)
    }

    /// The payload type with which telephone events that accompany a codec are written, and their clock.
    pub(super) fn event_type(&self, codec: Codec) -> Option<(u8, u32)> {
        let (_, rate_hz) = self.theirs.event_type(codec)?;
        let (number, _) = self.formats.as_ref()?.event_type(codec)?;
        Some((number, rate_hz))
    }

    /// From now on, packets go out with the payload types of the far end.
    fn take_numbers(&mut self, theirs: PayloadMap, codec: Codec) {
        self.theirs = theirs;
        for codec in Codec::ALL {
            if let (Some(written), Some(number)) = (self.speech_type(codec), self.theirs.speech_type(codec)) {
                self.wire_types.set(written, number);
            }
        }
        if let (Some((written, _)), Some((number, _))) = (self.event_type(codec), self.theirs.event_type(codec)) {
            self.wire_types.set(written, number);
        }
    }

    /// The payload types that the library is given, which are always the first ones (docs/workarounds.md, "webrtc:
    /// payload types freeze at the first description"). There are no more of them than needed (docs/workarounds.md,
    /// "webrtc: a long list of formats is slow").
    fn formats(&mut self, theirs: &PayloadMap) -> PayloadMap {
        self.formats.get_or_insert_with(|| theirs.completed(&payload_list(&Codec::ALL))).clone()
    }

    /// Applies the far end's answer. Returns `None` if there is no offer of ours to answer.
    pub(super) async fn apply_answer(&mut self, remote: &Remote) -> Result<Option<Negotiated>, MediaError> {
        if !self.offering {
            return Ok(None);
        }
        let codec = remote.codec(&self.codecs)?;
        let remote = self.reachable(remote);
        self.tell_guard_of_them(&remote);
        let theirs = remote.payloads().clone();
        let formats = self.formats(&theirs);
        let role = *self.role.get_or_insert_with(|| remote.setup().unwrap_or(Setup::Active).opposite());
        let text = remote.to_apply(&self.mid, &formats, role.opposite());
        let description =
            RTCSessionDescription::answer(text).map_err(MediaError::library("read the far end's answer"))?;
        let applied = self.connection.set_remote_description(description).await;
        applied.map_err(MediaError::library("apply the far end's answer"))?;
        self.offering = false;
        self.take_numbers(theirs.clone(), codec);
        // Chromium sends what we offered even where its answer leaves it out (docs/workarounds.md, "chromium: it sends
        // what its answer leaves out").
        Ok(Some(Negotiated { codec, theirs, ours: self.offered.clone() }))
    }

    /// Answers an offer. An offer of our own that is not answered yet is rolled back.
    pub(super) async fn answer(&mut self, remote: &Remote) -> Result<Answered, MediaError> {
        let codec = remote.codec(&self.codecs)?;
        let remote = self.reachable(remote);
        self.tell_guard_of_them(&remote);
        let theirs = remote.payloads().clone();
        if self.offering {
            let back = RTCSessionDescription::rollback(None).map_err(MediaError::library("take our offer back"))?;
            let taken_back = self.connection.set_local_description(back).await;
            taken_back.map_err(MediaError::library("take our offer back"))?;
            self.offering = false;
        }
        self.mid = remote.mid().to_owned();
        let formats = self.formats(&theirs);
        let offered = if self.role.is_none() { remote.setup().unwrap_or(Setup::ActPass) } else { Setup::ActPass };
        let text = remote.to_apply(&self.mid, &formats, offered);
        let description =
            RTCSessionDescription::offer(text).map_err(MediaError::library("read the far end's offer"))?;
        if let Err(error) = self.connection.set_remote_description(description).await {
            // docs/workarounds.md, "webrtc: its reader of descriptions is strict".
            if let Ok(back) = RTCSessionDescription::rollback(None) {
                let _ = self.connection.set_remote_description(back).await;
            }
            return Err(MediaError::library("apply the far end's offer")(error));
        }
        let direction = remote.direction();
        self.set_direction(direction).await?;
        let answer = self.connection.create_answer(None).await.map_err(MediaError::library("make an answer"))?;
        let role = *self.role.get_or_insert(offered.opposite());
        let ours = theirs.accepted(&self.codecs);
        // If a re-offer names a role again, the answer names the opposite one. The DTLS connection itself keeps its
        // roles.
        let said = remote.setup().filter(|setup| *setup != Setup::ActPass).map_or(role, Setup::opposite);
        let sdp = remote.answer_to_send(&answer.sdp, &ours, said, &mut self.origin);
        self.tell_guard_of_us(&answer.sdp);
        // docs/workarounds.md, "webrtc: only its own description can be applied".
        self.connection.set_local_description(answer).await.map_err(MediaError::library("apply our answer"))?;
        self.take_numbers(theirs.clone(), codec);
        Ok(Answered { sdp, far_end_holds: direction.is_hold(), negotiated: Negotiated { codec, theirs, ours } })
    }

    /// The library does not intersect directions (docs/workarounds.md, "webrtc: directions are not intersected").
    async fn set_direction(&self, theirs: SdpDirection) -> Result<(), MediaError> {
        let ours = match theirs {
            SdpDirection::SendRecv => RTCRtpTransceiverDirection::Sendrecv,
            SdpDirection::SendOnly => RTCRtpTransceiverDirection::Recvonly,
            SdpDirection::RecvOnly => RTCRtpTransceiverDirection::Sendonly,
            SdpDirection::Inactive => RTCRtpTransceiverDirection::Inactive,
        };
        for transceiver in self.connection.get_transceivers().await {
            let mid = transceiver.mid().await.ok().flatten();
            if mid.as_deref() == Some(self.mid.as_str()) {
                transceiver.set_direction(ours).await.map_err(MediaError::library("change the direction of sound"))?;
            }
        }
        Ok(())
    }

    /// Adds a candidate of the far end. Returns whether it can be used; an unusable candidate is not an error.
    pub(super) async fn add_candidate(&self, candidate: Candidate) -> bool {
        let Some(usable) = sdp::candidate::usable(&candidate.candidate) else { return false };
        let through_nat64 = self.nat64.and_then(|nat64| sdp::candidate::through_nat64(&usable, nat64));
        let mid = candidate.sdp_mid.filter(|mid| !mid.is_empty()).unwrap_or_else(|| self.mid.clone());
        let mut taken = false;
        for usable in [Some(usable), through_nat64].into_iter().flatten() {
            taken |= self.add_usable(usable, mid.clone(), candidate.sdp_m_line_index).await;
        }
        taken
    }

    async fn add_usable(&self, usable: String, mid: String, line: Option<u16>) -> bool {
        if let Some(address) = sdp::candidate::address(&usable) {
            self.gate.tell(|guard| guard.remote_candidate(address, Instant::now()));
        }
        let init = RTCIceCandidateInit {
            candidate: usable,
            // docs/workarounds.md, "janus: candidates come without a mid".
            sdp_mid: Some(mid),
            sdp_mline_index: line.or(Some(0)),
            ..Default::default()
        };
        let taken = self.connection.add_ice_candidate(init).await;
        if let Err(error) = &taken {
            tracing::debug!(%error, "the WebRTC library refused a candidate of the far end");
        }
        taken.is_ok()
    }

    /// Returns how SRTP is protected, or `None` before there are keys. The library reports "connected" in other states
    /// too (docs/workarounds.md, "rtc: a closed dtls counts as connected"). Nothing else is taken from its statistics
    /// (docs/workarounds.md, "webrtc: statistics of loss and jitter are wrong").
    pub(super) async fn protection(&self) -> Option<Protection> {
        let stats = self.connection.get_stats(Instant::now(), StatsSelector::None).await;
        let cipher = stats.transport().map(|transport| transport.srtp_cipher.as_str()).unwrap_or_default();
        match cipher {
            "SRTP_AEAD_AES_128_GCM" | "SRTP_AEAD_AES_256_GCM" => Some(Protection::AesGcm),
            "SRTP_AES128_CM_HMAC_SHA1_80" => Some(Protection::AesCm),
            _ => None,
        }
    }

    /// A description of the far end, with candidates that can be reached from here.
    fn reachable<'a>(&self, remote: &'a Remote) -> Cow<'a, Remote> {
        match self.nat64 {
            Some(nat64) => Cow::Owned(remote.clone().through_nat64(nat64)),
            None => Cow::Borrowed(remote),
        }
    }

    /// Tells the guard what it needs from a description of ours.
    fn tell_guard_of_us(&self, description: &str) {
        let find = |name: &str| description.lines().find_map(|line| line.trim().strip_prefix(name));
        if let (Some(ufrag), Some(password)) = (find("a=ice-ufrag:"), find("a=ice-pwd:")) {
            self.gate.tell(|guard| guard.local_credentials(ufrag, password));
        }
        let numbers = self.offered.entries().iter().map(|(number, _)| *number);
        self.gate.tell(|guard| numbers.for_each(|number| guard.payload_type(number)));
    }

    /// Tells the guard what it needs from a description of the far end.
    fn tell_guard_of_them(&self, remote: &Remote) {
        let now = Instant::now();
        self.gate.tell(|guard| {
            remote.addresses().for_each(|address| guard.remote_candidate(address, now));
            remote.payloads().entries().iter().for_each(|(number, _)| guard.payload_type(*number));
            if let Some(ssrc) = remote.ssrc() {
                guard.stream(ssrc);
            }
        });
    }

    /// Closes the connection. Every way out must call this (docs/workarounds.md, "webrtc: a dropped connection leaks").
    pub(super) async fn close(&self) {
        let _ = self.connection.close().await;
    }
}
