//! How long packets are kept before they are played: until nearly all late packets have arrived.

use super::packets::{Packet, distance};
use crate::config::Codec;

/// Width of a bin of the histogram.
const BIN_MS: f64 = 5.0;
/// Number of bins. The longest delay that is waited for is 600 ms.
const BINS: usize = 120;
/// Share of the packets that is waited for.
const QUANTILE: f32 = 0.97;
/// Factor by which each packet reduces the weight of the past: half of it is forgotten after 2 s of 20 ms packets.
const KEEP: f32 = 0.993;
/// The delay that is assumed before anything is known.
const FIRST_MS: f64 = 20.0;
/// The assumption counts as much as this many packets.
const FIRST_WEIGHT: f32 = 5.0;
/// Sound is played frame by frame, so a packet may wait for a whole frame.
const FRAME_MS: f64 = crate::sound::FRAME_MS as f64;
/// Number of packets in a window. The fastest packet of two windows is used: of the last 3 to 6 s. A clock that drifts
/// by 200 ppm moves by 1 ms in that time.
const WINDOW: u32 = 150;
/// Weight of a packet that arrives together with another one. A packet that arrives a packet's length after the one
/// before it has the weight 1.
const LEAST_NEWS: f64 = 0.12;
/// Factor by which each packet reduces the loss of the past: half of it is forgotten after 3 s.
const LOSS_KEEP: f32 = 0.995;
/// Above `MUCH_LOSS` it is worth waiting for redundancy; below `LITTLE_LOSS` it no longer is.
const MUCH_LOSS: f32 = 0.012;
const LITTLE_LOSS: f32 = 0.002;
/// A longer gap is an outage, which redundancy cannot fill.
const LOSS_AT_ONCE: u16 = 2;
/// A change of the transit time beyond this is a change of a clock, not of the network.
const JUMP_MS: f64 = 1_000.0;
/// What is added when the buffer was empty and the delay of no packet explains it: a sound card that takes more than a
/// frame at a time.
const MARGIN_STEP_MS: f64 = 5.0;
const MAX_MARGIN_MS: f64 = 60.0;
/// Factor by which each packet reduces that margin: half of it is left after some 30 s.
const MARGIN_KEEP: f64 = 0.9995;

/// The sender's clock. It follows the time stamps where these agree with the arrival of packets, and otherwise the
/// sequence numbers.
#[derive(Default)]
pub(super) struct SenderClock {
    newest: Option<Newest>,
}

#[derive(Clone, Copy)]
struct Newest {
    codec: Codec,
    sequence: u16,
    timestamp: u32,
    sent_ms: f64,
    arrival_ms: f64,
    duration_ms: f64,
}

impl SenderClock {
    /// Returns when a packet was sent, counted from some moment of the stream.
    pub(super) fn sent_ms(&mut self, packet: &Packet) -> f64 {
        let duration_ms = packet.duration_ms();
        let sent_ms = self.newest.map_or(0.0, |newest| {
            let packets = f64::from(distance(newest.sequence, packet.sequence));
            let by_sequence = packets * newest.duration_ms;
            let ticks = f64::from(packet.timestamp.wrapping_sub(newest.timestamp) as i32);
            let by_timestamp = ticks / ticks_per_ms(packet.codec);
            // A pause of the sender (DTX) takes the same time here. Time stamps that run ahead of the arrivals are
            // wrong.
            let pause = by_timestamp - by_sequence;
            let waited = packet.arrival_ms - newest.arrival_ms;
            let plausible = pause.abs() < 1.0 || pause > 0.0 && pause < waited + JUMP_MS;
            newest.sent_ms + if newest.codec == packet.codec && plausible { by_timestamp } else { by_sequence }
        });
        let Packet { codec, sequence, timestamp, arrival_ms, .. } = *packet;
        if self.newest.is_none_or(|newest| distance(newest.sequence, sequence) > 0) {
            self.newest = Some(Newest { codec, sequence, timestamp, sent_ms, arrival_ms, duration_ms });
        }
        sent_ms
    }

    /// Forgets the stream, because another one follows.
    pub(super) fn restart(&mut self) {
        self.newest = None;
    }
}

fn ticks_per_ms(codec: Codec) -> f64 {
    match codec {
        Codec::Opus => 48.0,
        Codec::Pcma | Codec::Pcmu => 8.0,
    }
}

/// The recent delays: a histogram that forgets, and the fastest packet, from which the delays are counted.
pub(super) struct DelayTarget {
    bins: Box<[f32]>,
    /// Shortest transit time (arrival minus sending) in this window and in the one before it.
    fastest_ms: [f64; 2],
    packets: u32,
    /// Number of packets in the histogram, which matters at the beginning: the first ones weigh more.
    known: f32,
    last_arrival_ms: f64,
    margin_ms: f64,
    /// The share of recent packets that were lost, and the time for which the packet after a lost one is waited for.
    loss: f32,
    redundancy_ms: f64,
}

