//! The receive path of a call: packets from a ring, a buffer in their order, a decoder, and a clock.
//!
//! Every packet is played a target after the fastest of late would have come. What is off by more than the ear
//! forgives is put right by leaving periods of the voice out or saying them twice, the rest by a rate that follows the
//! far end's clock. Runs on the audio thread; everything is allocated when the call is made.

use callbox_dsp::{ClockControl, DriftResampler, Stretch};
use rtrb::Consumer;

use super::MediaError;
use super::decode::{Decoder, MAX_FRAME};
use super::delay::{DelayTarget, SenderClock};
use super::packets::{Inserted, Next, Packet, PacketBuffer};
use crate::config::Codec;

/// Decoded sound that is not played yet: a long packet, a short one to stretch with, and room for a period.
const READY: usize = 2 * MAX_FRAME;
/// How far the delay may be off its target before sound is stretched, beside a fifth of the target.
const SLACK_MS: f64 = 5.0;
/// So much above the target two periods are left out of a packet: speech at almost twice its pace.
const FAST_MS: f64 = 100.0;
/// After so long without a packet nobody expects one.
const FORGOTTEN_MS: f64 = 5_000.0;
/// Sound that was made up for so long has faded: what follows starts at the target again.
const FADED_MS: f64 = 100.0;
/// Longest time that a packet which is there waits for its moment: time stamps may lie.
const MAX_HOLD_MS: f64 = 500.0;
const FRAME_MS: f64 = crate::sound::FRAME_MS as f64;
/// The usual packet, and over how much the error of the delay is averaged.
const PACKET_S: f64 = 0.02;
const AVERAGE_S: f64 = 0.32;

/// What happened since the start of the call.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ReceiveCounters {
    /// Packets that were taken in.
    pub received: u64,
    /// Packets that came after their time, or twice.
    pub late: u64,
    /// Packets that never came, or came too late; some were recovered from the one behind them.
    pub lost: u64,
    /// Sound that was made up.
    pub concealed_ms: f64,
    /// Sound that was left out to lower the delay.
    pub shortened_ms: f64,
    /// Sound that was said twice to raise it.
    pub lengthened_ms: f64,
}

pub(super) struct Receiver {
    packets: Consumer<Packet>,
    buffer: PacketBuffer,
    clock: SenderClock,
    target: DelayTarget,
    decoder: Decoder,
    stretch: Stretch,
    far_clock: ClockControl,
    resampler: DriftResampler,
    /// Samples of 10 ms.
    frame: usize,
    /// Decoded sound: `ready[..length]`.
    ready: Box<[f32]>,
    length: usize,
    /// Of the last packet: how long after the fastest would have come it was played, less what was left out since.
    delay_ms: f64,
    /// Sound was played, and not long ago.
    playing: bool,
    /// How long nothing that came has been played.
    starved_ms: f64,
    /// How long the next packet has waited for its moment.
    held_ms: f64,
    pub(super) counters: ReceiveCounters,
}

impl Receiver {
    pub(super) fn new(packets: Consumer<Packet>, rate_hz: u32) -> Result<Self, MediaError> {
        Ok(Self {
            packets,
            buffer: PacketBuffer::new(),
            clock: SenderClock::default(),
            target: DelayTarget::new(),
            decoder: Decoder::new(rate_hz)?,
            stretch: Stretch::new(rate_hz),
            far_clock: ClockControl::new(PACKET_S, AVERAGE_S),
            resampler: DriftResampler::new(),
            frame: crate::sound::frame_samples(rate_hz),
            ready: vec![0.0; READY].into_boxed_slice(),
            length: 0,
            delay_ms: 0.0,
            playing: false,
            starved_ms: 0.0,
            held_ms: 0.0,
            counters: ReceiveCounters::default(),
        })
    }

    /// How long after the fastest packet would have come sound is played, and is to be played.
    pub(super) fn delay_and_target_ms(&self) -> (f64, f64) {
        (self.delay_ms, self.target.target_ms())
    }

    /// Fills 10 ms with what the far end says; `now_ms` is the time since the call began.
    pub(super) fn hear(&mut self, frame: &mut [f32], now_ms: f64) {
        while let Ok(packet) = self.packets.pop() {
            self.take(packet);
        }
        let ppm = self.far_clock.ppm();
        let needed = self.resampler.needed(frame.len(), ppm);
        while self.length < needed {
            self.produce(now_ms);
        }
        self.resampler.process(self.ready.get(..needed).unwrap_or_default(), frame, ppm);
        self.ready.copy_within(needed..self.length, 0);
        self.length -= needed;
    }

    fn take(&mut self, mut packet: Packet) {
        self.counters.received += 1;
        packet.sent_ms = self.clock.sent_ms(&packet);
        match self.buffer.insert(packet) {
            Inserted::Taken => {}
            Inserted::Late => self.counters.late += 1,
            Inserted::Restarted => {
                self.clock.restart();
                packet.sent_ms = self.clock.sent_ms(&packet);
                self.buffer.replace(packet);
                self.target.restart();
                self.playing = false;
            }
        }
        self.target.arrived(&packet);
    }

