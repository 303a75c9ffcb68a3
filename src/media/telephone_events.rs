//! DTMF as telephone events in RTP (RFC 4733), sent and received.

use std::collections::VecDeque;

use super::packets::distance;

/// Packets of one digit, 20 ms apart: 160 ms. The last of them ends the digit.
const TONE_PACKETS: u16 = 8;
/// The packet that ends a digit is sent three times (RFC 4733, section 2.5.1.4).
const END_PACKETS: usize = 3;
/// Packets without an event between two digits: 80 ms.
const GAP_PACKETS: u16 = 4;
/// Packets per second.
const PACKET_RATE: u32 = 50;
/// Number of digits that can wait to be sent; further ones are dropped.
const MAX_DIGITS: usize = 64;
/// -10 dBm0, the usual volume.
const VOLUME: u8 = 10;

const DIGITS: &str = "0123456789*#ABCD";

fn event_of(digit: char) -> Option<u8> {
    DIGITS.find(digit).and_then(|position| u8::try_from(position).ok())
}

fn digit_of(event: u8) -> Option<char> {
    DIGITS.chars().nth(usize::from(event))
}

/// A packet to send in place of a packet of speech.
pub(super) struct DigitStep {
    pub(super) payload: [u8; 4],
    /// Set for the first packet of a digit.
    pub(super) marker: bool,
    /// How many copies to send at once.
    pub(super) copies: usize,
}

/// The digits that are to be sent, in steps of 20 ms.
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

    /// Returns the next step, or `None` where speech is to be sent. All packets of one digit have the time stamp of its
    /// first packet; each carries the duration of the digit up to now, in ticks of `rate_hz`.
    pub(super) fn step(&mut self, rate_hz: u32) -> Option<DigitStep> {
        let event = *self.waiting.front()?;
        self.sent += 1;
        let packet = |packets: u16, end: bool, copies| {
            let duration = u32::from(packets) * rate_hz / PACKET_RATE;
            let [high, low] = u16::try_from(duration).unwrap_or(u16::MAX).to_be_bytes();
            let flags = VOLUME | if end { 0x80 } else { 0 };
            DigitStep { payload: [event, flags, high, low], marker: self.sent == 1, copies }
        };
        match self.sent {
            sent if sent < TONE_PACKETS => Some(packet(sent, false, 1)),
            TONE_PACKETS => Some(packet(TONE_PACKETS, true, END_PACKETS)),
            sent => {
                if sent >= TONE_PACKETS + GAP_PACKETS {
                    self.waiting.pop_front();
                    self.sent = 0;
                }
                None
            }
        }
    }

    /// Whether a digit is being sent; its packets keep the time stamp of the first one.
    pub(super) fn is_sending(&self) -> bool {
        self.sent > 0 && self.sent <= TONE_PACKETS
    }
}

/// A received packet of a telephone event.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventPacket {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    event: u8,
    end: bool,
    /// Duration of the event up to now, according to the sender.
    duration_ms: f64,
    arrival_ms: f64,
}

impl EventPacket {
    /// Returns `None` if the payload is not a telephone event (RFC 4733, section 2.3), or the event is not a digit.
    pub(super) fn new(header: &rtc::rtp::Header, payload: &[u8], rate_hz: u32, arrival_ms: f64) -> Option<Self> {
        let [event, flags, high, low, ..] = *payload else { return None };
        digit_of(event)?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Self {
            ssrc: header.ssrc,
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            marker: header.marker,
            event,
            end: flags & 0x80 != 0,
            duration_ms: f64::from(duration) * 1_000.0 / f64::from(rate_hz.max(1)),
            arrival_ms,
        })
    }
}

/// A packet whose sequence number is at most this far behind is a late copy. One that is further behind comes from a
/// sender that started again.
const LATE_PACKETS: i32 = 500;
/// Packets of one event arrive at most this far apart: senders update an event at least every 50 ms (RFC 4733, section
/// 2.5.1.2), and there is jitter. Nobody presses the same key twice within this time.
const SAME_EVENT_MS: f64 = 150.0;
/// Two presses of one key begin at least this far apart, by the sender's clock.
const SHORTEST_PRESS_MS: f64 = 60.0;
/// An event that lasts longer than its duration field can hold (8 s at 8 kHz) continues in a further segment (RFC 4733,
/// section 2.5.1.3). If the segment before it was at least this long, it is the same press: nobody who holds a key this
/// long means to press it twice.
const SEGMENT_MS: f64 = 1_000.0;

