//! Packets of ours, on their way from the audio thread to the library.

use std::time::{Duration, Instant};

use bytes::Bytes;
use webrtc::media_stream::track_local::TrackLocal;

use super::send::Encoded;
use super::task::CallMedia;
use crate::core::MediaEvent;
use crate::secret::DtmfDigit;

/// For this long after a digit of ours, tones in the sound are ignored. A gateway may play the digits that we send as
/// tones, and its line sends an echo of them (docs/workarounds.md, "gateways: digits that we send come back as tones").
const DEAF_AFTER_DIGIT: Duration = Duration::from_secs(2);

impl CallMedia {
    /// Sends what the audio thread has encoded. Digits take the place of speech.
    pub(super) async fn send_packets(&mut self) {
        let deaf = self.digit_sent.is_some_and(|at| at.elapsed() < DEAF_AFTER_DIGIT);
        while let Ok(digit) = self.tones.pop() {
            if !deaf {
                self.reporter.report(MediaEvent::Tone(DtmfDigit(digit))).await;
            }
        }
        while let Ok(encoded) = self.encoded.pop() {
            let at = self.timestamp;
            self.timestamp = self.timestamp.wrapping_add(encoded.ticks());
            if !self.connected {
                continue;
            }
            if !self.digits.is_sending() {
                self.digit_timestamp = at;
            }
            let event_type = self.peer.event_type(encoded.codec);
            if let Some((payload_type, rate_hz)) = event_type
                && let Some(event) = self.digits.step(rate_hz)
            {
                self.digit_sent = Some(Instant::now());
                for _ in 0..event.copies {
                    let payload = Bytes::copy_from_slice(&event.payload);
                    let packet = self.packet(payload_type, self.digit_timestamp, event.marker, payload);
                    self.write(packet).await;
                }
                continue;
            }
            let speech = self.speech(&encoded, at);
            let again = self.repeats.pass(speech.as_ref(), self.send_control.twice());
            for packet in speech.into_iter().chain(again) {
                self.write(packet).await;
            }
        }
    }

    /// Makes a packet of speech; returns `None` in silence.
    fn speech(&mut self, encoded: &Encoded, timestamp: u32) -> Option<rtc::rtp::Packet> {
        if encoded.payload().is_empty() {
            // The first packet after a silence has the marker (RFC 3551, section 4.1).
            self.talking = false;
            return None;
        }
        let payload_type = self.peer.speech_type(encoded.codec)?;
        let marker = !std::mem::replace(&mut self.talking, true);
        Some(self.packet(payload_type, timestamp, marker, Bytes::copy_from_slice(encoded.payload())))
    }

    fn packet(&mut self, payload_type: u8, timestamp: u32, marker: bool, payload: Bytes) -> rtc::rtp::Packet {
        self.sequence = self.sequence.wrapping_add(1);
        rtc::rtp::Packet {
            header: rtc::rtp::Header {
                version: 2,
                marker,
                payload_type,
                sequence_number: self.sequence,
                timestamp,
                ssrc: self.peer.ssrc,
                ..Default::default()
            },
            payload,
        }
    }

    async fn write(&mut self, packet: rtc::rtp::Packet) {
        // An error means that the connection is closing. Its text holds the whole packet, so it is not logged
        // (docs/workarounds.md, "webrtc: errors quote whole packets").
        let _ = self.peer.track.write_rtp(packet).await;
    }
}
