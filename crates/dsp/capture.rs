//! The path of the microphone's signal from the card to the calls: echo, noise, gain. It is our own
//! (docs/workarounds.md, "echo cancellers: the near end is silenced in double talk").

use wide::f32x8;

use crate::bands::{Bands, WIDE_HOP};
use crate::gain::GainControl;
use crate::highpass::HighPass;
use crate::kalman::EchoPath;
use crate::noise::Noise;
use crate::suppressor::{self, Suppressor};
use crate::{HOP, RATE_HZ, power};

/// There is only rumble and hum below this, no speech.
const RUMBLE_HZ: f32 = 80.0;

/// Noise of -120 dBFS. Without it, averages over digital silence would become denormal numbers, which are slow
/// (docs/workarounds.md, "processors: denormal numbers are slow").
const DITHER: f32 = 1e-6;

/// The stages of a capture path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureOptions {
    /// The card's rate: 16 or 48 kHz.
    pub rate_hz: u32,
    /// Remove the echo of the loudspeaker.
    pub echo: bool,
    /// Reduce steady noise.
    pub noise_suppression: bool,
    /// Bring speech to one level.
    pub gain_control: bool,
}

impl CaptureOptions {
    /// The delay of the output, in samples at the card's rate.
    pub const fn latency(&self) -> usize {
        let low = if self.echo || self.noise_suppression || self.gain_control { suppressor::LATENCY } else { 0 };
        if self.rate_hz == RATE_HZ || low == 0 { low } else { low * 3 + Bands::DELAY }
    }
}

/// The capture path, with the playback as its reference. Frames are 10 ms long.
pub struct CapturePath {
    options: CaptureOptions,
    echo: EchoPath,
    suppressor: Suppressor,
    high_pass: HighPass,
    gain: GainControl,
    wide: Option<Box<Wide>>,
    far: [f32; HOP],
    noise: Noise,
}

/// The state that only 48 kHz needs.
struct Wide {
    far: Bands,
    microphone: Bands,
    /// The band above 8 kHz, delayed as much as the suppressor delays the other band.
    high: [f32; suppressor::LATENCY * 3 + WIDE_HOP],
}

impl CapturePath {
    /// A path that has not heard anything yet.
    pub fn new(options: CaptureOptions) -> Self {
        let wide =
            || Wide { far: Bands::new(), microphone: Bands::new(), high: [0.0; suppressor::LATENCY * 3 + WIDE_HOP] };
        Self {
            options,
            echo: EchoPath::new(),
            suppressor: Suppressor::new(options.noise_suppression),
            high_pass: HighPass::new(RUMBLE_HZ, RATE_HZ),
            gain: GainControl::new(),
            wide: (options.rate_hz != RATE_HZ).then(|| Box::new(wide())),
            far: [0.0; HOP],
            noise: Noise::new(),
        }
    }

    fn is_idle(&self) -> bool {
        self.options.latency() == 0
    }

    /// Takes a frame that the loudspeaker plays.
    pub fn played(&mut self, frame: &[f32]) {
        if self.is_idle() || !self.options.echo {
            return;
        }
        match &mut self.wide {
            Some(wide) => wide.far.low(frame, &mut self.far),
            None => {
                for (to, from) in self.far.iter_mut().zip(frame) {
                    *to = *from;
                }
            }
        }
    }

