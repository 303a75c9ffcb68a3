//! The jitter buffer: packets in any order in, one frame at a time out.
//!
//! Fixed slots, no allocation. The target delay follows the measured jitter (RFC 3550, 6.4.1);
//! a burst of late packets lengthens the delay by concealment, a long surplus shortens it by
//! leaving a packet out.

use crate::config::Codec;

/// Largest payload that is taken: Opus at its limit (RFC 6716).
pub(super) const MAX_PAYLOAD: usize = 1275;
/// Slots: more than a second of 20 ms packets.
const SLOTS: usize = 64;
/// Longest target, in packets.
const MAX_TARGET: u32 = 10;
/// Frames that are concealed in a row before silence and a new start.
const MAX_CONCEALED: u32 = 10;
/// Frames over which a surplus must last before it is cut.
const SURPLUS_WINDOW: u32 = 100;

/// A received packet of speech.
#[derive(Clone, Copy)]
pub(super) struct Packet {
    pub(super) codec: Codec,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) arrival_ms: u64,
    length: u16,
    data: [u8; MAX_PAYLOAD],
}

impl Packet {
    pub(super) fn new(codec: Codec, sequence: u16, timestamp: u32, arrival_ms: u64, payload: &[u8]) -> Option<Self> {
        let mut data = [0; MAX_PAYLOAD];
        data.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self { codec, sequence, timestamp, arrival_ms, length: u16::try_from(payload.len()).ok()?, data })
    }

    pub(super) fn payload(&self) -> &[u8] {
        self.data.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// What to play next.
pub(super) enum Playout<'a> {
    /// The next packet.
    Packet(&'a Packet),
    /// The next packet is lost; the one behind it may hold its redundancy.
    Lost {
        /// The packet behind the lost one.
        next: Option<&'a Packet>,
    },
    /// Nothing to play: silence.
    Silence,
}

/// Counters since the start of the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct JitterCounters {
    pub(super) received: u64,
    pub(super) late: u64,
    pub(super) concealed: u64,
    pub(super) skipped: u64,
}

/// Packets between network and decoder.
pub(super) struct JitterBuffer {
    slots: Box<[Option<Packet>]>,
    next: Option<u16>,
    newest: u16,
    playing: bool,
    concealed_in_a_row: u32,
    jitter_ms: f32,
    last_transit_ms: Option<f64>,
    least_surplus: u32,
    window: u32,
    pub(super) counters: JitterCounters,
}

impl JitterBuffer {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![None; SLOTS].into_boxed_slice(),
            next: None,
            newest: 0,
            playing: false,
            concealed_in_a_row: 0,
            jitter_ms: 10.0,
            last_transit_ms: None,
            least_surplus: u32::MAX,
            window: 0,
            counters: JitterCounters::default(),
        }
    }

    fn slot(sequence: u16) -> usize {
        usize::from(sequence) % SLOTS
    }

    fn stored(&self, sequence: u16) -> Option<&Packet> {
        self.slots.get(Self::slot(sequence))?.as_ref().filter(|packet| packet.sequence == sequence)
    }

    /// Takes a packet in.
    pub(super) fn insert(&mut self, packet: Packet) {
        self.counters.received += 1;
        self.measure_jitter(&packet);
        let sequence = packet.sequence;
        match self.next {
            None => {
                self.next = Some(sequence);
                self.newest = sequence;
            }
            Some(next) => {
                let ahead = distance(next, sequence);
                if ahead >= SLOTS as i32 || ahead < -(SLOTS as i32) {
                    // Another stream, or a pause beyond repair: start anew.
                    self.restart(sequence);
                } else if ahead < 0 {
                    if self.playing {
                        self.counters.late += 1;
                        return;
                    }
                    // Before the first frame is played an older packet may still come first.
                    self.next = Some(sequence);
                }
                if distance(self.newest, sequence) > 0 {
                    self.newest = sequence;
                }
            }
        }
        if let Some(slot) = self.slots.get_mut(Self::slot(sequence)) {
            *slot = Some(packet);
        }
    }

    fn restart(&mut self, sequence: u16) {
        self.slots.fill(None);
        self.next = Some(sequence);
        self.newest = sequence;
        self.playing = false;
        self.concealed_in_a_row = 0;
        self.last_transit_ms = None;
    }

    fn measure_jitter(&mut self, packet: &Packet) {
        let clock_khz = if packet.codec == Codec::Opus { 48.0 } else { 8.0 };
        let transit = packet.arrival_ms as f64 - f64::from(packet.timestamp) / clock_khz;
        if let Some(last) = self.last_transit_ms.replace(transit) {
            let change = (transit - last).abs();
            // A jump of the sender's time stamps is no jitter.
            if change < 1000.0 {
                // Rises fast, falls slowly.
                let weight = if change as f32 > self.jitter_ms { 0.25 } else { 0.02 };
                self.jitter_ms += (change as f32 - self.jitter_ms) * weight;
            }
        }
    }

    /// Packets that are kept in hand, at 20 ms each.
    fn target(&self) -> u32 {
        ((self.jitter_ms * 1.5 / 20.0).ceil() as u32).clamp(1, MAX_TARGET)
    }

    /// Packets from the next one to the newest, gaps included.
    fn level(&self) -> u32 {
        match self.next {
            Some(next) => u32::try_from(distance(next, self.newest) + 1).unwrap_or(0),
            None => 0,
        }
    }

    /// What to play next. Call it once per frame of the far end.
    pub(super) fn pop(&mut self) -> Playout<'_> {
        let Some(next) = self.next else { return Playout::Silence };
        let level = self.level();
        if !self.playing {
            if level <= self.target() {
                return Playout::Silence;
            }
            self.playing = true;
        }
        self.cut_surplus(level);
        let next = self.next.unwrap_or(next);
        if self.stored(next).is_some() {
            self.concealed_in_a_row = 0;
            self.next = Some(next.wrapping_add(1));
            return self.stored(next).map_or(Playout::Silence, Playout::Packet);
        }
        self.concealed_in_a_row += 1;
        if self.concealed_in_a_row > MAX_CONCEALED && level == 0 {
            self.playing = false;
            return Playout::Silence;
        }
        self.counters.concealed += 1;
        if level == 0 {
            // Nothing behind it has come: it may only be late. The delay grows by this frame.
            return Playout::Lost { next: None };
        }
        self.next = Some(next.wrapping_add(1));
        Playout::Lost { next: self.stored(next.wrapping_add(1)) }
    }

    /// A delay above the target that lasts is cut by one packet at a time.
    fn cut_surplus(&mut self, level: u32) {
        let surplus = level.saturating_sub(self.target() + 1);
        self.least_surplus = self.least_surplus.min(surplus);
        self.window += 1;
        // A great surplus, as after an outage, does not wait for the window.
        let at_once = surplus > MAX_TARGET;
        let lasting = self.window >= SURPLUS_WINDOW && self.least_surplus > 0;
        if let (true, Some(next)) = (at_once || lasting, self.next) {
            self.next = Some(next.wrapping_add(1));
            self.counters.skipped += 1;
        }
        if self.window >= SURPLUS_WINDOW {
            self.window = 0;
            self.least_surplus = u32::MAX;
        }
    }
}

