//! The settings of the WebRTC library: codecs, addresses, ICE and DTLS.
//!
//! The workarounds are explained in docs/workarounds.md, "The media library: session descriptions" and "The media
//! library: connections".

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_OPUS, MIME_TYPE_PCMA, MIME_TYPE_PCMU, MIME_TYPE_TELEPHONE_EVENT,
};
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{MediaEngine, SettingEngine, SettingEngineBuilder};

use super::sdp::{EVENT_RATE_HZ, Payload, Setup};
use super::{MediaContext, MediaError};
use crate::config::Codec;
use crate::network::{has_ipv4_route, has_ipv6_route};

/// Interval of connectivity checks (RFC 8445, section 14.2, "Ta", allows 5 ms). The library's 200 ms can be heard as a
/// late start of every call (docs/workarounds.md, "webrtc: connectivity checks are slow").
const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Checks of a candidate pair before it is given up: 10 s, since the far end may answer late.
const ICE_CHECKS: u16 = 500;
/// A pair counts as lost when nothing at all has come from the far end for this long
/// (`core::MediaEvent::Disconnected`; docs/workarounds.md, "webrtc: a vanished peer is never closed").
const ICE_DISCONNECTED: Duration = Duration::from_secs(2);
/// A lost pair is kept for this much longer, because it may recover.
const ICE_FAILED: Duration = Duration::from_secs(60);
/// Interval of consent checks (RFC 7675). It is short, so that several answers may be lost.
const ICE_CONSENT_INTERVAL: Duration = Duration::from_millis(400);
/// A relay, or an address that only a NAT shows, is chosen when no direct way has been found for this long
/// (docs/workarounds.md, "webrtc: relays wait for two seconds").
const DETOUR_WAIT: Duration = Duration::from_millis(250);
/// The SRTP profiles that authenticate every packet with a tag of full length, the strongest first. The guard knows
/// where each of them has the E bit (docs/workarounds.md, "rtc-srtp: unencrypted srtcp is not authenticated").
const PROTECTION: [SrtpProtectionProfile; 3] = [
    SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
    SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
];
/// The payload type of Opus in our offers.
pub(crate) const OPUS_TYPE: u8 = 111;

/// ICE and DTLS of a peer connection. `offer_setup` is the DTLS role that the far end takes in the offer, if there is an
/// offer to answer.
pub(super) fn settings(offer_setup: Option<Setup>) -> SettingEngine {
    // Waiting for the handshake is faster with this library. So we begin it only if the far end waits
    // (docs/workarounds.md, "webrtc: an active answer stalls dtls").
    let answering = match offer_setup {
        Some(Setup::Passive) => RTCDtlsRole::Client,
        _ => RTCDtlsRole::Server,
    };
    // docs/workarounds.md, "webrtc: mdns queries are on by default" and "webrtc: an ice restart keeps the old sockets".
    SettingEngineBuilder::new()
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_answering_dtls_role(answering)
        .with_srtp_protection_profiles(PROTECTION.to_vec())
        .with_discard_local_candidates_during_ice_restart(true)
        .with_ice_timeouts(Some(ICE_DISCONNECTED), Some(ICE_FAILED), Some(ICE_CONSENT_INTERVAL))
        .with_prflx_acceptance_min_wait(Some(DETOUR_WAIT))
        .with_relay_acceptance_min_wait(Some(DETOUR_WAIT))
        .with_ice_connection_attempts(Some(ICE_CHECK_INTERVAL), Some(ICE_CHECKS))
        .build()
}

/// The track that our packets are written to.
pub(super) fn local_track(ssrc: u32) -> TrackLocalStaticRTP {
    TrackLocalStaticRTP::new(MediaStreamTrack::new(
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
    ))
}

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
/// The library's own list has no telephone events (docs/workarounds.md, "webrtc: the default codecs lack telephone
/// events").
pub(super) fn media_engine() -> Result<MediaEngine, MediaError> {
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
/// route (docs/workarounds.md, "webrtc: a wildcard candidate may be useless").
pub(super) fn addresses(context: &MediaContext) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> =
        context.config.bind.iter().map(|address| SocketAddr::new(*address, 0)).collect();
    if addresses.is_empty() {
        if has_ipv4_route() {
            addresses.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        }
        if has_ipv6_route() {
            addresses.push(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0));
        }
    }
    // docs/workarounds.md, "webrtc: wildcard addresses skip loopback and link-local".
    addresses.extend(&context.extra_addresses);
    if addresses.is_empty() {
        addresses.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    }
    addresses
}