    fn ms_samples(&self, ms: f64) -> usize {
        (ms / FRAME_MS * self.frame as f64) as usize
    }

    fn samples_ms(&self, samples: usize) -> f64 {
        samples as f64 / self.frame as f64 * FRAME_MS
    }

    /// Adds sound to what is ready.
    fn produce(&mut self, now_ms: f64) {
        let plays_at_ms = now_ms + self.samples_ms(self.length) + self.decoder.rest_ms();
        match self.buffer.next() {
            Next::Nothing => self.starve(),
            Next::Packet(packet) => {
                let delay_ms = self.target.delay_ms(packet, plays_at_ms);
                let anew = !self.playing || self.decoder.is_silent() || self.starved_ms >= FADED_MS;
                if anew && delay_ms < self.target.target_ms() && self.held_ms < MAX_HOLD_MS {
                    self.held_ms += FRAME_MS;
                    return self.starve();
                }
                if !anew && self.starved_ms > 0.0 {
                    self.target.starved(packet);
                }
                self.play(delay_ms, anew);
                self.adjust();
            }
            Next::Missing { count, behind } => {
                let each_ms = behind.duration_ms().max(FRAME_MS);
                let missing_ms = f64::from(count) * each_ms - self.starved_ms;
                if missing_ms >= each_ms + FRAME_MS {
                    return self.starve();
                }
                let frames = (missing_ms / FRAME_MS).ceil().max(0.0) as usize;
                if frames > 0 {
                    let room = self.ready.get_mut(self.length..).unwrap_or_default();
                    self.length += self.decoder.lost_before(behind, frames * self.frame, room);
                }
                self.counters.lost += u64::from(count);
                if behind.codec == Codec::Opus {
                    self.target.lost(count, each_ms);
                }
                self.buffer.skip(count);
                if frames == 0 {
                    // All of it has been made up: what is behind it follows.
                    return self.produce(now_ms);
                }
                self.starved_ms = 0.0;
            }
        }
    }

    /// Nothing that came can be played now.
    fn starve(&mut self) {
        if self.starved_ms >= FORGOTTEN_MS {
            self.playing = false;
        }
        if !self.playing {
            return self.append_silence();
        }
        self.starved_ms += FRAME_MS;
        if !self.decoder.is_silent() {
            self.counters.concealed_ms += FRAME_MS;
        }
        let room = self.ready.get_mut(self.length..).unwrap_or_default();
        let count = self.decoder.conceal(self.frame, room);
        self.length += count;
        if count == 0 {
            self.append_silence();
        }
    }

    fn append_silence(&mut self) {
        if let Some(room) = self.ready.get_mut(self.length..self.length + self.frame) {
            room.fill(0.0);
            self.length += self.frame;
        }
    }

    /// Decodes the next packet.
    fn play(&mut self, delay_ms: f64, anew: bool) {
        self.decode();
        (self.playing, self.starved_ms, self.held_ms) = (true, 0.0, 0.0);
        self.far_clock.note(delay_ms - self.target.target_ms(), anew);
        self.delay_ms = delay_ms;
    }

    fn decode(&mut self) {
        if let Next::Packet(packet) = self.buffer.next() {
            let room = self.ready.get_mut(self.length..).unwrap_or_default();
            let count = self.decoder.packet(packet, room);
            // A packet of less than 10 ms completes a frame with the next one; one of Opus that holds nothing, or not
            // what it says, is a frame of silence.
            let empty = packet.codec == Codec::Opus && count == 0;
            self.length += count;
            self.buffer.skip(1);
            if empty {
                self.append_silence();
            }
        }
    }

    /// Brings a delay that is far off its target nearer to it.
    fn adjust(&mut self) {
        let slack_ms = SLACK_MS.max(self.target.target_ms() / 5.0);
        let error_ms = self.far_clock.error_ms();
        if error_ms > slack_ms {
            // After an outage there is more to leave out.
            self.shorten();
            if error_ms > FAST_MS {
                self.shorten();
            }
        } else if error_ms < -slack_ms {
            let wanted = self.ms_samples(-error_ms);
            let length = self.stretch.lengthen(&mut self.ready, self.length, wanted);
            let added_ms = self.samples_ms(length - self.length);
            self.length = length;
            self.counters.lengthened_ms += added_ms;
            self.far_clock.corrected(added_ms);
        }
    }

    fn shorten(&mut self) {
        if self.length < self.stretch.needed() {
            self.decode();
        }
        let wanted = self.ms_samples(self.far_clock.error_ms());
        let left = self.stretch.shorten(self.ready.get_mut(..self.length).unwrap_or_default(), wanted);
        let removed_ms = self.samples_ms(self.length - left);
        self.length = left;
        self.counters.shortened_ms += removed_ms;
        self.far_clock.corrected(-removed_ms);
    }
}
