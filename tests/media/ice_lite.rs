//! A media server that is ICE-lite: it only answers checks (RFC 8445, 2.5).

use std::sync::Arc;

use callbox::config::Codec;
use callbox::core::MediaCommand;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind};
use tokio::sync::mpsc;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceGatheringState, RTCPeerConnectionState, RTCSessionDescription, SettingEngineBuilder,
};

use crate::{End, PATIENCE};

#[derive(Debug, PartialEq)]
enum Word {
    Gathered,
    Connected,
}

struct Handler(mpsc::Sender<Word>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.0.try_send(Word::Gathered);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            let _ = self.0.try_send(Word::Connected);
        }
    }
}

#[tokio::test]
async fn a_call_over_an_ice_lite_server_connects() {
    let (sender, mut said) = mpsc::channel(16);
    let mut engine = MediaEngine::default();
    let opus = RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: MIME_TYPE_OPUS.to_owned(),
            clock_rate: 48_000,
            channels: 2,
            sdp_fmtp_line: String::new(),
            rtcp_feedback: Vec::new(),
        },
        payload_type: 96,
    };
    engine.register_codec(opus, RtpCodecKind::Audio).unwrap();
    let settings =
        SettingEngineBuilder::new().with_multicast_dns_mode(MulticastDnsMode::Disabled).with_lite(true).build();
    let server = PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_media_engine(engine)
        .with_setting_engine(settings)
        .with_handler(Arc::new(Handler(sender)))
        .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
        .build();
    let server = Box::pin(server).await.unwrap();

    let mut station = End::new(&[Codec::Opus, Codec::Pcmu], Vec::new());
    station.command(MediaCommand::Offer);
    let offer = station.offer().await;
    station.candidates().await;
    server.set_remote_description(RTCSessionDescription::offer(offer).unwrap()).await.unwrap();
    let answer = server.create_answer(None).await.unwrap();
    server.set_local_description(answer).await.unwrap();
    let gathered = tokio::time::timeout(PATIENCE, said.recv()).await.unwrap();
    assert_eq!(gathered, Some(Word::Gathered));
    let answer = server.local_description().await.unwrap().sdp;
    assert!(answer.contains("a=ice-lite") && answer.contains("a=candidate"), "{answer}");
    station.command(MediaCommand::ApplyAnswer { answer: answer.into() });
    station.connected().await;
    assert_eq!(tokio::time::timeout(PATIENCE, said.recv()).await.unwrap(), Some(Word::Connected));
    station.command(MediaCommand::Close);
    server.close().await.unwrap();
}
