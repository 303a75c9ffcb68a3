//! The receive path of a call: a ring of received packets, a buffer that puts them into order, a decoder and a clock
//! control. It is our own (docs/workarounds.md, "webrtc: the jitter buffer only reorders").
//!
//! Every packet is played at a target delay. Delays are counted from the time at which the packet would have arrived
//! with the fastest recent transit. If the delay is off its target by more than can be ignored, pitch periods of the
//! voice are left out or repeated. The rest is corrected by a playback rate that follows the far end's clock. All of
//! this runs on the audio thread, and everything is allocated when the call is made.

use callbox_dsp::{ClockControl, DriftResampler, Stretch};
use rtrb::Consumer;

use super::MediaError;
use super::decode::{Decoder, MAX_FRAME};
use super::packets::{Inserted, Next, Packet, PacketBuffer};
use super::target_delay::{DelayTarget, SenderClock};
use crate::config::Codec;

/// Number of decoded samples that can wait to be played: a long packet, a short one to stretch with, and room for a
/// period.
const READY: usize = 2 * MAX_FRAME;
/// The delay may be off its target by this much, or by a fifth of the target if that is more, before sound is
/// stretched.
const SLACK_MS: f64 = 5.0;
/// If the delay is this far above its target, two periods are left out of each packet: speech at almost twice its
/// speed.
const FAST_MS: f64 = 100.0;
/// After this time without a packet, the receiver plays silence and waits for a new beginning.
const FORGOTTEN_MS: f64 = 5_000.0;
/// Concealment of this length has faded out. The next packet is played at the target delay again.
const FADED_MS: f64 = 100.0;
/// Longest time for which a packet is held back until its moment. Without a limit, wrong time stamps could hold it for
/// ever.
const MAX_HOLD_MS: f64 = 500.0;
const FRAME_MS: f64 = crate::sound::FRAME_MS as f64;
/// The length of the usual packet, and the time over which the error of the delay is averaged, in seconds.
const PACKET_S: f64 = 0.02;
const AVERAGE_S: f64 = 0.32;

/// What happened since the call began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ReceiveCounters {
    /// Packets that were received.
    pub received: u64,
    /// Packets that came too late, or a second time.
    pub late: u64,
    /// Packets that never came, or came too late. Some were recovered from the packet after them.
    pub lost: u64,
    /// Sound that was made up (concealment).
    pub concealed_ms: f64,
    /// Sound that was left out to lower the delay.
    pub shortened_ms: f64,
    /// Sound that was repeated to raise the delay.
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
    /// Number of samples in 10 ms.
    frame: usize,
    /// Decoded sound is in `ready[..length]`.
    ready: Box<[f32]>,
    length: usize,
    /// The delay at which the last packet was played.
    delay_ms: f64,
    /// Sound was played within [`FORGOTTEN_MS`].
    playing: bool,
    /// Time for which no received packet has been played.
    starved_ms: f64,
    /// Time for which the next packet has been held back.
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

    /// Returns the delay at which sound is played, and its target. Both count from the time at which a packet would
    /// have arrived with the fastest recent transit.
    pub(super) fn delay_and_target_ms(&self) -> (f64, f64) {
        (self.delay_ms, self.target.target_ms())
    }

    /// Fills a frame of 10 ms with the sound of the far end. `now_ms` is the time since the call began.
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

    /// Adds sound to `ready`.
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
                    // The whole gap has been concealed already: the packet after it follows.
                    return self.produce(now_ms);
                }
                self.starved_ms = 0.0;
            }
        }
    }

    /// Adds 10 ms of concealment or silence, because no received packet can be played now.
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

    /// Decodes the next packet and notes its delay.
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
            // A packet of less than 10 ms fills a frame together with the next one. An Opus packet that is empty, or
            // cannot be decoded, becomes a frame of silence.
            let empty = packet.codec == Codec::Opus && count == 0;
            self.length += count;
            self.buffer.skip(1);
            if empty {
                self.append_silence();
            }
        }
    }

    /// Moves a delay that is far off its target closer to it.
    fn adjust(&mut self) {
        let slack_ms = SLACK_MS.max(self.target.target_ms() / 5.0);
        let error_ms = self.far_clock.error_ms();
        if error_ms > slack_ms {
            // After an outage, more sound must be left out.
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
