//! A peer connection with a small interface: the `webrtc` crate, its settings and its workarounds.
//!
//! The workarounds are explained in docs/workarounds.md, "The media library: session descriptions" and "The media
//! library: connections".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::Slot;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::certificate::CertificateParams;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_OPUS, MIME_TYPE_PCMA, MIME_TYPE_PCMU, MIME_TYPE_TELEPHONE_EVENT,
};
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::sync::{Mutex, mpsc};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCCertificate,
    RTCConfigurationBuilder, RTCIceCandidateInit, RTCIceGatheringState, RTCIceServer, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState, RTCSessionDescription, Registry, SettingEngineBuilder, StatsSelector,
    configure_rtcp_reports,
};
use webrtc::rtp_transceiver::RTCRtpTransceiverDirection;

use super::authentic::AuthenticStreams;
use super::guard::Protection;
use super::guarded_socket::{Gate, GuardedRuntime};
use super::reports::ReportReader;
use super::sdp::{self, EVENT_RATE_HZ, Origin, Payload, PayloadMap, Remote, SdpDirection, Setup};
use super::send::SendControl;
use super::tap::Tap;
use super::wire_types::{WireTypeWriter, WireTypes};
use super::{MediaContext, MediaError};
use crate::config::{Codec, IceServer};
use crate::signaling::Candidate;

/// Number of events of a peer connection that can wait for the task of its call.
const EVENTS: usize = 256;
/// Interval of connectivity checks (RFC 8445, section 14.2, "Ta", allows 5 ms). The library's 200 ms can be heard as a
/// late start of every call.
const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Checks of a candidate pair before it is given up: 10 s, since the far end may answer late.
const ICE_CHECKS: u16 = 500;
/// A pair counts as lost when nothing at all has come from the far end for this long
/// (`core::MediaEvent::Disconnected`).
const ICE_DISCONNECTED: Duration = Duration::from_secs(2);
/// A lost pair is kept for this much longer, because it may recover.
const ICE_FAILED: Duration = Duration::from_secs(60);
/// Interval of consent checks (RFC 7675). It is short, so that several answers may be lost.
const ICE_CONSENT_INTERVAL: Duration = Duration::from_millis(400);
/// Time limit for the name resolution of a STUN or TURN server.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);
/// The SRTP profiles that authenticate every packet with a tag of full length, the strongest first.
const PROTECTION: [SrtpProtectionProfile; 3] = [
    SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
    SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
];
/// A certificate that expires within this time is replaced.
const CERTIFICATE_MARGIN: Duration = Duration::from_secs(24 * 3600);

/// The DTLS certificate of one call. It is generated when it is first needed, and used by every peer connection of the
/// call.
#[derive(Default)]
pub(super) struct Identity(Mutex<Option<RTCCertificate>>);

impl Identity {
    async fn certificate(&self) -> Result<RTCCertificate, MediaError> {
        let mut kept = self.0.lock().await;
        let fresh = |certificate: &RTCCertificate| certificate.expires > SystemTime::now() + CERTIFICATE_MARGIN;
        if let Some(certificate) = kept.as_ref().filter(|certificate| fresh(certificate)) {
            return Ok(certificate.clone());
        }
        const MAKE: &str = "make a DTLS certificate";
        let provider = rtc::crypto::default_provider().map_err(MediaError::library(MAKE))?;
        let parameters = CertificateParams::new(vec!["callbox".to_owned()]).map_err(MediaError::library(MAKE))?;
        let scheme = rtc::crypto::SignatureScheme::EcdsaP256Sha256;
        let certificate =
            RTCCertificate::generate(provider.crypto(), scheme, parameters).map_err(MediaError::library(MAKE))?;
        *kept = Some(certificate.clone());
        Ok(certificate)
    }
}

/// What a peer connection reports.
pub(super) enum PeerEvent {
    Candidate(Candidate),
    CandidatesComplete,
    Connected,
    Disconnected,
    Failed,
    Track(Arc<dyn TrackRemote>),
}

struct Handler(mpsc::Sender<PeerEvent>);

