//! Puts received packets of speech into their order.

use crate::config::Codec;

/// Largest payload that is accepted, in octets: 200 ms of G.711. Opus has at most 1275 octets (RFC 6716, section 3.4).
pub(super) const MAX_PAYLOAD: usize = 1600;
/// Number of packets that the buffer can hold: more than a second of 20 ms packets.
const SLOTS: usize = 64;
/// After this many late packets in a row, the sender is assumed to have started again.
const LATE_IN_A_ROW: u32 = 16;

/// A received packet of speech.
#[derive(Clone, Copy)]
pub(super) struct Packet {
    pub(super) codec: Codec,
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    /// Time of arrival since the call began.
    pub(super) arrival_ms: f64,
    /// Time of sending, by the sender's clock; see [`super::target_delay::SenderClock`].
    pub(super) sent_ms: f64,
    length: u16,
    data: [u8; MAX_PAYLOAD],
}

impl Packet {
    /// Returns `None` if the payload is empty or longer than [`MAX_PAYLOAD`].
    pub(super) fn new(codec: Codec, header: &rtc::rtp::Header, arrival_ms: f64, payload: &[u8]) -> Option<Self> {
        let mut data = [0; MAX_PAYLOAD];
        data.get_mut(..payload.len())?.copy_from_slice(payload);
        let length = u16::try_from(payload.len()).ok().filter(|length| *length > 0)?;
        let rtc::rtp::Header { ssrc, sequence_number: sequence, timestamp, .. } = *header;
        Some(Self { codec, ssrc, sequence, timestamp, arrival_ms, sent_ms: 0.0, length, data })
    }

    pub(super) fn payload(&self) -> &[u8] {
        self.data.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Duration of the sound in the packet; 0 if it cannot be read.
    pub(super) fn duration_ms(&self) -> f64 {
        match self.codec {
            Codec::Opus => {
                opus::packet::get_nb_samples(self.payload(), 48_000).map_or(0.0, |samples| samples as f64 / 48.0)
            }
            Codec::Pcma | Codec::Pcmu => f64::from(self.length) / 8.0,
        }
    }
}

/// What the buffer has for the next position to be played.
pub(super) enum Next<'a> {
    Nothing,
    Packet(&'a Packet),
    /// `count` packets are missing, but the packet `behind` them is there. The missing ones are lost or too late.
    Missing {
        count: u16,
        behind: &'a Packet,
    },
}

/// Puts packets into their order. The buffer has a fixed size and allocates nothing after its creation.
pub(super) struct PacketBuffer {
    slots: Box<[Option<Packet>]>,
    next: Option<u16>,
    newest: u16,
    ssrc: u32,
    /// A packet was taken out, so anything older is too late.
    started: bool,
    late_in_a_row: u32,
}

/// What happened to a packet that was inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserted {
    Taken,
    /// The packet came too late, or a second time.
    Late,
    /// The packet is the first one of another stream; the packets of the stream before it were dropped.
    Restarted,
}

impl PacketBuffer {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![None; SLOTS].into_boxed_slice(),
            next: None,
            newest: 0,
            ssrc: 0,
            started: false,
            late_in_a_row: 0,
        }
    }

    fn stored(&self, sequence: u16) -> Option<&Packet> {
        self.slots.get(usize::from(sequence) % SLOTS)?.as_ref().filter(|packet| packet.sequence == sequence)
    }

    pub(super) fn insert(&mut self, packet: Packet) -> Inserted {
        let sequence = packet.sequence;
        let ahead = self.next.map_or(0, |next| distance(next, sequence));
        let beyond = ahead >= SLOTS as i32 || ahead <= -(SLOTS as i32);
        let late = ahead < 0 && self.started;
        self.late_in_a_row = if late { self.late_in_a_row + 1 } else { 0 };
        let another = self.next.is_some() && self.ssrc != packet.ssrc;
        let anew = another || beyond || self.late_in_a_row >= LATE_IN_A_ROW;
        if self.next.is_none() || anew {
            self.slots.fill(None);
            self.next = Some(sequence);
            self.newest = sequence;
            self.ssrc = packet.ssrc;
            self.started = false;
            self.late_in_a_row = 0;
        } else if late || self.stored(sequence).is_some() {
            return Inserted::Late;
        } else if ahead < 0 {
            self.next = Some(sequence);
        }
        if distance(self.newest, sequence) > 0 {
            self.newest = sequence;
        }
        if let Some(slot) = self.slots.get_mut(usize::from(sequence) % SLOTS) {
            *slot = Some(packet);
        }
        if anew { Inserted::Restarted } else { Inserted::Taken }
    }

    /// Replaces the packet that has the same sequence number.
    pub(super) fn replace(&mut self, packet: Packet) {
        if let Some(slot) = self.slots.get_mut(usize::from(packet.sequence) % SLOTS) {
            *slot = Some(packet);
        }
    }

    /// Returns what is to be played next. It stays in the buffer until [`Self::skip`].
    pub(super) fn next(&self) -> Next<'_> {
        let Some(next) = self.next else { return Next::Nothing };
        for count in 0..SLOTS as u16 {
            let sequence = next.wrapping_add(count);
            if distance(sequence, self.newest) < 0 {
                break;
            }
            match self.stored(sequence) {
                Some(packet) if count == 0 => return Next::Packet(packet),
                Some(behind) => return Next::Missing { count, behind },
                None => {}
            }
        }
        Next::Nothing
    }

    /// Moves on by `count` packets.
    pub(super) fn skip(&mut self, count: u16) {
        self.started = true;
        self.next = self.next.map(|next| next.wrapping_add(count));
    }
}

