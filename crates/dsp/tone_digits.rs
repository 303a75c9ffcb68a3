//! Detects DTMF in the sound itself (ITU-T Q.23, Q.24), from the far end only.
//!
//! Many phones send an echo of what the microphone sends. A visitor who plays the door's code at the microphone must
//! not open the door. So a digit is ignored if it was sent a moment ago and was not much quieter then.

use std::f32::consts::TAU;

use crate::power;

const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const DIGITS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// The length of a window, 25.6 ms: neighbours within a group of tones are two bins apart.
const WINDOW_S: f32 = 0.0256;
/// The lowest power of each tone: -38 dBFS.
const QUIETEST: f32 = 1.6e-4;
/// The share of all power that the two tones must have: speech has much power besides them.
const PURE: f32 = 0.85;
/// The power from which each tone counts as sent, whatever is sent with it: -48 dBFS.
const QUIETEST_SENT: f32 = 1.6e-5;
/// How much stronger one tone may be than the other: 9 dB.
const TWIST: f32 = 8.0;
/// How much weaker the other tones of a group must be: 7 dB.
const ALONE: f32 = 5.0;
/// Frames of 10 ms that a digit lasts (50 ms with the window), and that a pause lasts.
const FRAMES_OF_DIGIT: u32 = 3;
const FRAMES_OF_PAUSE: u32 = 3;
/// Frames for which a digit that was sent is ignored: a second. By then, an echo is back even over a slow network.
const FRAMES_OF_ECHO: u32 = 100;
/// What is more than 10 dB louder than what was sent is not an echo of it.
const ECHO_GAIN: f32 = 0.1;

/// Two tones that make up a digit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tones {
    row: usize,
    column: usize,
    /// The power of both tones.
    power: f32,
    /// Their share of all power.
    purity: f32,
}

/// Examines the last 25.6 ms of a signal, every 10 ms.
struct ToneDetector {
    window: Box<[f32]>,
    turns: [f32; 8],
}

impl ToneDetector {
    fn new(rate_hz: u32) -> Self {
        let length = (WINDOW_S * rate_hz as f32) as usize;
        let mut turns = [0.0; 8];
        for (turn, hertz) in turns.iter_mut().zip(ROWS_HZ.iter().chain(&COLUMNS_HZ)) {
            *turn = 2.0 * (TAU * hertz / rate_hz as f32).cos();
        }
        Self { window: vec![0.0; length].into_boxed_slice(), turns }
    }

    /// Takes a frame. Returns the power of the whole window and of each frequency: rows, then columns.
    fn powers(&mut self, frame: &[f32]) -> (f32, [f32; 8]) {
        let length = self.window.len();
        let newest = frame.len().min(length);
        self.window.copy_within(newest.., 0);
        if let Some(end) = self.window.get_mut(length - newest..) {
            end.copy_from_slice(frame.get(frame.len() - newest..).unwrap_or_default());
        }
        let all = power(&self.window);
        if all < QUIETEST_SENT {
            return (all, [0.0; 8]);
        }
        (all, self.turns.map(|turn| self.power(turn)))
    }

    /// Takes a frame. Returns the two tones that make up a digit.
    fn tones(&mut self, frame: &[f32]) -> Option<Tones> {
        let (all, powers) = self.powers(frame);
        let (rows, columns) = powers.split_at(4);
        let (row, row_power) = strongest(rows)?;
        let (column, column_power) = strongest(columns)?;
        let power = row_power + column_power;
        let twist = row_power < column_power * TWIST && column_power < row_power * TWIST;
        let loud = row_power.min(column_power) > QUIETEST;
        (twist && loud).then_some(Tones { row, column, power, purity: power / all })
    }

    /// The power of one frequency (Goertzel algorithm).
    fn power(&self, turn: f32) -> f32 {
        let (one, two) = self.window.iter().fold((0.0, 0.0), |(one, two), sample| (sample + turn * one - two, one));
        let length = self.window.len() as f32;
        (one * one + two * two - turn * one * two).max(0.0) * 2.0 / (length * length)
    }
}

