//! Packets of the far end, on their way from the library to the audio thread.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rtc::shared::marshal::Marshal;
use rtrb::Producer;
use tokio::sync::{broadcast, mpsc};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::call_sound::milliseconds;
use super::library::payload_list;
use super::packets::Packet;
use super::rtpdump::{CallPacket, RecordedPacket};
use super::sdp::{Payload, ReceiveMap, clock_rate_hz};
use super::telephone_events::{DigitReceiver, EventPacket};
use crate::config::Codec;
use crate::core::{MediaEvent, MediaId};
use crate::secret::DtmfDigit;

/// Shortest time between two reports that sound arrives.
const RECEIVED_INTERVAL: Duration = Duration::from_secs(1);

/// Reports the events of a call's media to the station.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) media: MediaId,
    pub(super) events: mpsc::Sender<(MediaId, MediaEvent)>,
}

impl Reporter {
    pub(super) async fn report(&self, event: MediaEvent) {
        let _ = self.events.send((self.media, event)).await;
    }
}

/// Reads packets from the far end's track.
pub(super) struct Reader {
    pub(super) received: Arc<Mutex<Producer<Packet>>>,
    pub(super) map: Arc<RwLock<ReceiveMap>>,
    pub(super) reporter: Reporter,
    pub(super) digits: DigitReceiver,
    pub(super) began: Instant,
    /// When the arrival of sound was last reported.
    pub(super) reported: Option<Instant>,
    pub(super) packets: broadcast::Sender<CallPacket>,
}

impl Reader {
    pub(super) async fn run(mut self, track: Arc<dyn TrackRemote>) {
        while let Some(event) = track.poll().await {
            // Other events mean nothing here (docs/workarounds.md, "webrtc: a track says again that it opens").
            if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                self.packet(&packet).await;
            }
        }
    }

    async fn packet(&mut self, packet: &rtc::rtp::Packet) {
        let header = &packet.header;
        let payload =
            self.map.read().unwrap_or_else(PoisonError::into_inner).classify(header.payload_type, &packet.payload);
        if self.packets.receiver_count() > 0
            && let Some(payload) = payload
        {
            self.record(packet, payload);
        }
        match payload {
            Some(Payload::TelephoneEvent { rate_hz }) => {
                let arrival_ms = milliseconds(self.began.elapsed());
                if let Some(digit) = EventPacket::new(header, &packet.payload, rate_hz, arrival_ms)
                    .and_then(|event| self.digits.packet(event))
                {
                    self.reporter.report(MediaEvent::Digit(DtmfDigit(digit))).await;
                }
            }
            Some(Payload::Speech(codec)) => {
                self.digits.clock_rate_hz = clock_rate_hz(codec);
                let arrival_ms = milliseconds(self.began.elapsed());
                if let Some(packet) = Packet::new(codec, header, arrival_ms, &packet.payload) {
                    // A full ring means that the audio thread does not run. The packet would be too late anyway.
                    let _ = self.received.lock().unwrap_or_else(PoisonError::into_inner).push(packet);
                }
                if self.reported.is_none_or(|at| at.elapsed() >= RECEIVED_INTERVAL) {
                    self.reported = Some(Instant::now());
                    self.reporter.report(MediaEvent::Received).await;
                }
            }
            None => {}
        }
    }

    /// Passes a packet to the recorders. It gets the payload type of a recording (`library::payload_list`), whatever was
    /// negotiated.
    fn record(&self, packet: &rtc::rtp::Packet, payload: Payload) {
        let mut packet = packet.clone();
        let known = payload_list(&Codec::ALL);
        let same = |one: &Payload| match (one, payload) {
            // A recording has telephone events of one clock only.
            (Payload::TelephoneEvent { .. }, Payload::TelephoneEvent { .. }) => true,
            (one, payload) => *one == payload,
        };
        let Some((payload_type, _)) = known.into_iter().find(|(_, one)| same(one)) else { return };
        packet.header.payload_type = payload_type;
        let Ok(bytes) = packet.marshal() else { return };
        let at_ms = u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX);
        let packet = RecordedPacket { at_ms, bytes: bytes.to_vec() };
        // A slow recorder misses some packets.
        let _ = self.packets.send(CallPacket { call: self.reporter.media, packet });
    }
}