/// How far `to` is ahead of `from` (RFC 1982); negative if it is behind.
pub(super) fn distance(from: u16, to: u16) -> i32 {
    i32::from(to.wrapping_sub(from) as i16)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn header(sequence: u16, timestamp: u32) -> rtc::rtp::Header {
        rtc::rtp::Header { ssrc: 7, sequence_number: sequence, timestamp, ..Default::default() }
    }

    fn packet(sequence: u16) -> Packet {
        Packet::new(Codec::Pcmu, &header(sequence, u32::from(sequence) * 160), 0.0, &[sequence as u8; 160]).unwrap()
    }

    fn buffer(sequences: &[u16]) -> PacketBuffer {
        let mut buffer = PacketBuffer::new();
        for sequence in sequences {
            buffer.insert(packet(*sequence));
        }
        buffer
    }

    fn play(buffer: &mut PacketBuffer) -> String {
        let (played, count) = match buffer.next() {
            Next::Nothing => return "nothing".into(),
            Next::Packet(packet) => (packet.sequence.to_string(), 1),
            Next::Missing { count, behind } => (format!("{count} lost before {}", behind.sequence), count),
        };
        buffer.skip(count);
        played
    }

    #[test]
    fn packets_out_of_order_are_played_in_order() {
        let mut buffer = buffer(&[11, 10, 13, 12]);
        assert_eq!([(); 5].map(|()| play(&mut buffer)), ["10", "11", "12", "13", "nothing"]);
    }

    #[test]
    fn lost_packets_are_counted_up_to_the_one_behind_them() {
        let mut buffer = buffer(&[1, 4, 5]);
        assert_eq!([(); 4].map(|()| play(&mut buffer)), ["1", "2 lost before 4", "4", "5"]);
    }

    #[test]
    fn sequence_numbers_wrap_around() {
        let mut buffer = buffer(&[65_534, 65_535, 0, 1]);
        assert_eq!([(); 4].map(|()| play(&mut buffer)), ["65534", "65535", "0", "1"]);
    }

    #[test]
    fn a_packet_that_comes_too_late_or_twice_is_dropped() {
        let mut buffer = buffer(&[1, 3]);
        play(&mut buffer);
        play(&mut buffer);
        assert_eq!(buffer.insert(packet(2)), Inserted::Late);
        assert_eq!(buffer.insert(packet(3)), Inserted::Late);
        assert_eq!(play(&mut buffer), "3");
    }

    #[test]
    fn a_jump_of_sequence_or_source_starts_anew() {
        let mut buffer = buffer(&[1, 2]);
        play(&mut buffer);
        assert_eq!(buffer.insert(packet(500)), Inserted::Restarted);
        assert_eq!(play(&mut buffer), "500");
        let mut other = packet(499);
        other.ssrc = 8;
        assert_eq!(buffer.insert(other), Inserted::Restarted);
        assert_eq!(play(&mut buffer), "499");
    }

    #[test]
    fn a_sender_that_steps_back_is_followed_after_a_third_of_a_second() {
        let mut buffer = buffer(&[100]);
        play(&mut buffer);
        let outcomes: Vec<_> = (60..60 + 16).map(|sequence| buffer.insert(packet(sequence))).collect();
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Inserted::Late).count(), 15);
        assert_eq!(outcomes.last(), Some(&Inserted::Restarted));
    }
}
