//! What the far end reports about our packets (RTCP sender and receiver reports, RFC 3550, section 6.4). The library's
//! own statistics do not tell it (docs/workarounds.md, "webrtc: statistics of loss and jitter are wrong").

use std::sync::Arc;

use rtc::interceptor::Packet;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;

use super::send::SendControl;
use super::tap::Pass;

/// Reads incoming reports and changes nothing.
pub(super) struct ReportReader {
    ssrc: u32,
    control: Arc<SendControl>,
}

impl ReportReader {
    /// `ssrc` is that of our own stream; reports about other streams are ignored.
    pub(super) fn new(ssrc: u32, control: Arc<SendControl>) -> Self {
        Self { ssrc, control }
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

impl Pass for ReportReader {
    fn incoming(&mut self, packet: &mut Packet) {
        if let Packet::Rtcp(packets) = packet {
            packets.iter().for_each(|packet| self.note(packet.as_ref()));
        }
    }
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