impl DelayTarget {
    pub(super) fn new() -> Self {
        let mut bins = vec![0.0; BINS].into_boxed_slice();
        if let Some(bin) = bins.get_mut((FIRST_MS / BIN_MS) as usize - 1) {
            *bin = 1.0;
        }
        Self {
            bins,
            fastest_ms: [f64::INFINITY; 2],
            packets: 0,
            known: FIRST_WEIGHT,
            last_arrival_ms: 0.0,
            margin_ms: 0.0,
            loss: 0.0,
            redundancy_ms: 0.0,
        }
    }

    /// The transit time of the fastest recent packet.
    fn fastest_ms(&self) -> f64 {
        let [this, before] = self.fastest_ms;
        this.min(before)
    }

    /// Notes a packet that has arrived.
    pub(super) fn arrived(&mut self, packet: &Packet) {
        let transit = packet.arrival_ms - packet.sent_ms;
        if (transit - self.fastest_ms()).abs() > JUMP_MS {
            self.fastest_ms = [transit, f64::INFINITY];
            self.packets = 0;
        }
        let [this, before] = &mut self.fastest_ms;
        *this = this.min(transit);
        self.packets += 1;
        if self.packets >= WINDOW {
            let fastest_before = this.min(*before);
            (*before, *this) = (*this, transit);
            self.packets = 0;
            self.fastest_rose(fastest_before);
        }
        let late_ms = transit - self.fastest_ms();
        let bin = ((late_ms / BIN_MS) as usize).min(BINS - 1);
        // Packets that were held back by an outage arrive all at once, and say nearly the same.
        let waited_ms = packet.arrival_ms - self.last_arrival_ms;
        let news = (waited_ms / packet.duration_ms().max(1.0)).clamp(LEAST_NEWS, 1.0) as f32;
        self.last_arrival_ms = packet.arrival_ms;
        self.known += news;
        let added = news * (1.0 - KEEP).max(1.0 / self.known);
        self.bins.iter_mut().for_each(|weight| *weight *= 1.0 - added);
        if let Some(weight) = self.bins.get_mut(bin) {
            *weight += added;
        }
        self.margin_ms *= MARGIN_KEEP;
        self.loss *= LOSS_KEEP;
        if self.loss < LITTLE_LOSS {
            self.redundancy_ms = 0.0;
        }
    }

    /// Notes lost packets. The packet after them comes `each_ms` later and may have redundancy for them.
    pub(super) fn lost(&mut self, packets: u16, each_ms: f64) {
        self.loss += f32::from(packets.min(LOSS_AT_ONCE)) * (1.0 - LOSS_KEEP);
        if self.loss > MUCH_LOSS {
            self.redundancy_ms = each_ms;
        }
    }

    /// Moves the histogram when the fastest packet has become slower: all delays in it are now shorter by the
    /// difference. So the target is the same as before if the network path has changed but its jitter has not.
    fn fastest_rose(&mut self, fastest_before: f64) {
        let rise = self.fastest_ms() - fastest_before;
        let bins = ((rise / BIN_MS).round().max(0.0) as usize).min(BINS - 1);
        let early: f32 = self.bins.iter().take(bins).sum();
        self.bins.copy_within(bins.., 0);
        if let Some(freed) = self.bins.get_mut(BINS - bins..) {
            freed.fill(0.0);
        }
        if let Some(first) = self.bins.first_mut() {
            *first += early;
        }
    }

    /// Forgets the fastest packet, because another stream follows. The histogram stays, since the network is the same.
    pub(super) fn restart(&mut self) {
        self.fastest_ms = [f64::INFINITY; 2];
        self.packets = 0;
    }

    /// Returns the delay of a packet that is played at `now_ms`, counted from when it would have arrived with the
    /// fastest transit.
    pub(super) fn delay_ms(&self, packet: &Packet, now_ms: f64) -> f64 {
        let delay = now_ms - packet.sent_ms - self.fastest_ms();
        if delay.is_finite() { delay } else { 0.0 }
    }

    /// Notes that there was nothing to play although this packet was on time.
    pub(super) fn starved(&mut self, packet: &Packet) {
        let late_ms = packet.arrival_ms - packet.sent_ms - self.fastest_ms();
        if late_ms + FRAME_MS < self.target_ms() {
            self.margin_ms = (self.margin_ms + MARGIN_STEP_MS).min(MAX_MARGIN_MS);
        }
    }