/// The strongest tone of a group, if the others are much weaker.
fn strongest(powers: &[f32]) -> Option<(usize, f32)> {
    let (index, power) = powers.iter().copied().enumerate().max_by(|one, other| one.1.total_cmp(&other.1))?;
    let alone = powers.iter().enumerate().all(|(other, weaker)| other == index || weaker * ALONE < power);
    alone.then_some((index, power))
}

/// Detects the digits that the far end plays.
pub struct DigitDetector {
    heard: ToneDetector,
    said: ToneDetector,
    /// For each digit that was sent: the frames until it counts again, and its power.
    sent: [[(u32, f32); 4]; 4],
    /// The tones of the last frames, and the number of these frames.
    run: Option<(usize, usize)>,
    frames: u32,
    /// Frames without these tones since the last digit.
    pause: u32,
}

impl DigitDetector {
    /// A detector for frames of 10 ms at a rate of 8 kHz or more.
    pub fn new(rate_hz: u32) -> Self {
        Self {
            heard: ToneDetector::new(rate_hz),
            said: ToneDetector::new(rate_hz),
            sent: [[(0, 0.0); 4]; 4],
            run: None,
            frames: 0,
            pause: FRAMES_OF_PAUSE,
        }
    }

    /// Takes a frame that is sent to the far end, and whose echo is not a digit.
    pub fn said(&mut self, frame: &[f32]) {
        for (left, power) in self.sent.iter_mut().flatten() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                *power = 0.0;
            }
        }
        // Other sound in the frame does not matter: the path back may remove it and leave two clean tones.
        let (_, powers) = self.said.powers(frame);
        let (rows, columns) = powers.split_at(4);
        for (sent, row) in self.sent.iter_mut().zip(rows) {
            for ((left, power), column) in sent.iter_mut().zip(columns) {
                if row.min(*column) > QUIETEST_SENT {
                    *left = FRAMES_OF_ECHO;
                    *power = power.max(row + column);
                }
            }
        }
    }

    /// Takes a frame from the far end. Returns a digit once, as soon as it has lasted long enough.
    pub fn heard(&mut self, frame: &[f32]) -> Option<char> {
        let tones = self.heard.tones(frame).filter(|tones| tones.purity > PURE);
        let tones = tones.filter(|tones| !self.is_echo(tones));
        let pair = tones.map(|tones| (tones.row, tones.column));
        if pair.is_none() || pair != self.run {
            self.pause += 1;
            self.frames = 0;
        }
        self.run = pair;
        let (row, column) = pair?;
        self.frames += 1;
        if self.frames == FRAMES_OF_DIGIT && self.pause >= FRAMES_OF_PAUSE {
            self.pause = 0;
            return DIGITS.get(row)?.get(column).copied();
        }
        None
    }

    fn is_echo(&self, tones: &Tones) -> bool {
        let sent = self.sent.get(tones.row).and_then(|row| row.get(tones.column));
        sent.is_some_and(|(left, power)| *left > 0 && *power > tones.power * ECHO_GAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 16_000;

    fn sample(digit: char, level: f32, index: usize) -> f32 {
        let place = DIGITS.iter().flatten().position(|one| *one == digit).unwrap();
        let time = index as f32 / RATE_HZ as f32;
        level * ((TAU * ROWS_HZ[place / 4] * time).sin() + (TAU * COLUMNS_HZ[place % 4] * time).sin())
    }

    /// Frames of digits that last this many milliseconds, with pauses of the same length.
    fn dial(digits: &str, level: f32, ms: usize) -> Vec<[f32; 160]> {
        let mut samples = Vec::new();
        for digit in digits.chars() {
            samples.extend((0..ms * 16).map(|index| sample(digit, level, index)));
            samples.extend(std::iter::repeat_n(0.0, ms * 16));
        }
        samples.chunks_exact(160).map(|frame| frame.try_into().unwrap()).collect()
    }

    fn noise(frames: &mut [[f32; 160]], level: f32) {
        let mut random = 5;
        frames.iter_mut().flatten().for_each(|sample| *sample += crate::noise::random(&mut random) * level);
    }

    #[test]
    fn every_digit_is_heard_once_short_or_long_loud_or_quiet() {
        let all: String = DIGITS.iter().flatten().collect();
        for (level, ms) in [(0.3, 70), (0.1, 100), (0.02, 70), (0.3, 400)] {
            let mut detector = DigitDetector::new(RATE_HZ);
            let mut frames = dial(&all, level, ms);
            noise(&mut frames, level / 20.0);
            let heard: String = frames.iter().filter_map(|frame| detector.heard(frame)).collect();
            assert_eq!(heard, all, "{level} for {ms} ms");
        }
    }

    #[test]
    fn one_tone_a_chord_and_noise_are_not_digits() {
        let mut detector = DigitDetector::new(RATE_HZ);
        let mut frames = vec![[0.0; 160]; 100];
        noise(&mut frames, 0.3);
        assert!(frames.iter().all(|frame| detector.heard(frame).is_none()));
        for tones in [&[697.0][..], &[425.0], &[697.0, 1209.0, 1000.0], &[700.0, 1050.0, 1400.0], &[852.0, 941.0]] {
            for frame in 0..50 {
                let frame: Vec<f32> = (frame * 160..(frame + 1) * 160)
                    .map(|index| tones.iter().map(|hertz| 0.2 * (TAU * hertz * index as f32 / 16_000.0).sin()).sum())
                    .collect();
                assert_eq!(detector.heard(&frame), None, "{tones:?}");
            }
        }
    }

    #[test]
    fn the_echo_of_a_code_that_is_played_at_the_door_is_not_a_code() {
        for delay_frames in [2, 20, 45, 90] {
            let mut detector = DigitDetector::new(RATE_HZ);
            let mut frames = dial("5#5#", 0.2, 150);
            noise(&mut frames, 0.005);
            frames.extend([[0.0; 160]; 110]);
            for (index, said) in frames.iter().enumerate() {
                detector.said(said);
                // An echo of -20 dB.
                let echo =
                    index.checked_sub(delay_frames).map_or([0.0; 160], |index| frames[index].map(|one| one * 0.1));
                assert_eq!(detector.heard(&echo), None, "after {delay_frames} frames");
            }
        }
    }

    #[test]
    fn a_code_under_a_louder_tone_is_not_a_code_when_only_its_tones_come_back() {
        let mut detector = DigitDetector::new(RATE_HZ);
        for (index, digit) in dial("5#", 0.1, 150).iter().enumerate() {
            let mut said = *digit;
            for (offset, sample) in said.iter_mut().enumerate() {
                *sample += 0.5 * (TAU * 6_000.0 * (index * 160 + offset) as f32 / 16_000.0).sin();
            }
            detector.said(&said);
            assert_eq!(detector.heard(&digit.map(|sample| sample * 0.4)), None);
        }
    }

    #[test]
    fn a_code_of_the_far_end_counts_although_a_little_of_it_is_sent_back() {
        let mut detector = DigitDetector::new(RATE_HZ);
        let mut heard = String::new();
        for frame in dial("5#", 0.2, 100) {
            detector.said(&frame.map(|sample| sample * 0.1));
            heard.extend(detector.heard(&frame));
        }
        assert_eq!(heard, "5#");
    }

    #[test]
    fn a_second_after_it_was_sent_a_digit_counts_again() {
        let mut detector = DigitDetector::new(RATE_HZ);
        for frame in dial("5", 0.2, 100) {
            detector.said(&frame);
            assert_eq!(detector.heard(&[0.0; 160]), None);
        }
        for _ in 0..100 {
            detector.said(&[0.0; 160]);
            detector.heard(&[0.0; 160]);
        }
        let heard: String = dial("5", 0.02, 100).iter().filter_map(|frame| detector.heard(frame)).collect();
        assert_eq!(heard, "5");
    }
}
