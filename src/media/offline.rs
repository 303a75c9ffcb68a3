//! The media of a call without a network or a sound card, for tests and fuzzers: what the receive path makes of
//! packets, and what happens to a far end's description.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use rtc::rtp::Packet as RtpPacket;
use rtc::shared::marshal::{Marshal, Unmarshal};
use rtrb::{Consumer, Producer};
use rustix::pipe::{PipeFlags, pipe_with};

use super::call_sound::{NetworkEnd, call_sound, milliseconds};
use super::identity::Identity;
use super::library::{OPUS_TYPE, payload_list};
use super::packets::Packet;
use super::peer::Peer;
use super::receive::{ReceiveCounters, Receiver};
use super::repeats::Repeats;
use super::sdp::{self, Origin, Payload, Remote, Setup, clock_rate_hz};
use super::send::{Encoded, SendControl, Sender};
use super::telephone_events::{DigitReceiver, EventPacket};
use super::{MediaContext, MediaError};
use crate::config::Codec;
use crate::sound::CallSound;

/// Number of packets that can wait between two frames.
const PACKETS: usize = 64;
/// Every codec, in the default order.
const CODECS: [Codec; 3] = [Codec::Opus, Codec::Pcma, Codec::Pcmu];

/// Jitter buffer, decoder and resampler of one call.
pub struct OfflineReceiver {
    packets: Producer<Packet>,
    receiver: Receiver,
    digits: DigitReceiver,
    rate_hz: u32,
    frames: u32,
    opus_type: u8,
}

impl OfflineReceiver {
    /// Creates a receive path at the sound card's rate.
    ///
    /// # Errors
    ///
    /// A codec could not be created.
    pub fn new(rate_hz: u32) -> Result<Self, MediaError> {
        let (packets, queue) = rtrb::RingBuffer::new(PACKETS);
        Ok(Self {
            packets,
            receiver: Receiver::new(queue, rate_hz)?,
            digits: DigitReceiver::default(),
            rate_hz,
            frames: 0,
            opus_type: OPUS_TYPE,
        })
    }

    /// Sets a payload type of Opus that differs from our own offer, for recordings of other tools.
    #[must_use]
    pub fn with_opus_type(self, number: u8) -> Self {
        Self { opus_type: number, ..self }
    }

    /// Takes an RTP packet (RFC 3550) with the payload types of our own offer. Returns a digit at the first packet that
    /// reports it.
    pub fn packet(&mut self, bytes: &[u8], arrival_ms: f64) -> Option<char> {
        let mut buffer = bytes;
        let packet = RtpPacket::unmarshal(&mut buffer).ok()?;
        let header = &packet.header;
        let payload = if header.payload_type == self.opus_type {
            Payload::Speech(Codec::Opus)
        } else {
            payload_list(&CODECS).into_iter().find(|(number, _)| *number == header.payload_type)?.1
        };
        match payload {
            Payload::TelephoneEvent { rate_hz } => EventPacket::new(header, &packet.payload, rate_hz, arrival_ms)
                .and_then(|event| self.digits.packet(event)),
            Payload::Speech(codec) => {
                self.digits.clock_rate_hz = clock_rate_hz(codec);
                if let Some(packet) = Packet::new(codec, header, arrival_ms, &packet.payload) {
                    let _ = self.packets.push(packet);
                }
                None
            }
        }
    }

    /// Returns the next 10 ms of sound.
    pub fn frame(&mut self) -> Vec<f32> {
        let mut frame = vec![0.0; (self.rate_hz / 100) as usize];
        self.receiver.hear(&mut frame, f64::from(self.frames) * f64::from(crate::sound::FRAME_MS));
        self.frames += 1;
        frame
    }

    /// Returns what happened up to now.
    pub fn counters(&self) -> ReceiveCounters {
        self.receiver.counters
    }

    /// Returns the delay at which sound is played, and its target. Both count from the time at which a packet would
    /// have arrived with the fastest recent transit.
    pub fn delay_and_target_ms(&self) -> (f64, f64) {
        self.receiver.delay_and_target_ms()
    }
}

/// The network side of a call's sound.
pub struct OfflineNetwork(NetworkEnd);

/// Creates both directions of a call's sound at the card's rate, as the audio thread has them, with Opus in both
/// directions.
///
/// # Errors
///
/// A codec could not be created.
pub fn sound_of_a_call(rate_hz: u32, in_band: bool) -> Result<(Box<dyn CallSound>, OfflineNetwork), MediaError> {
    let (sound, network) = call_sound(rate_hz, in_band, Arc::default())?;
    network.control.set_codec(Codec::Opus);
    Ok((sound, OfflineNetwork(network)))
}