/// Recognises the digits that were pressed in the packets that report them.
///
/// By RFC 4733 all packets of one digit have the same time stamp. Senders are not so strict: some renew it with each
/// packet, some only with the repeated end, and some keep it for two digits. So a digit is recognised by what no sender
/// changes: its duration grows until its end, and a new digit begins with a small duration, after a pause, and with a
/// newer sequence number (docs/workarounds.md, "far ends: dtmf events do not follow the rfc").
#[derive(Debug)]
pub(super) struct DigitReceiver {
    last: Option<EventPacket>,
    /// Clock rate of the time stamps, which is that of the speech on the same stream.
    pub(super) clock_rate_hz: u32,
}

impl Default for DigitReceiver {
    fn default() -> Self {
        Self { last: None, clock_rate_hz: 8_000 }
    }
}

impl DigitReceiver {
    /// Returns each digit once, at the first of its packets that arrives (docs/workarounds.md, "webrtc: the first
    /// packet of a digit may be missing").
    pub(super) fn packet(&mut self, packet: EventPacket) -> Option<char> {
        if let Some(last) = self.last.filter(|last| last.ssrc == packet.ssrc) {
            let ahead = distance(last.sequence, packet.sequence);
            if (-LATE_PACKETS..=0).contains(&ahead) {
                return None;
            }
            if last.event == packet.event && self.goes_on(&last, &packet) {
                self.last = Some(packet);
                return None;
            }
        }
        self.last = Some(packet);
        digit_of(packet.event)
    }

