//! Packets in any order in, in their order out.

use crate::config::Codec;

/// Largest payload that is taken: 200 ms of G.711; Opus has at most 1275 bytes (RFC 6716, section 3.4).
pub(super) const MAX_PAYLOAD: usize = 1600;
/// Slots: more than a second of 20 ms packets.
const SLOTS: usize = 64;
/// Packets in a row that come too late until the sender is believed to have started anew.
const LATE_IN_A_ROW: u32 = 16;

/// A received packet of speech.
#[derive(Clone, Copy)]
pub(super) struct Packet {
    pub(super) codec: Codec,
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    /// When it came, since the call began.
    pub(super) arrival_ms: f64,
    /// When it was sent, by the sender's clock; see [`super::delay::SenderClock`].
    pub(super) sent_ms: f64,
    length: u16,
    data: [u8; MAX_PAYLOAD],
}

impl Packet {
    /// `None` where the payload is empty or longer than any of ours.
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

    /// How much sound it holds.
    pub(super) fn duration_ms(&self) -> f64 {
        match self.codec {
            Codec::Opus => {
                opus::packet::get_nb_samples(self.payload(), 48_000).map_or(0.0, |samples| samples as f64 / 48.0)
            }
            Codec::Pcma | Codec::Pcmu => f64::from(self.length) / 8.0,
        }
    }
}

/// What comes next.
pub(super) enum Next<'a> {
    /// Nothing is there.
    Nothing,
    /// The next packet.
    Packet(&'a Packet),
    /// So many packets are not there, but the one behind them is: they are lost, or come too late.
    Missing { count: u16, behind: &'a Packet },
}

/// Fixed slots; nothing allocates after the start.
pub(super) struct PacketBuffer {
    slots: Box<[Option<Packet>]>,
    next: Option<u16>,
    newest: u16,
    ssrc: u32,
    /// Something was taken out: what is older is too late.
    started: bool,
    late_in_a_row: u32,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserted {
    Taken,
    /// It comes after its time, or a second time.
    Late,
    /// The first of another stream: what was there is gone.
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

    /// Takes a packet in.
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

    /// Puts a packet in the place of the one with its number.
    pub(super) fn replace(&mut self, packet: Packet) {
        if let Some(slot) = self.slots.get_mut(usize::from(packet.sequence) % SLOTS) {
            *slot = Some(packet);
        }
    }

    /// What comes next; it stays until [`Self::skip`].
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

    /// Goes on behind the next packets.
    pub(super) fn skip(&mut self, count: u16) {
        self.started = true;
        self.next = self.next.map(|next| next.wrapping_add(count));
    }
}

/// How far `to` lies ahead of `from` (RFC 1982).
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