impl OfflineNetwork {
    /// Passes on an RTP packet of ours or of another call. Returns whether there was room for it.
    pub fn packet(&mut self, bytes: &[u8]) -> bool {
        let mut buffer = bytes;
        let Ok(packet) = RtpPacket::unmarshal(&mut buffer) else { return false };
        let arrival_ms = milliseconds(self.0.began.elapsed());
        let packet = Packet::new(Codec::Opus, &packet.header, arrival_ms, &packet.payload);
        packet.is_some_and(|packet| self.0.received.push(packet).is_ok())
    }

    /// Notes the share of our packets that the far end reports as lost, in 256ths.
    pub fn report_loss(&self, fraction_lost: u8) {
        self.0.control.note_loss(fraction_lost);
    }

    /// Takes the encoded packets and returns their number.
    pub fn drain(&mut self) -> usize {
        std::iter::from_fn(|| self.0.encoded.pop().ok()).count()
    }
}

/// The encoder and the packets of one call.
pub struct OfflineSender {
    sender: Sender,
    control: Arc<SendControl>,
    encoded: Consumer<Encoded>,
    _wake: OwnedFd,
    codec: Codec,
    rate_hz: u32,
    sequence: u16,
    timestamp: u32,
    repeats: Repeats,
}

impl OfflineSender {
    /// Creates a send path at the sound card's rate.
    ///
    /// # Errors
    ///
    /// A codec could not be created.
    pub fn new(codec: Codec, rate_hz: u32) -> Result<Self, MediaError> {
        let (frames, encoded) = rtrb::RingBuffer::new(PACKETS);
        let (wake, waker) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(MediaError::system)?;
        let control = Arc::new(SendControl::default());
        control.set_codec(codec);
        let sender = Sender::new(frames, waker, Arc::clone(&control), rate_hz)?;
        Ok(Self {
            sender,
            control,
            encoded,
            _wake: wake,
            codec,
            rate_hz,
            sequence: 0,
            timestamp: 0,
            repeats: Repeats::default(),
        })
    }

    /// Notes the share of our packets that the far end reports as lost, in 256ths.
    pub fn report_loss(&self, fraction_lost: u8) {
        self.control.note_loss(fraction_lost);
    }

    /// Takes 10 ms of sound. Returns the RTP packet that it completes and an earlier packet that is sent again with it,
    /// with the payload types of our own offer.
    pub fn frame(&mut self, frame: &[f32]) -> impl Iterator<Item = Vec<u8>> + use<> {
        debug_assert_eq!(frame.len(), (self.rate_hz / 100) as usize);
        self.sender.say(frame);
        let encoded = self.encoded.pop().ok();
        let packet = encoded.and_then(|encoded| self.packet(&encoded));
        let again = encoded.and_then(|_| self.repeats.pass(packet.as_ref(), self.control.twice()));
        packet.into_iter().chain(again).filter_map(|packet| packet.marshal().ok()).map(|bytes| bytes.to_vec())
    }

    fn packet(&mut self, encoded: &Encoded) -> Option<RtpPacket> {
        let speech = |(_, payload): &(u8, Payload)| *payload == Payload::Speech(self.codec);
        let (payload_type, _) = payload_list(&CODECS).into_iter().find(speech)?;
        let header = rtc::rtp::Header {
            version: 2,
            payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: 1,
            ..Default::default()
        };
        self.timestamp = self.timestamp.wrapping_add(encoded.ticks());
        if encoded.payload().is_empty() {
            return None;
        }
        self.sequence = self.sequence.wrapping_add(1);
        Some(RtpPacket { header, payload: Bytes::copy_from_slice(encoded.payload()) })
    }
}

/// Reads a far end's description as a call does. Returns the text that the WebRTC library would be given.
///
/// # Errors
///
/// The text is not a description that can be accepted, or the library cannot read it.
pub fn read_description(text: &str) -> Result<String, MediaError> {
    let remote = Remote::parse(text)?;
    let formats = remote.payloads().completed(&payload_list(&CODECS));
    let applied = remote.to_apply(remote.mid(), &formats, Setup::ActPass);
    let description = webrtc::peer_connection::RTCSessionDescription::offer(applied.clone())
        .map_err(MediaError::library("read the far end's offer"))?;
    let taken = remote.payloads().accepted(&CODECS);
    let mut origin = Origin::new(1);
    let _ = remote.answer_to_send(&description.sdp, &taken, Setup::Passive, &mut origin);
    let _ = sdp::offer_to_send(text, &taken, &mut origin);
    let _ = sdp::refuse_all(text, &mut origin);
    Ok(applied)
}

/// Answers an offer with a real peer connection, which is closed again.
///
/// # Errors
///
/// The offer cannot be answered.
pub async fn answer(context: &MediaContext, offer: &str) -> Result<String, MediaError> {
    let remote = Remote::parse(offer)?;
    let identity = Identity::default();
    let making = Peer::new(context, &identity, 1, Arc::default(), Origin::new(1), remote.setup());
    let (mut peer, _events) = Box::pin(making).await?;
    let answered = Box::pin(peer.answer(&remote)).await;
    peer.close().await;
    answered.map(|answered| answered.sdp)
}
