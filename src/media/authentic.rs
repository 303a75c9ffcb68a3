//! Tells the guard which streams belong to the far end: those of which the library has found a packet authentic
//! (docs/workarounds.md, "rtc-srtp: each ssrc gets state before authentication").

use std::sync::Arc;

use rtc::interceptor::Packet;

use super::guarded_socket::Gate;
use super::tap::Pass;

/// Reads incoming packets and changes nothing.
pub(super) struct AuthenticStreams {
    gate: Arc<Gate>,
    last: Option<u32>,
}

impl AuthenticStreams {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate, last: None }
    }
}

impl Pass for AuthenticStreams {
    fn incoming(&mut self, packet: &mut Packet) {
        let ssrc = match packet {
            Packet::Rtp(packet) => Some(packet.header.ssrc),
            Packet::Rtcp(packets) => packets.first().and_then(|packet| sender(packet.as_ref())),
            _ => None,
        };
        if let Some(ssrc) = ssrc.filter(|ssrc| self.last != Some(*ssrc)) {
            self.last = Some(ssrc);
            self.gate.tell(|guard| guard.stream(ssrc));
        }
    }
}

/// Returns the SSRC of the sender of a report. A compound packet begins with a report (RFC 3550, section 6.1).
fn sender(packet: &dyn rtc::rtcp::Packet) -> Option<u32> {
    use rtc::rtcp::{receiver_report::ReceiverReport, sender_report::SenderReport};
    let any = packet.as_any();
    let of_sender = any.downcast_ref::<SenderReport>().map(|report| report.ssrc);
    of_sender.or_else(|| any.downcast_ref::<ReceiverReport>().map(|report| report.ssrc))
}
