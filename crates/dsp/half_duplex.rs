//! Half duplex: one end talks, the other listens. For acoustics that are too difficult for an echo canceller.
//!
//! The end that starts to talk keeps the turn. The other direction stays closed until a moment after the talker stops;
//! this moment is shorter if the other end has started to talk. Both directions are delayed by 40 ms, so that a gate is
//! open before the first syllable of one end, and closed before the echo of the other.

use crate::power;

/// The delay of both directions, in frames of 10 ms.
const DELAY_FRAMES: usize = 4;
/// Below this power nobody talks: -55 dBFS.
const QUIETEST: f32 = 3.2e-6;
/// How far speech exceeds the noise behind it: 9 dB.
const ABOVE_NOISE: f32 = 8.0;
/// The lower bound of the noise estimate. The estimate rises by a factor, so from almost 0 it would never rise again.
const LEAST_NOISE: f32 = QUIETEST / ABOVE_NOISE;
/// How far the near end must exceed the echo to take the turn: 6 dB.
const ABOVE_ECHO: f32 = 4.0;
/// How far it must exceed the echo to keep the turn: 3 dB.
const STILL_ABOVE_ECHO: f32 = 2.0;
/// Frames for which the near end must exceed the echo before it interrupts the far end.
const FRAMES_TO_INTERRUPT: u32 = 4;
/// Frames for which the far end must talk before it takes the turn from a near end that never stops, such as rain.
const FRAMES_TO_WAIT: u32 = 300;
/// Frames for which a direction stays open after its talker stops: speech has gaps, and rooms have an echo.
const HOLD_FRAMES: u32 = 25;
/// The same if the other end talks in the meantime: an answer comes at once.
const CONTESTED_FRAMES: u32 = 6;
/// Frames after which the microphone hears everything that is played: playback is delayed here, and again in the air.
const FRAMES_TO_LEARN: u32 = 10;
/// The factor by which the expected echo decays in a frame: 20 dB in 200 ms.
const ECHO_KEEP: f32 = 0.8;
/// The weight of a quieter frame in the noise estimate, and the factor by which a louder frame may raise the estimate.
const NOISE_FALL: f32 = 0.1;
const NOISE_RISE: f32 = 1.005;
/// The gain of the microphone while the far end talks: -46 dB. The gain of the loudspeaker while the near end talks:
/// -20 dB.
const CLOSED_MICROPHONE: f32 = 0.005;
const CLOSED_LOUDSPEAKER: f32 = 0.1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Nobody,
    Near,
    Far,
}

/// Decides whether an end talks, by its power compared to the noise.
struct Activity {
    noise: f32,
}

impl Activity {
    fn talks(&mut self, power: f32) -> bool {
        let rise = self.noise * NOISE_RISE;
        self.noise = if power < self.noise { self.noise + (power - self.noise) * NOISE_FALL } else { rise.min(power) };
        self.noise = self.noise.max(LEAST_NOISE);
        power > QUIETEST && power > self.noise * ABOVE_NOISE
    }
}

/// One direction: a delay and a gate.
struct Way {
    waiting: Vec<f32>,
    gain: f32,
}

impl Way {
    fn new(frame: usize) -> Self {
        Self { waiting: vec![0.0; frame * (DELAY_FRAMES + 1)], gain: 1.0 }
    }

    /// Replaces a frame by the one that came [`DELAY_FRAMES`] before. Over the frame, the gain moves to `gain`.
    fn pass(&mut self, frame: &mut [f32], gain: f32) {
        let length = frame.len();
        let Some(newest) = self.waiting.len().checked_sub(length) else { return };
        self.waiting.copy_within(length.., 0);
        if let Some(room) = self.waiting.get_mut(newest..) {
            room.copy_from_slice(frame);
        }
        let step = (gain - self.gain) / length as f32;
        for (sample, waited) in frame.iter_mut().zip(&self.waiting) {
            self.gain += step;
            *sample = waited * self.gain;
        }
        self.gain = gain;
    }
}

/// The switch between the two directions.
pub struct HalfDuplex {
    near: Way,
    far: Way,
    near_activity: Activity,
    far_activity: Activity,
    word: Word,
    hold: u32,
    interrupting: u32,
    /// Frames in which the far end has talked while the near end kept the turn.
    far_waits: u32,
    /// Frames in a row in which the far end was loud.
    loud_frames: u32,
    /// The power at the microphone divided by the power at the loudspeaker.
    coupling: f32,
    /// The power at the loudspeaker in the last frame, and the same with the decay of a room.
    loudspeaker: f32,
    played: f32,
}