    /// Takes a frame that the microphone heard, and replaces it by what the calls are to hear.
    pub fn captured(&mut self, frame: &mut [f32]) {
        if self.is_idle() {
            return;
        }
        let mut low = [0.0; HOP];
        let mut high = [0.0; WIDE_HOP];
        match &mut self.wide {
            Some(wide) => {
                wide.microphone.low(frame, &mut low);
                wide.microphone.high(frame, &low, &mut high);
            }
            None => low.iter_mut().zip(frame.iter()).for_each(|(to, from)| *to = *from),
        }
        for sample in &mut low {
            // The high-pass shifts the phase. Nobody hears that, but measures of the waveform see it, so it runs only
            // with noise suppression.
            if self.options.noise_suppression {
                *sample = self.high_pass.filter(*sample);
            }
        }
        for samples in low.as_chunks_mut().0 {
            *samples = self.noise.uniform().mul_add(f32x8::splat(DITHER), f32x8::new(*samples)).to_array();
        }
        let prediction = self.echo.predict(&self.far, &low);
        self.suppressor.suppress(prediction, &mut low);
        let factor =
            if self.options.gain_control { self.gain.factor(power(&low), self.suppressor.presence()) } else { 1.0 };
        low.iter_mut().for_each(|sample| *sample *= factor);
        let Some(wide) = &mut self.wide else {
            frame.iter_mut().zip(&low).for_each(|(to, from)| *to = *from);
            return;
        };
        wide.high.copy_within(WIDE_HOP.., 0);
        for (to, from) in wide.high.iter_mut().skip(suppressor::LATENCY * 3).zip(&high) {
            *to = *from;
        }
        let mut joined = [0.0; WIDE_HOP];
        wide.microphone.wide(&low, &mut joined);
        let high_factor = factor * self.suppressor.upper_gain();
        for ((to, low), high) in frame.iter_mut().zip(&joined).zip(&wide.high) {
            *to = low + high * high_factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::random as noise;

    const ECHO: CaptureOptions =
        CaptureOptions { rate_hz: 16_000, echo: true, noise_suppression: false, gain_control: false };

    fn frame_samples(rate_hz: u32) -> usize {
        rate_hz as usize / 100
    }

    fn db(one: f32, other: f32) -> f32 {
        10.0 * (one / other).log10()
    }

    struct Door {
        path: CapturePath,
        rate_hz: u32,
        random: u32,
        /// The samples on their way from the loudspeaker to the microphone.
        air: std::collections::VecDeque<f32>,
        frame: usize,
        /// From the loudspeaker to the microphone, which clips at full scale.
        gain: f32,
    }

    impl Door {
        fn new(options: CaptureOptions) -> Self {
            let delay = options.rate_hz as usize * 40 / 1000;
            Self {
                path: CapturePath::new(options),
                rate_hz: options.rate_hz,
                random: 1,
                air: std::iter::repeat_n(0.0, delay).collect(),
                frame: 0,
                gain: 0.5,
            }
        }

        /// One frame: bursts like syllables from the far end, and their echo 40 ms later on top of the near end.
        /// Returns the microphone's signal before and after processing.
        fn frame(&mut self, far_level: f32, near: impl Fn(usize) -> f32) -> (Vec<f32>, Vec<f32>) {
            let size = frame_samples(self.rate_hz);
            let level = if self.frame % 50 < 30 { far_level } else { far_level / 20.0 };
            let far: Vec<f32> = (0..size).map(|_| noise(&mut self.random) * level).collect();
            let mut microphone: Vec<f32> =
                (0..size).map(|index| near(self.frame * size + index) + noise(&mut self.random) * 1e-4).collect();
            for sample in &mut microphone {
                *sample = (*sample + self.gain * self.air.pop_front().unwrap()).clamp(-1.0, 1.0);
            }
            self.air.extend(&far);
            let before = microphone.clone();
            self.path.captured(&mut microphone);
            self.path.played(&far);
            self.frame += 1;
            (before, microphone)
        }
    }

    /// The residual echo in the last of five seconds, in dB.
    fn residual_db(options: CaptureOptions) -> f32 {
        let mut door = Door::new(options);
        let (mut heard, mut sent) = (Vec::new(), Vec::new());
        for frame in 0..500 {
            let (before, after) = door.frame(0.2, |_| 0.0);
            if frame >= 400 {
                heard.extend(before);
                sent.extend(after);
            }
        }
        db(power(&sent), power(&heard))
    }

    /// The residual echo in these frames, in dB. `disturb` may change the acoustics before each frame.
    fn residual_within(frames: std::ops::Range<usize>, gain: f32, disturb: impl Fn(usize, &mut Door)) -> f32 {
        let mut door = Door::new(ECHO);
        door.gain = gain;
        let (mut heard, mut sent) = (Vec::new(), Vec::new());
        for frame in 0..frames.end {
            disturb(frame, &mut door);
            let (before, after) = door.frame(0.1, |_| 0.0);
            if frames.contains(&frame) {
                heard.extend(before);
                sent.extend(after);
            }
        }
        db(power(&sent), power(&heard))
    }

    #[test]
    fn a_buffer_that_slips_is_followed_within_a_tenth_of_a_second() {
        let slip = |frame: usize, door: &mut Door| {
            if frame == 400 {
                (0..480).for_each(|_| door.air.push_front(0.0));
            }
        };
        let residual = residual_within(410..430, 0.5, slip);
        assert!(residual < -40.0, "{residual}");
    }

    #[test]
    fn a_loudspeaker_that_drowns_its_microphone_is_learned_in_a_third_of_a_second() {
        let residual = residual_within(30..50, 6.0, |_, _| ());
        assert!(residual < -50.0, "{residual}");
    }

    #[test]
    fn the_echo_is_taken_out_at_both_rates_and_off_means_untouched() {
        assert!(residual_db(ECHO) < -35.0, "{}", residual_db(ECHO));
        let wide = CaptureOptions { rate_hz: 48_000, ..ECHO };
        assert!(residual_db(wide) < -30.0, "{}", residual_db(wide));
        let off = CaptureOptions { echo: false, ..ECHO };
        assert_eq!(residual_db(off), 0.0);
        assert_eq!(off.latency(), 0);
    }

    /// The near end compared to the error in the output while both ends talk, in dB, with the latency removed.
    fn near_end_db(options: CaptureOptions) -> f32 {
        let mut door = Door::new(options);
        let rate = options.rate_hz as f32;
        let tone = move |index: usize| 0.1 * (std::f32::consts::TAU * 700.0 * index as f32 / rate).sin();
        let mut sent = Vec::new();
        for frame in 0..700 {
            let (_, after) = door.frame(0.2, |index| if frame < 400 { 0.0 } else { tone(index) });
            sent.extend(after);
        }
        let size = frame_samples(options.rate_hz);
        let sent = &sent[500 * size + options.latency()..];
        let near: Vec<f32> = (500 * size..).take(sent.len()).map(tone).collect();
        let error: Vec<f32> = sent.iter().zip(&near).map(|(sent, near)| sent - near).collect();
        db(power(&near), power(&error))
    }

    #[test]
    fn the_near_end_comes_through_while_both_talk_as_late_as_it_says() {
        assert!(near_end_db(ECHO) > 12.0, "{}", near_end_db(ECHO));
        let wide = CaptureOptions { rate_hz: 48_000, ..ECHO };
        assert!(near_end_db(wide) > 12.0, "{}", near_end_db(wide));
    }

    #[test]
    fn steady_noise_is_taken_down_and_speech_is_not() {
        let options = CaptureOptions { echo: false, noise_suppression: true, ..ECHO };
        let mut path = CapturePath::new(options);
        let mut random = 3;
        let (mut noise_in, mut noise_out, mut speech_in, mut speech_out) = (0.0, 0.0, 0.0, 0.0);
        for frame in 0..1_000 {
            let loud = frame >= 600 && frame % 60 < 30;
            let mut samples: Vec<f32> = (0..HOP)
                .map(|index| {
                    let time = (frame * HOP + index) as f32 / 16_000.0;
                    let voice: f32 =
                        (1..12).map(|n| (std::f32::consts::TAU * 180.0 * n as f32 * time).sin() / n as f32).sum();
                    noise(&mut random) * 0.01 + if loud { 0.1 * voice } else { 0.0 }
                })
                .collect();
            let before = power(&samples);
            path.captured(&mut samples);
            match frame {
                400..600 => {
                    noise_in += before;
                    noise_out += power(&samples);
                }
                // The middle of a word, at any latency.
                610.. if (5..25).contains(&(frame % 60)) => {
                    speech_in += before;
                    speech_out += power(&samples);
                }
                _ => {}
            }
        }
        assert!(db(noise_out, noise_in) < -9.0, "{}", db(noise_out, noise_in));
        assert!(db(speech_out, speech_in).abs() < 1.0, "{}", db(speech_out, speech_in));
    }

    #[test]
    fn zeros_and_full_scale_and_nonsense_leave_it_whole() {
        for options in [ECHO, CaptureOptions { rate_hz: 48_000, noise_suppression: true, gain_control: true, ..ECHO }] {
            let mut path = CapturePath::new(options);
            let size = frame_samples(options.rate_hz);
            for frame in 0..600 {
                let value = match frame / 100 {
                    0 | 2 => 0.0,
                    1 => 1.0,
                    3 => -1.0,
                    _ => 1e-20,
                };
                let mut samples = vec![if frame % 2 == 0 { value } else { -value }; size];
                path.played(&vec![value; size]);
                path.captured(&mut samples);
                assert!(samples.iter().all(|sample| sample.is_finite()), "frame {frame}");
            }
            assert!(residual_after(&mut path, options) < 0.2);
        }
    }

    /// The loudest sample in a second of silence.
    fn residual_after(path: &mut CapturePath, options: CaptureOptions) -> f32 {
        let size = frame_samples(options.rate_hz);
        let mut loudest: f32 = 0.0;
        for frame in 0..200 {
            let mut samples = vec![0.0; size];
            path.played(&vec![0.0; size]);
            path.captured(&mut samples);
            if frame >= 100 {
                loudest = samples.iter().fold(loudest, |most, sample| most.max(sample.abs()));
            }
        }
        loudest
    }
}
