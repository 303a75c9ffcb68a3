//! DTMF as RTP events (RFC 4733), both ways.

use std::collections::VecDeque;

/// Packets of a digit before its end: 160 ms.
const TONE_PACKETS: u16 = 8;
/// The end is said three times (RFC 4733, 2.5.1.4).
const END_PACKETS: usize = 3;
/// Packets of silence between two digits: 80 ms.
const GAP_PACKETS: u16 = 4;
/// Ticks of the 8 kHz event clock in a packet of 20 ms.
const PACKET_TICKS: u16 = 160;
/// Digits that wait to be sent.
const MAX_DIGITS: usize = 64;
/// A packet with an older time stamp is a late copy up to this age: two seconds at 48 kHz.
const LATE_TICKS: u32 = 96_000;
/// -10 dBm0, the usual volume.
const VOLUME: u8 = 10;

const DIGITS: &str = "0123456789*#ABCD";

fn event_of(digit: char) -> Option<u8> {
    DIGITS.find(digit).and_then(|position| u8::try_from(position).ok())
}

fn digit_of(event: u8) -> Option<char> {
    DIGITS.chars().nth(usize::from(event))
}

/// What to send in place of a packet of speech.
pub(super) struct EventPacket {
    pub(super) payload: [u8; 4],
    /// First packet of the digit.
    pub(super) marker: bool,
    /// How many times to send it at once.
    pub(super) copies: usize,
}

/// Digits on their way out, one step per 20 ms.
#[derive(Default)]
pub(super) struct DigitSender {
    waiting: VecDeque<u8>,
    sent: u16,
}

impl DigitSender {
    pub(super) fn push(&mut self, digits: &str) {
        for event in digits.chars().filter_map(event_of) {
            if self.waiting.len() < MAX_DIGITS {
                self.waiting.push_back(event);
            }
        }
    }

    /// The next step; `None` where speech is to be sent. All packets of one digit carry the time
    /// stamp of its first.
    pub(super) fn step(&mut self) -> Option<EventPacket> {
        let event = *self.waiting.front()?;
        self.sent += 1;
        let packet = |duration: u16, end: bool, copies| {
            let [high, low] = duration.to_be_bytes();
            let flags = VOLUME | if end { 0x80 } else { 0 };
            EventPacket { payload: [event, flags, high, low], marker: self.sent == 1, copies }
        };
        match self.sent {
            sent if sent < TONE_PACKETS => Some(packet(sent * PACKET_TICKS, false, 1)),
            TONE_PACKETS => Some(packet(TONE_PACKETS * PACKET_TICKS, true, END_PACKETS)),
            sent => {
                if sent >= TONE_PACKETS + GAP_PACKETS {
                    self.waiting.pop_front();
                    self.sent = 0;
                }
                None
            }
        }
    }

    /// The digit's time stamp stays what it was at its first packet.
    pub(super) fn is_sending(&self) -> bool {
        self.sent > 0 && self.sent <= TONE_PACKETS
    }
}

/// Tells digits apart by their time stamps: the first packet that is seen counts, even if it is
/// not the digit's first.
#[derive(Default)]
pub(super) struct DigitReceiver {
    last: Option<(u32, u8)>,
}

impl DigitReceiver {
    /// The digit, once.
    pub(super) fn packet(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        let event = *payload.first()?;
        if payload.len() < 4 || self.last == Some((timestamp, event)) {
            return None;
        }
        // Late copies of the digit before; a clock that starts anew is no copy.
        if let Some((last, _)) = self.last
            && (1..LATE_TICKS).contains(&last.wrapping_sub(timestamp))
        {
            return None;
        }
        let digit = digit_of(event)?;
        self.last = Some((timestamp, event));
        Some(digit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_is_a_tone_three_ends_and_a_gap() {
        let mut sender = DigitSender::default();
        sender.push("5#");
        let steps: Vec<Option<([u8; 4], usize)>> =
            (0..12).map(|_| sender.step().map(|packet| (packet.payload, packet.copies))).collect();
        assert_eq!(steps[0], Some(([5, 10, 0, 160], 1)));
        assert_eq!(steps[7], Some(([5, 0x8A, 5, 0], 3)));
        assert!(steps[8..12].iter().all(Option::is_none));
        assert_eq!(sender.step().unwrap().payload[0], 11);
    }

    #[test]
    fn every_digit_is_heard_once_however_often_its_packets_come() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(receiver.packet(1000, &[5, 10, 1, 0]), Some('5'));
        assert_eq!(receiver.packet(1000, &[5, 0x8A, 5, 0]), None);
        assert_eq!(receiver.packet(5000, &[5, 10, 0, 160]), Some('5'));
        assert_eq!(receiver.packet(1000, &[5, 0x8A, 5, 0]), None);
        assert_eq!(receiver.packet(9000, &[16, 10, 0, 160]), None);
        assert_eq!(receiver.packet(9000, &[11]), None);
        assert_eq!(receiver.packet(3_000_000_000, &[7, 10, 0, 160]), Some('7'));
        assert_eq!(receiver.packet(2_000_000_000, &[8, 10, 0, 160]), Some('8'), "a clock that starts anew");
    }
}
