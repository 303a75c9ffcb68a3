//! The media of a call without a network or a sound card: what the receive path makes of packets, and
//! what becomes of a far end's description. For tests and fuzzers.

use rtc::rtp::Packet as RtpPacket;
use rtc::shared::marshal::Unmarshal;
use rtrb::Producer;

use super::dtmf::DigitReceiver;
use super::jitter::Packet;
use super::peer::{Identity, Peer, payload_list};
use super::receive::Receiver;
use super::sdp::{self, Payload, Remote};
use super::{MediaContext, MediaError};
use crate::config::Codec;

/// Packets that wait between two frames.
const PACKETS: usize = 64;
/// Every codec, in the default order.
const CODECS: [Codec; 3] = [Codec::Opus, Codec::Pcma, Codec::Pcmu];

/// Jitter buffer, decoder and resampler of one call.
pub struct OfflineReceiver {
    packets: Producer<Packet>,
    receiver: Receiver,
    digits: DigitReceiver,
    rate_hz: u32,
}

impl OfflineReceiver {
    /// A receive path at the sound card's rate.
    ///
    /// # Errors
    ///
    /// A codec or resampler could not be made.
    pub fn new(rate_hz: u32) -> Result<Self, MediaError> {
        let (packets, queue) = rtrb::RingBuffer::new(PACKETS);
        Ok(Self { packets, receiver: Receiver::new(queue, rate_hz)?, digits: DigitReceiver::default(), rate_hz })
    }

    /// Takes an RTP packet (RFC 3550) with the payload types of our own offer; gives a digit that it completes.
    pub fn packet(&mut self, bytes: &[u8], arrival_ms: u64) -> Option<char> {
        let mut buffer = bytes;
        let packet = RtpPacket::unmarshal(&mut buffer).ok()?;
        let header = &packet.header;
        let (_, payload) = payload_list(&CODECS).into_iter().find(|(number, _)| *number == header.payload_type)?;
        match payload {
            Payload::TelephoneEvent => self.digits.packet(header.timestamp, &packet.payload),
            Payload::Speech(codec) => {
                let taken = Packet::new(codec, header.sequence_number, header.timestamp, arrival_ms, &packet.payload);
                if let Some(taken) = taken.filter(|packet| !packet.payload().is_empty()) {
                    let _ = self.packets.push(taken);
                }
                None
            }
        }
    }

    /// The next 10 ms of sound.
    pub fn frame(&mut self) -> Vec<f32> {
        let mut frame = vec![0.0; (self.rate_hz / 100) as usize];
        self.receiver.hear(&mut frame);
        frame
    }
}

/// Reads a far end's description as a call does; gives the text that the WebRTC library would be given.
///
/// # Errors
///
/// It is none, or the library cannot read it.
pub fn read_description(text: &str) -> Result<String, MediaError> {
    let remote = Remote::parse(text).map_err(|error| MediaError::Sdp(error.to_string()))?;
    let applied = remote.to_apply(&remote.mid(), &payload_list(&CODECS));
    let description =
        webrtc::peer_connection::RTCSessionDescription::offer(applied.clone()).map_err(MediaError::webrtc)?;
    let _ = remote.answer_to_send(&description.sdp);
    let _ = sdp::own_payloads(&sdp::to_send(text));
    Ok(applied)
}

/// Answers an offer with a real peer connection, which is closed again.
///
/// # Errors
///
/// The offer cannot be answered.
pub async fn answer(context: &MediaContext, offer: &str) -> Result<String, MediaError> {
    let (mut peer, _events) = Box::pin(Peer::new(context, &Identity::default(), 1)).await?;
    let answered = Box::pin(peer.answer(offer)).await;
    peer.close().await;
    answered.map(|answered| answered.sdp)
}