impl HalfDuplex {
    /// A switch for frames of 10 ms at this rate.
    pub fn new(rate_hz: u32) -> Self {
        let frame = rate_hz as usize / 100;
        Self {
            near: Way::new(frame),
            far: Way::new(frame),
            near_activity: Activity { noise: 1e-5 },
            far_activity: Activity { noise: 1e-5 },
            word: Word::Nobody,
            hold: 0,
            interrupting: 0,
            far_waits: 0,
            loud_frames: 0,
            // Higher than any real coupling: until the coupling is learned, the near end cannot interrupt.
            coupling: 30.0,
            loudspeaker: 0.0,
            played: 0.0,
        }
    }

    /// Starts another call: neither end has the turn, and the call does not hear what the microphone heard before.
    pub fn reset(&mut self) {
        self.near.waiting.fill(0.0);
        (self.word, self.hold, self.interrupting, self.far_waits) = (Word::Nobody, 0, 0, 0);
    }

    /// Takes what the microphone heard and what the loudspeaker is to play, and lets one of the two through. If
    /// `is_sent` is false, no call hears the microphone: it does not take the turn, and nothing is learned from it.
    pub fn switch(&mut self, captured: &mut [f32], playback: &mut [f32], is_sent: bool) {
        let (near, far) = (power(captured), power(playback));
        let far_talks = self.far_activity.talks(far);
        let near_talks = is_sent && self.near_activity.talks(near);
        self.played = (self.played * ECHO_KEEP).max(self.loudspeaker);
        let is_loud = self.word == Word::Far && far.min(self.played) > QUIETEST * 100.0;
        self.loud_frames = if is_loud { self.loud_frames.saturating_add(1) } else { 0 };
        if is_sent && self.loud_frames > FRAMES_TO_LEARN {
            // The estimate rises slowly: a near end that talks over the far end must not be taken for a louder echo.
            let ratio = (near / self.played).clamp(1e-4, 100.0);
            self.coupling += (ratio - self.coupling) * if ratio < self.coupling { 0.05 } else { 0.01 };
        }
        let needed = if self.word == Word::Near { STILL_ABOVE_ECHO } else { ABOVE_ECHO };
        self.decide(near_talks && near > self.played * self.coupling * needed, far_talks);
        let (microphone, loudspeaker) = match self.word {
            Word::Nobody => (1.0, 1.0),
            Word::Near => (1.0, CLOSED_LOUDSPEAKER),
            Word::Far => (CLOSED_MICROPHONE, 1.0),
        };
        self.near.pass(captured, microphone);
        self.far.pass(playback, loudspeaker);
        self.loudspeaker = power(playback);
    }

