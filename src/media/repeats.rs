//! Speech that goes twice, where the far end reports that much of it is lost.
//!
//! The second one is the same packet, so late that a usual burst of loss has passed. Of the two a receiver takes the
//! first: SRTP drops a packet that it has had (RFC 3711, section 3.3.2), and so does a jitter buffer.

use std::collections::VecDeque;

use rtc::rtp::Packet;

/// The second one goes with the packet after the next: 40 ms later.
const LATER: usize = 2;

#[derive(Default)]
pub(super) struct Repeats {
    /// The last packets, the oldest first; none where nothing was said.
    last: VecDeque<Option<Packet>>,
}

impl Repeats {
    /// 20 ms pass, in which a packet of speech is sent or none; gives the one to send again.
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
    fn what_was_said_last_goes_again_in_the_silence_after_it() {
        let mut repeats = Repeats::default();
        repeats.pass(Some(&packet(7)), true);
        let again: Vec<_> = (0..3).map(|_| sequence(repeats.pass(None, true))).collect();
        assert_eq!(again, [None, Some(7), None]);
    }
}