/// How far `to` lies ahead of `from` (RFC 1982).
fn distance(from: u16, to: u16) -> i32 {
    i32::from(to.wrapping_sub(from) as i16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, arrival_ms: u64) -> Packet {
        Packet::new(Codec::Pcmu, sequence, u32::from(sequence) * 160, arrival_ms, &[sequence as u8; 160]).unwrap()
    }

    fn play(buffer: &mut JitterBuffer) -> String {
        match buffer.pop() {
            Playout::Packet(packet) => packet.sequence.to_string(),
            Playout::Lost { next } => next.map_or("lost".into(), |next| format!("lost before {}", next.sequence)),
            Playout::Silence => "silence".into(),
        }
    }

    fn fill(buffer: &mut JitterBuffer, sequences: &[u16]) {
        for (index, sequence) in sequences.iter().enumerate() {
            buffer.insert(packet(*sequence, index as u64 * 20));
        }
    }

    #[test]
    fn packets_out_of_order_are_played_in_order() {
        let mut buffer = JitterBuffer::new();
        fill(&mut buffer, &[11, 10, 13, 12]);
        assert_eq!(
            [play(&mut buffer), play(&mut buffer), play(&mut buffer), play(&mut buffer)],
            ["10", "11", "12", "13"]
        );
    }

    #[test]
    fn a_lost_packet_is_concealed_with_its_successor_at_hand() {
        let mut buffer = JitterBuffer::new();
        fill(&mut buffer, &[1, 3, 4]);
        assert_eq!([play(&mut buffer), play(&mut buffer), play(&mut buffer)], ["1", "lost before 3", "3"]);
    }

    #[test]
    fn sequence_numbers_wrap_around() {
        let mut buffer = JitterBuffer::new();
        fill(&mut buffer, &[65_534, 65_535, 0, 1]);
        assert_eq!([play(&mut buffer), play(&mut buffer), play(&mut buffer)], ["65534", "65535", "0"]);
    }

    #[test]
    fn a_packet_that_comes_too_late_is_dropped_and_counted() {
        let mut buffer = JitterBuffer::new();
        fill(&mut buffer, &[1, 3, 4]);
        play(&mut buffer);
        play(&mut buffer);
        buffer.insert(packet(2, 100));
        assert_eq!(play(&mut buffer), "3");
        assert_eq!(buffer.counters.late, 1);
    }

    #[test]
    fn silence_follows_an_outage_and_sound_comes_back() {
        let mut buffer = JitterBuffer::new();
        fill(&mut buffer, &[1, 2, 3]);
        for _ in 0..30 {
            play(&mut buffer);
        }
        assert_eq!(play(&mut buffer), "silence");
        for sequence in 500..504 {
            buffer.insert(packet(sequence, 1000));
        }
        assert_eq!(play(&mut buffer), "500");
    }

    #[test]
    fn a_backlog_after_an_outage_is_worked_off() {
        let mut buffer = JitterBuffer::new();
        fill(&mut buffer, &[1, 2, 3]);
        for sequence in 4..40 {
            buffer.insert(packet(sequence, 60));
        }
        for step in 0..100_u16 {
            play(&mut buffer);
            buffer.insert(packet(40 + step, 80 + u64::from(step) * 20));
        }
        assert!(buffer.level() <= buffer.target() + 2 + MAX_TARGET, "level {}", buffer.level());
        assert!(buffer.counters.skipped > 10);
    }
}