    fn decide(&mut self, near_talks: bool, far_talks: bool) {
        let (goes_on, other_talks) = match self.word {
            Word::Nobody => (false, false),
            Word::Near => (near_talks, far_talks),
            Word::Far => (far_talks, near_talks),
        };
        self.interrupting = if self.word == Word::Far && near_talks { self.interrupting + 1 } else { 0 };
        if goes_on {
            self.hold = HOLD_FRAMES;
        } else {
            self.hold = self.hold.saturating_sub(1);
        }
        let is_free = self.hold == 0 || other_talks && self.hold + CONTESTED_FRAMES <= HOLD_FRAMES;
        self.far_waits = match (self.word, far_talks) {
            (Word::Near, true) => self.far_waits + 1,
            (Word::Near, false) => self.far_waits.saturating_sub(1),
            _ => 0,
        };
        if self.far_waits >= FRAMES_TO_WAIT {
            (self.word, self.hold) = (Word::Far, HOLD_FRAMES);
        } else if self.interrupting >= FRAMES_TO_INTERRUPT {
            (self.word, self.hold) = (Word::Near, HOLD_FRAMES);
        } else if is_free {
            self.word = match (near_talks, far_talks) {
                (true, _) => Word::Near,
                (false, true) => Word::Far,
                (false, false) => Word::Nobody,
            };
            self.hold = if self.word == Word::Nobody { 0 } else { HOLD_FRAMES };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 160;

    /// A place where the microphone hears the loudspeaker 30 ms later, twice as loud as what the loudspeaker is given.
    struct Place {
        switch: HalfDuplex,
        air: Vec<f32>,
        random: u32,
    }

    impl Place {
        fn new() -> Self {
            Self { switch: HalfDuplex::new(16_000), air: vec![0.0; 3 * FRAME], random: 1 }
        }

        fn noise(&mut self, level: f32) -> [f32; FRAME] {
            std::array::from_fn(|_| crate::noise::random(&mut self.random) * level)
        }

        /// One frame with these levels. Returns the levels (RMS) that the far end and the loudspeaker get.
        fn frame(&mut self, near: f32, far: f32) -> (f32, f32) {
            self.frame_of(near, far, true)
        }

        fn frame_of(&mut self, near: f32, far: f32, is_sent: bool) -> (f32, f32) {
            let (mut microphone, mut playback) = (self.noise(near + 3e-4), self.noise(far));
            for (sample, echo) in microphone.iter_mut().zip(self.air.drain(..FRAME)) {
                *sample += 2.0 * echo;
            }
            self.switch.switch(&mut microphone, &mut playback, is_sent);
            self.air.extend_from_slice(&playback);
            (power(&microphone).sqrt(), power(&playback).sqrt())
        }

        fn frames(&mut self, count: usize, near: f32, far: f32) -> Vec<(f32, f32)> {
            (0..count).map(|_| self.frame(near, far)).collect()
        }
    }

    #[test]
    fn the_far_end_never_hears_itself_however_loud_the_place_is() {
        let mut place = Place::new();
        place.frames(100, 0.0, 0.0);
        for _ in 0..20 {
            let mut sent = place.frames(40, 0.0, 0.2);
            sent.extend(place.frames(60, 0.0, 0.0));
            let loudest = sent.iter().map(|sent| sent.0).fold(0.0, f32::max);
            assert!(loudest < 0.01, "{loudest}");
        }
    }

    #[test]
    fn a_ringback_before_the_call_teaches_nothing() {
        for (street, is_loud) in [(0.003, false), (0.0, true)] {
            let mut place = Place::new();
            // 10 s in which no call hears the microphone, with a tone in 1 of every 5 s.
            for frame in 0..1_000 {
                place.frame_of(street, if frame % 500 < 100 { 0.1 } else { 0.0 }, false);
            }
            place.switch.reset();
            place.frames(20, street, 0.0);
            let far = if is_loud { 0.2 } else { 0.05 };
            let sent = (0..500).map(|frame| place.frame(street, if frame % 30 < 20 { far } else { 0.0 }));
            let sent: Vec<(f32, f32)> = sent.collect();
            let open = sent[20..].iter().filter(|(sent, _)| *sent > 0.02).count();
            assert!(open < 5, "street {street}: the echo goes out in {open} frames");
        }
    }

    #[test]
    fn neither_end_loses_its_first_syllable() {
        let mut place = Place::new();
        place.frames(100, 0.0, 0.0);
        let sent = place.frames(20, 0.1, 0.0);
        assert!(sent[DELAY_FRAMES].0 > 0.05, "the near end's first frame: {}", sent[DELAY_FRAMES].0);
        // The far end answers after `gap` frames. During the first ones, the near end's gate may still be closing.
        for (gap, lost) in [(0, 2), (2, 0), (5, 0), (10, 0), (20, 0), (60, 0)] {
            place.frames(60, 0.0, 0.0);
            place.frames(20, 0.1, 0.0);
            place.frames(gap, 0.0, 0.0);
            let played = place.frames(20, 0.0, 0.1);
            let first = played[DELAY_FRAMES..].iter().position(|(_, played)| *played > 0.05);
            assert!(first.is_some_and(|first| first <= lost), "the far end after {gap} frames: {first:?}");
        }
        // The near end answers while the room still reverberates.
        for (gap, lost) in [(10, 3), (13, 0), (20, 0), (60, 0)] {
            place.frames(60, 0.0, 0.0);
            place.frames(50, 0.0, 0.1);
            place.frames(gap + DELAY_FRAMES, 0.0, 0.0);
            let sent = place.frames(20, 0.1, 0.0);
            let first = sent[DELAY_FRAMES..].iter().position(|(sent, _)| *sent > 0.05);
            assert!(first.is_some_and(|first| first <= lost), "the near end after {gap} frames: {first:?}");
        }
    }

    #[test]
    fn a_noise_that_never_ends_does_not_keep_the_far_end_out() {
        let mut place = Place::new();
        place.frames(100, 0.0, 0.0);
        place.frames(50, 0.3, 0.0);
        let heard = (0..500).map(|index| place.frame(if index % 20 < 15 { 0.3 } else { 0.0 }, 0.1).1);
        let heard: Vec<f32> = heard.collect();
        assert!(heard[..200].iter().all(|level| *level < 0.02), "the near end has the turn");
        assert!(heard[320..].iter().filter(|level| **level > 0.03).count() > 20, "then the far end gets the turn");
    }

    #[test]
    fn who_talks_keeps_the_word_and_a_louder_near_end_takes_it() {
        let mut place = Place::new();
        place.frames(100, 0.0, 0.0);
        place.frames(50, 0.1, 0.0);
        let both = place.frames(50, 0.1, 0.1);
        assert!(both[10..].iter().all(|(sent, played)| *sent > 0.03 && *played < 0.01), "the near end has the turn");
        place.frames(60, 0.0, 0.0);
        place.frames(100, 0.0, 0.05);
        let shout = place.frames(30, 0.9, 0.05);
        assert!(shout[20..].iter().all(|(sent, _)| *sent > 0.3), "{shout:?}");
    }
}
