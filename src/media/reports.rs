//! What the far end reports of our packets (RTCP receiver reports, RFC 3550, 6.4).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

use super::send::SendControl;

/// Looks at reports on their way in, and changes nothing.
pub(super) struct ReportReader {
    ssrc: u32,
    control: Arc<SendControl>,
    read: VecDeque<TaggedPacket>,
    write: VecDeque<TaggedPacket>,
}

impl ReportReader {
    /// For what is said of our own stream.
    pub(super) fn new(ssrc: u32, control: Arc<SendControl>) -> Self {
        Self { ssrc, control, read: VecDeque::new(), write: VecDeque::new() }
    }

    fn note(&self, packet: &dyn rtc::rtcp::Packet) {
        let any = packet.as_any();
        let reports: &[ReceptionReport] =
            match (any.downcast_ref::<ReceiverReport>(), any.downcast_ref::<SenderReport>()) {
                (Some(report), _) => &report.reports,
                (_, Some(report)) => &report.reports,
                _ => return,
            };
        for report in reports.iter().filter(|report| report.ssrc == self.ssrc) {
            self.control.note_loss(report.fraction_lost);
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for ReportReader {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        if let Packet::Rtcp(packets) = &message.message.packet {
            packets.iter().for_each(|packet| self.note(packet.as_ref()));
        }
        self.read.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<Self::Rout> {
        self.read.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Self::Error> {
        self.write.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<Self::Wout> {
        self.write.pop_front()
    }

    fn handle_timeout(&mut self, _now: Instant) -> Result<(), Self::Error> {
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Self::Time> {
        None
    }
}

impl Interceptor for ReportReader {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reported_of_our_stream_is_noted_and_what_is_not_is_not() {
        let control = Arc::new(SendControl::default());
        let reader = ReportReader::new(7, Arc::clone(&control));
        let report = |ssrc, fraction_lost| ReceptionReport { ssrc, fraction_lost, ..Default::default() };
        reader.note(&ReceiverReport { ssrc: 9, reports: vec![report(8, 128)], ..Default::default() });
        assert_eq!(control.loss_percent(), 0);
        reader.note(&SenderReport { ssrc: 9, reports: vec![report(8, 255), report(7, 64)], ..Default::default() });
        assert_eq!(control.loss_percent(), 25);
    }
}