// Handlers run inside the driver of the connection, which also moves media. So they only queue an event and never wait.
#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let Ok(init) = event.candidate.to_json() else { return };
        if is_usable(&init.candidate) {
            // The library leaves the mid empty (docs/workarounds.md, "webrtc: local candidates have an empty mid").
            let mid = init.sdp_mid.filter(|mid| !mid.is_empty()).unwrap_or_else(|| "0".into());
            let candidate = Candidate {
                candidate: init.candidate,
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
/// candidate that nobody can reach.
fn is_usable(candidate: &str) -> bool {
    let address = candidate.split(' ').nth(4).unwrap_or_default();
    !candidate.contains(".local") && address.parse::<IpAddr>().is_ok_and(|address| !address.is_unspecified())
}

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
        // Waiting for the handshake is faster with this library. So we begin it only if the far end waits.
        let answering = match offer_setup {
            Some(Setup::Passive) => RTCDtlsRole::Client,
            _ => RTCDtlsRole::Server,
        };
        let settings = SettingEngineBuilder::new()
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_answering_dtls_role(answering)
            .with_srtp_protection_profiles(PROTECTION.to_vec())
            .with_discard_local_candidates_during_ice_restart(true)
            .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(ICE_FAILED), Some(ICE_CONSENT_INTERVAL))
            .with_ice_connection_attempts(Some(ICE_CHECK_INTERVAL), Some(ICE_CHECKS))
            .build();
        let configuration = RTCConfigurationBuilder::new()
            .with_ice_servers(resolve(&context.config.ice_servers).await)
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
            .with_setting_engine(settings)
            .with_interceptor_registry(interceptors)
            .with_runtime(Arc::new(GuardedRuntime(Arc::clone(&gate))))
            .with_handler(Arc::new(Handler(events)))
            .with_udp_addrs(addresses(context))
            .build();
        let connection = Box::pin(building).await.map_err(MediaError::library("make a peer connection"))?;
        let connection: Arc<dyn PeerConnection> = Arc::new(connection);
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            "callbox".to_owned(),
            "audio".to_owned(),
            "audio".to_owned(),
            RtpCodecKind::Audio,
            // With an empty codec, all of our codecs are offered (docs/workarounds.md, "webrtc: a track with one codec
            // offers that codec alone").
            vec![RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
                codec: RTCRtpCodec::default(),
                ..Default::default()
            }],
        )));
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
        };
        if let Err(error) = peer.connection.add_track(local).await {
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

    /// The payload types that the library is given, which are always the first ones.
    fn formats(&mut self, theirs: &PayloadMap) -> PayloadMap {
        self.formats.get_or_insert_with(|| theirs.completed(&payload_list(&Codec::ALL))).clone()
    }

    /// Applies the far end's answer. Returns `None` if there is no offer of ours to answer.
    pub(super) async fn apply_answer(&mut self, remote: &Remote) -> Result<Option<Negotiated>, MediaError> {
        if !self.offering {
            return Ok(None);
        }
        let codec = remote.codec(&self.codecs)?;
        self.tell_guard_of_them(remote);
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
        self.tell_guard_of_them(remote);
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
        if let Some(address) = sdp::candidate::address(&usable) {
            self.gate.tell(|guard| guard.remote_candidate(address, Instant::now()));
        }
        let init = RTCIceCandidateInit {
            candidate: usable,
            sdp_mid: Some(candidate.sdp_mid.filter(|mid| !mid.is_empty()).unwrap_or_else(|| self.mid.clone())),
            sdp_mline_index: candidate.sdp_m_line_index.or(Some(0)),
            ..Default::default()
        };
        let taken = self.connection.add_ice_candidate(init).await;
        if let Err(error) = &taken {
            tracing::debug!(%error, "the WebRTC library refused a candidate of the far end");
        }
        taken.is_ok()
    }

    /// Returns how SRTP is protected, or `None` before there are keys. The library reports "connected" in other states
    /// too.
    pub(super) async fn protection(&self) -> Option<Protection> {
        let stats = self.connection.get_stats(Instant::now(), StatsSelector::None).await;
        let cipher = stats.transport().map(|transport| transport.srtp_cipher.as_str()).unwrap_or_default();
        match cipher {
            "SRTP_AEAD_AES_128_GCM" | "SRTP_AEAD_AES_256_GCM" => Some(Protection::AesGcm),
            "SRTP_AES128_CM_HMAC_SHA1_80" => Some(Protection::AesCm),
            _ => None,
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

    pub(super) async fn close(&self) {
        let _ = self.connection.close().await;
    }
}

/// The payload type of Opus in our offers.
pub(crate) const OPUS_TYPE: u8 = 111;

/// What we offer, with the payload types of a first offer.
pub(super) fn payload_list(codecs: &[Codec]) -> Vec<(u8, Payload)> {
    let number = |codec: &Codec| match codec {
        Codec::Opus => OPUS_TYPE,
        Codec::Pcma => 8,
        Codec::Pcmu => 0,
    };
    let speech = codecs.iter().map(|codec| (number(codec), Payload::Speech(*codec)));
    speech.chain([(101, Payload::TelephoneEvent { rate_hz: EVENT_RATE_HZ })]).collect()
}

/// Registers all of our codecs with the library. The descriptions that are sent decide which of them a call may use.
fn media_engine() -> Result<MediaEngine, MediaError> {
    let mut engine = MediaEngine::default();
    for (payload_type, payload) in payload_list(&Codec::ALL) {
        let (mime_type, clock_rate, channels, fmtp) = match payload {
            // With an fmtp line here, the library drops Opus where an offer has other parameters (docs/workarounds.md,
            // "webrtc: opus is dropped when parameters conflict").
            Payload::Speech(Codec::Opus) => (MIME_TYPE_OPUS, 48_000, 2, ""),
            Payload::Speech(Codec::Pcma) => (MIME_TYPE_PCMA, 8_000, 0, ""),
            Payload::Speech(Codec::Pcmu) => (MIME_TYPE_PCMU, 8_000, 0, ""),
            Payload::TelephoneEvent { rate_hz } => (MIME_TYPE_TELEPHONE_EVENT, rate_hz, 0, "0-15"),
        };
        let codec = RTCRtpCodecParameters {
            rtp_codec: RTCRtpCodec {
                mime_type: mime_type.to_owned(),
                clock_rate,
                channels,
                sdp_fmtp_line: fmtp.to_owned(),
                rtcp_feedback: Vec::new(),
            },
            payload_type,
        };
        engine.register_codec(codec, RtpCodecKind::Audio).map_err(MediaError::library("register a codec"))?;
    }
    Ok(engine)
}

/// The addresses to gather candidates from: those of `media.bind`, or the wildcard address of each family that has a
/// route.
fn addresses(context: &MediaContext) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> =
        context.config.bind.iter().map(|address| SocketAddr::new(*address, 0)).collect();
    if addresses.is_empty() {
        // Documentation addresses (RFC 5737, RFC 3849): only the route is looked up, nothing is sent.
        if has_route(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()) {
            addresses.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        }
        if has_route(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()) {
            addresses.push(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0));
        }
    }
    addresses.extend(&context.extra_addresses);
    if addresses.is_empty() {
        addresses.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    }
    addresses
}

