//! Both directions of a call's sound. They are created together and then divided between the audio thread and the
//! network task.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callbox_dsp::DigitDetector;
use rtrb::{Consumer, Producer, RingBuffer};
use rustix::pipe::{PipeFlags, pipe_with};

use super::MediaError;
use super::meters::MediaMeters;
use super::packets::Packet;
use super::receive::Receiver;
use super::send::{Encoded, SendControl, Sender};
use crate::sound::CallSound;

/// Number of received packets that can wait for the audio thread: more than a second.
const RECEIVE_RING: usize = 64;
/// Number of encoded packets that can wait for the network task.
const SEND_RING: usize = 16;
/// Number of digits that can wait for the network task.
const TONE_RING: usize = 16;

/// The side of the audio thread.
struct Sound {
    began: Instant,
    receiver: Receiver,
    sender: Sender,
    in_band: Option<InBand>,
    meters: Arc<MediaMeters>,
}

/// Detects DTMF digits in the sound, where a configured code needs them.
struct InBand {
    detector: Box<DigitDetector>,
    tones: Producer<char>,
    /// Set with each frame that goes to the far end. A call on hold gets no frames, and its digits must have no effect.
    talking: bool,
}

impl CallSound for Sound {
    fn hear(&mut self, frame: &mut [f32]) {
        let before = self.receiver.counters;
        self.receiver.hear(frame, milliseconds(self.began.elapsed()));
        self.meters.add(before, self.receiver.counters, self.receiver.delay_and_target_ms().0);
        if let Some(InBand { detector, tones, talking }) = &mut self.in_band
            && std::mem::take(talking)
            && let Some(digit) = detector.heard(frame)
        {
            // A full ring means that the network task is far behind; the digit is dropped.
            let _ = tones.push(digit);
        }
    }

    fn say(&mut self, frame: &[f32]) {
        if let Some(InBand { detector, talking, .. }) = &mut self.in_band {
            *talking = true;
            detector.said(frame);
        }
        self.sender.say(frame);
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        self.meters.delay_ms.store(0, std::sync::atomic::Ordering::Relaxed);
    }
}

/// The side of the network task.
pub(super) struct NetworkEnd {
    pub(super) received: Producer<Packet>,
    pub(super) encoded: Consumer<Encoded>,
    /// Digits that were detected in the far end's sound.
    pub(super) tones: Consumer<char>,
    /// Becomes readable when a packet has been encoded.
    pub(super) wake: OwnedFd,
    pub(super) control: Arc<SendControl>,
    /// Times of arrival count from here.
    pub(super) began: Instant,
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Creates both sides at the sample rate of the sound card. `in_band` turns on the detection of digits in the sound.
pub(super) fn call_sound(
    rate_hz: u32,
    in_band: bool,
    meters: Arc<MediaMeters>,
) -> Result<(Box<dyn CallSound>, NetworkEnd), MediaError> {
    let (received, packets) = RingBuffer::new(RECEIVE_RING);
    let (frames, encoded) = RingBuffer::new(SEND_RING);
    let control = Arc::new(SendControl::default());
    let (wake, waker) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(MediaError::system)?;
    let began = Instant::now();
    let (digits, tones) = RingBuffer::new(TONE_RING);
    let detector = || InBand { detector: Box::new(DigitDetector::new(rate_hz)), tones: digits, talking: false };
    let sound = Sound {
        began,
        receiver: Receiver::new(packets, rate_hz)?,
        sender: Sender::new(frames, waker, Arc::clone(&control), rate_hz)?,
        in_band: in_band.then(detector),
        meters,
    };
    Ok((Box::new(sound), NetworkEnd { received, encoded, tones, wake, control, began }))
}