    /// Returns the delay at which sound is to be played, counted from when a packet would have arrived with the fastest
    /// transit.
    pub(super) fn target_ms(&self) -> f64 {
        let mut beyond = 1.0 - QUANTILE;
        let beyond_bins = self.bins.iter().rev().take_while(|weight| {
            beyond -= **weight;
            beyond > 0.0
        });
        (BINS - beyond_bins.count()) as f64 * BIN_MS + FRAME_MS + self.margin_ms + self.redundancy_ms
    }
}

#[cfg(test)]
mod tests {
    use super::super::packets::tests::header;
    use super::*;

    /// Packets of 20 ms that are sent one after the other. Each arrives late by a given time.
    struct Stream {
        clock: SenderClock,
        target: DelayTarget,
        sequence: u16,
    }

    impl Stream {
        fn new() -> Self {
            Self { clock: SenderClock::default(), target: DelayTarget::new(), sequence: 0 }
        }

        fn packet(&mut self, late_ms: f64) -> Packet {
            let timestamp = u32::from(self.sequence) * 160;
            let arrival_ms = f64::from(self.sequence) * 20.0 + late_ms;
            let mut packet =
                Packet::new(Codec::Pcmu, &header(self.sequence, timestamp), arrival_ms, &[0; 160]).unwrap();
            self.sequence = self.sequence.wrapping_add(1);
            packet.sent_ms = self.clock.sent_ms(&packet);
            self.target.arrived(&packet);
            packet
        }
    }

    #[test]
    fn a_quiet_network_asks_for_a_frame_and_little_more() {
        let mut stream = Stream::new();
        (0..1_000).for_each(|_| {
            stream.packet(3.0);
        });
        assert_eq!(stream.target.target_ms(), 15.0);
    }

    #[test]
    fn the_target_rises_fast_and_falls_slowly() {
        let mut stream = Stream::new();
        (0..1_000).for_each(|_| {
            stream.packet(0.0);
        });
        (0..5).for_each(|_| {
            stream.packet(100.0);
        });
        assert!(stream.target.target_ms() >= 110.0, "{}", stream.target.target_ms());
        (0..50).for_each(|_| {
            stream.packet(0.0);
        });
        assert_eq!(stream.target.target_ms(), 15.0);
        (0..100).for_each(|index| {
            stream.packet(f64::from(index % 2) * 100.0);
        });
        (0..250).for_each(|_| {
            stream.packet(0.0);
        });
        assert!(stream.target.target_ms() >= 110.0, "5 s later: {}", stream.target.target_ms());
        (0..500).for_each(|_| {
            stream.packet(0.0);
        });
        assert_eq!(stream.target.target_ms(), 15.0, "15 s later");
    }

    #[test]
    fn another_way_with_the_same_jitter_has_the_same_target_again() {
        let mut stream = Stream::new();
        (0..1_000).for_each(|_| {
            stream.packet(0.0);
        });
        // From now on, each packet takes 400 ms longer.
        (0..310).for_each(|_| {
            stream.packet(400.0);
        });
        assert_eq!(stream.target.target_ms(), 15.0);
        let newest = stream.packet(400.0);
        assert!(stream.target.delay_ms(&newest, newest.arrival_ms + 15.0) < 20.0);
    }

    fn sent(packets: &[(u16, u32, f64)]) -> Vec<f64> {
        let mut clock = SenderClock::default();
        let packet = |(sequence, timestamp, arrival_ms): &(u16, u32, f64)| {
            Packet::new(Codec::Pcmu, &header(*sequence, *timestamp), *arrival_ms, &[0; 160]).unwrap()
        };
        packets.iter().map(|values| clock.sent_ms(&packet(values))).collect()
    }

    #[test]
    fn a_pause_of_the_sender_is_time_and_time_stamps_that_lie_are_not() {
        assert_eq!(sent(&[(1, 0, 0.0), (2, 160, 20.0), (4, 480, 60.0)]), [0.0, 20.0, 60.0]);
        assert_eq!(sent(&[(1, 0, 0.0), (2, 8_000, 1_000.0), (3, 8_160, 1_020.0)]), [0.0, 1_000.0, 1_020.0]);
        assert_eq!(sent(&[(1, 0, 0.0), (2, 0, 20.0), (3, 7, 40.0)]), [0.0, 20.0, 40.0], "a clock that stands");
        assert_eq!(sent(&[(1, 5, 0.0), (2, 3_000_000_000, 20.0)]), [0.0, 20.0], "a clock that jumps");
        assert_eq!(sent(&[(65_535, 0u32.wrapping_sub(160), 0.0), (0, 0, 20.0)]), [0.0, 20.0], "one that wraps");
        assert_eq!(sent(&[(5, 800, 0.0), (4, 640, 1.0), (6, 960, 20.0)]), [0.0, -20.0, 20.0], "out of order");
    }
}
