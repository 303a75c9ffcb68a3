//! Both directions of a call's sound, made as one and split between audio thread and network task.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callbox_dsp::DigitDetector;
use rtrb::{Consumer, Producer, RingBuffer};
use rustix::pipe::{PipeFlags, pipe_with};

use super::MediaError;
use super::packets::Packet;
use super::receive::Receiver;
use super::send::{Encoded, SendControl, Sender};
use crate::sound::CallSound;

/// Received packets between network task and audio thread: over a second.
const RECEIVE_RING: usize = 64;
/// Encoded packets between audio thread and network task.
const SEND_RING: usize = 16;
/// Digits between audio thread and network task.
const TONE_RING: usize = 16;

/// The audio thread's side.
struct Sound {
    began: Instant,
    receiver: Receiver,
    sender: Sender,
    in_band: Option<InBand>,
}

/// Digits in the sound, where a code asks for them.
struct InBand {
    detector: Box<DigitDetector>,
    tones: Producer<char>,
    /// The far end is being talked to: a call that is held is not listened to, lest its digits act when it is not.
    talking: bool,
}

impl CallSound for Sound {
    fn hear(&mut self, frame: &mut [f32]) {
        self.receiver.hear(frame, milliseconds(self.began.elapsed()));
        if let Some(InBand { detector, tones, talking }) = &mut self.in_band
            && std::mem::take(talking)
            && let Some(digit) = detector.heard(frame)
        {
            // A full ring: the network task is far behind.
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

/// The network task's side.
pub(super) struct NetworkEnd {
    pub(super) received: Producer<Packet>,
    pub(super) encoded: Consumer<Encoded>,
    /// Digits in the far end's sound.
    pub(super) tones: Consumer<char>,
    /// Becomes readable when there is something encoded.
    pub(super) wake: OwnedFd,
    pub(super) control: Arc<SendControl>,
    /// What arrivals are counted from.
    pub(super) began: Instant,
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Makes both sides at the card's rate; `in_band` listens for digits in the sound.
pub(super) fn call_sound(rate_hz: u32, in_band: bool) -> Result<(Box<dyn CallSound>, NetworkEnd), MediaError> {
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
    };
    Ok((Box::new(sound), NetworkEnd { received, encoded, tones, wake, control, began }))
}