fn has_route(from: IpAddr, to: IpAddr) -> bool {
    UdpSocket::bind((from, 0)).and_then(|socket| socket.connect((to, 9))).is_ok()
}

/// Resolves the names of STUN and TURN servers. The library would resolve them inside its driver and stop media
/// meanwhile (docs/workarounds.md, "webrtc: names are resolved inside the driver").
async fn resolve(servers: &[IceServer]) -> Vec<RTCIceServer> {
    let mut resolved = Vec::new();
    for server in servers {
        let mut urls = Vec::new();
        for url in &server.urls {
            let Some((scheme, rest)) = url.split_once(':') else { continue };
            let (host, query) = rest.split_once('?').map_or((rest, None), |(host, query)| (host, Some(query)));
            let target = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
                host.to_owned()
            } else {
                format!("{host}:3478")
            };
            let lookup = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host(target)).await;
            let Ok(Ok(found)) = lookup else { continue };
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            // One address of each family: only the sockets know which family can be reached.
            let found: Vec<SocketAddr> = found.collect();
            let of_each = [found.iter().find(|one| one.is_ipv4()), found.iter().find(|one| one.is_ipv6())];
            urls.extend(of_each.into_iter().flatten().map(|address| format!("{scheme}:{address}{query}")));
        }
        if !urls.is_empty() {
            resolved.push(RTCIceServer {
                urls,
                username: server.username.clone(),
                credential: server.credential.clone(),
            });
        }
    }
    resolved
}