    /// Whether a newer packet belongs to the same press as the last packet of the same key.
    fn goes_on(&self, last: &EventPacket, packet: &EventPacket) -> bool {
        let soon = packet.arrival_ms - last.arrival_ms < SAME_EVENT_MS;
        if last.end {
            // The end of the press, repeated. A packet that is not an end, or that has a shorter duration, belongs to
            // another press.
            let same = packet.timestamp == last.timestamp && !packet.marker;
            return packet.end && packet.duration_ms >= last.duration_ms && (same || soon);
        }
        if packet.timestamp == last.timestamp {
            return packet.duration_ms >= last.duration_ms && (soon || !packet.marker);
        }
        let moved_ms =
            f64::from(packet.timestamp.wrapping_sub(last.timestamp) as i32) * 1_000.0 / f64::from(self.clock_rate_hz);
        let grown_ms = packet.duration_ms - last.duration_ms;
        if grown_ms < 0.0 {
            // A further segment of a long press begins where the last one ends.
            return !packet.marker
                && last.duration_ms >= SEGMENT_MS
                && (moved_ms - last.duration_ms).abs() < SHORTEST_PRESS_MS;
        }
        // The time stamp was renewed within the press: it has moved no further than the duration has grown.
        soon && (0.0..=grown_ms.max(SHORTEST_PRESS_MS)).contains(&moved_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_is_a_tone_three_ends_and_a_gap() {
        for (rate_hz, first, last) in
            [(8_000, [5, 10, 0, 160], [5, 0x8A, 5, 0]), (48_000, [5, 10, 3, 192], [5, 0x8A, 30, 0])]
        {
            let mut sender = DigitSender::default();
            sender.push("5#");
            let steps: Vec<Option<([u8; 4], usize)>> =
                (0..12).map(|_| sender.step(rate_hz).map(|packet| (packet.payload, packet.copies))).collect();
            assert_eq!(steps[0], Some((first, 1)));
            assert_eq!(steps[7], Some((last, 3)));
            assert!(steps[8..12].iter().all(Option::is_none));
            assert_eq!(sender.step(rate_hz).unwrap().payload[0], 11);
        }
    }

    /// A packet as a sender writes it: time stamp, marker, event, end, duration.
    type Sent = (u32, bool, u8, bool, u16);

    /// Returns the digits that are recognised in packets that arrive 20 ms apart. `None` stands for a pause of 100 ms.
    fn understood(packets: impl IntoIterator<Item = Option<Sent>>) -> String {
        let mut receiver = DigitReceiver::default();
        let (mut sequence, mut now_ms) = (65_530_u16, 0.0);
        let mut digits = String::new();
        for packet in packets {
            now_ms += if packet.is_some() { 20.0 } else { 80.0 };
            let Some((timestamp, marker, event, end, duration)) = packet else { continue };
            sequence = sequence.wrapping_add(1);
            let header =
                rtc::rtp::Header { ssrc: 7, sequence_number: sequence, timestamp, marker, ..Default::default() };
            let [high, low] = duration.to_be_bytes();
            let payload = [event, if end { 0x8A } else { 10 }, high, low];
            digits
                .extend(EventPacket::new(&header, &payload, 8_000, now_ms).and_then(|packet| receiver.packet(packet)));
        }
        digits
    }

    /// The packets of a press of 120 ms that begins at `start`. `habit` returns how a sender writes its n-th packet:
    /// the offset of the time stamp, the marker and the duration.
    fn press(event: u8, start: u32, habit: impl Fn(u16) -> (u32, bool, u16)) -> Vec<Option<Sent>> {
        let packet = |index: u16| {
            let (offset, marker, duration) = habit(index);
            Some((start.wrapping_add(offset), marker, event, index >= 6, duration))
        };
        // Six packets, of which the last one (the end) is sent three times.
        (1..=8).map(packet).chain([None]).collect()
    }

    #[test]
    fn a_pressed_key_counts_once_whatever_the_habit_of_its_sender() {
        let length = |index: u16| index.min(6) * 160;
        type Habit<'a> = (&'a str, Box<dyn Fn(u16) -> (u32, bool, u16) + 'a>);
        let habits: [Habit<'_>; 7] = [
            ("as in RFC 4733", Box::new(|index| (0, index == 1, length(index)))),
            ("without a marker", Box::new(|index| (0, false, length(index)))),
            ("with a marker on each packet", Box::new(|index| (0, true, length(index)))),
            (
                "with a time stamp for each packet",
                Box::new(|index| (u32::from(index) * 160, index == 1, length(index))),
            ),
            (
                "with a time stamp and a marker for each packet",
                Box::new(|index| (u32::from(index) * 160, index <= 6, length(index))),
            ),
            (
                "with a time stamp for each repeated end",
                Box::new(|index| (u32::from(index.saturating_sub(6)) * 160, index == 1, length(index))),
            ),
            ("with one duration throughout", Box::new(|index| (u32::from(index) * 160, index == 1, 160))),
        ];
        for (habit, sent) in &habits {
            let keys = [5, 5, 11, 11, 5].into_iter().enumerate();
            let packets: Vec<_> =
                keys.flat_map(|(index, key)| press(key, 1_000 + index as u32 * 2_000, sent)).collect();
            assert_eq!(understood(packets), "55##5", "{habit}");
        }
    }

    #[test]
    fn the_same_key_twice_on_one_time_stamp_counts_twice() {
        let habit = |index: u16| (0, index == 1, index.min(6) * 160);
        let presses = [press(5, 1_000, habit), press(5, 1_000, habit)].concat();
        assert_eq!(understood(presses), "55");
        // The end of the first press was lost.
        let mut first = press(5, 1_000, habit);
        first.truncate(5);
        assert_eq!(understood([first, vec![None], press(5, 1_000, habit)].concat()), "55");
    }

    #[test]
    fn the_first_packet_that_is_seen_counts_and_what_is_late_does_not() {
        let habit = |index: u16| (0, index == 1, index.min(6) * 160);
        let lost: Vec<_> = press(5, 1_000, habit).split_off(5);
        assert_eq!(understood([lost, press(5, 3_000, habit)].concat()), "55");
        let mut receiver = DigitReceiver::default();
        let mut packet = |sequence, timestamp, event, end| {
            let header = rtc::rtp::Header { ssrc: 7, sequence_number: sequence, timestamp, ..Default::default() };
            let flags = if end { 0x8A } else { 10 };
            receiver.packet(EventPacket::new(&header, &[event, flags, 1, 0], 8_000, 0.0)?)
        };
        assert_eq!(packet(10, 1_000, 5, false), Some('5'));
        assert_eq!(packet(13, 5_000, 11, false), Some('#'));
        assert_eq!(packet(12, 1_000, 5, true), None, "late");
        assert_eq!(packet(13, 5_000, 11, false), None, "twice");
        assert_eq!(packet(14, 5_000, 16, false), None, "a hook flash");
        assert_eq!(packet(40_000, 9, 7, false), Some('7'), "a sender that starts again");
    }

    #[test]
    fn a_key_that_is_held_for_long_counts_once() {
        let held = (1..=820_u32).map(|index| {
            let (segment, within) = ((index * 160) / 65_440, (index * 160) % 65_440);
            Some((1_000 + segment * 65_440, index == 1, 5, false, within as u16))
        });
        assert_eq!(understood(held), "5");
    }

    #[test]
    fn what_is_not_an_event_is_ignored() {
        let header = rtc::rtp::Header::default();
        assert!(EventPacket::new(&header, &[11], 8_000, 0.0).is_none());
        assert!(EventPacket::new(&header, &[], 0, 0.0).is_none());
    }
}
