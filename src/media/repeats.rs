//! Sends speech twice while the far end reports that much of it is lost (docs/workarounds.md, "webrtc: nothing repairs
//! lost speech").
//!
//! The second copy is the same packet. It is sent late enough that a usual burst of loss has passed. A receiver takes
//! the first copy that arrives: SRTP drops a packet that has been received before (RFC 3711, section 3.3.2), and so
//! does a jitter buffer.

use std::collections::VecDeque;

use rtc::rtp::Packet;

/// The second copy is sent with the packet after the next one: 40 ms later.
const LATER: usize = 2;

#[derive(Default)]
pub(super) struct Repeats {
    /// The last packets, the oldest first. `None` stands for 20 ms without a packet to repeat.
    last: VecDeque<Option<Packet>>,
}

impl Repeats {
    /// Called every 20 ms with the packet of speech that is sent, if there is one; `twice` says whether it is to be
    /// repeated. Returns an earlier packet that is to be sent again now.
    pub(super) fn pass(&mut self, sent: Option<&Packet>, twice: bool) -> Option<Packet> {
        self.last.push_back(sent.filter(|_| twice).cloned());
        if self.last.len() > LATER { self.last.pop_front().flatten() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence_number: u16) -> Packet {
        Packet { header: rtc::rtp::Header { sequence_number, ..Default::default() }, ..Default::default() }
    }

    fn sequence(packet: Option<Packet>) -> Option<u16> {
        packet.map(|packet| packet.header.sequence_number)
    }

    #[test]
    fn a_packet_goes_again_with_the_one_after_the_next() {
        let mut repeats = Repeats::default();
        let again: Vec<_> = (0..5).map(|number| sequence(repeats.pass(Some(&packet(number)), number != 1))).collect();
        assert_eq!(again, [None, None, Some(0), None, Some(2)]);
    }

    #[test]
    fn the_last_speech_is_sent_again_in_the_silence_after_it() {
        let mut repeats = Repeats::default();
        repeats.pass(Some(&packet(7)), true);
        let again: Vec<_> = (0..3).map(|_| sequence(repeats.pass(None, true))).collect();
        assert_eq!(again, [None, Some(7), None]);
    }
}
