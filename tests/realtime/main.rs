//! The path of the sound on the audio thread, from the microphone to the packets and from the packets to the
//! loudspeaker: it never allocates or frees memory, and silence takes no longer than speech.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test with an allocator that counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use callbox::audio::offline::OfflineEngine;
use callbox::config::{AudioConfig, Codec, Echo, PcmName, Sound};
use callbox::core::{MediaId, Scene, SceneCall};
use callbox::media::offline::{OfflineNetwork, OfflineSender, sound_of_a_call};

thread_local! {
    /// Whether this thread must not allocate at the moment.
    static REAL_TIME: Cell<bool> = const { Cell::new(false) };
}

struct Strict;

impl Strict {
    fn check() {
        if REAL_TIME.with(Cell::get) {
            // A panic would allocate itself.
            std::process::abort();
        }
    }
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Strict {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::check();
        // SAFETY: the caller makes the same promise to us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::check();
        // SAFETY: the caller makes the same promise to us.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Strict = Strict;

const RATE_HZ: u32 = 48_000;
const FRAME: usize = 480;

fn configuration(echo: Echo) -> AudioConfig {
    AudioConfig {
        capture: PcmName::Alsa(String::new()),
        playback: PcmName::Alsa(String::new()),
        rate_hz: RATE_HZ,
        echo,
        noise_suppression: true,
        gain_control: true,
        capture_gain_db: 3,
        volume: 80,
    }
}

fn call(media: u32, microphone: bool) -> SceneCall {
    SceneCall { media: MediaId(media), microphone, loudspeaker: true }
}

/// A far end that talks, through a network that loses, repeats and delays.
struct FarEnd {
    sender: OfflineSender,
    network: OfflineNetwork,
    held: Vec<Vec<u8>>,
    frames: usize,
}

impl FarEnd {
    fn frame(&mut self) {
        self.frames += 1;
        let begin = self.frames * FRAME;
        let talks = self.frames % 300 < 200;
        let frame: Vec<f32> = (begin..begin + FRAME)
            .map(|index| {
                let time = index as f32 / RATE_HZ as f32;
                if talks { (time * 900.0 + (time * 30.0).sin() * 9.0).sin() * 0.2 } else { 0.0 }
            })
            .collect();
        self.held.extend(self.sender.frame(&frame));
        let late = self.frames % 97 < 12;
        if !late {
            for (number, packet) in self.held.drain(..).enumerate() {
                if !(self.frames + number).is_multiple_of(23) {
                    self.network.packet(&packet);
                }
                if self.frames.is_multiple_of(31) {
                    self.network.packet(&packet);
                }
            }
        }
        if self.frames.is_multiple_of(200) {
            self.network.report_loss((self.frames / 200 % 3 * 40) as u8);
        }
        self.network.drain();
    }
}

/// Twenty seconds of a conference of three with everything that may happen in it.
fn conference(echo: Echo) {
    let mut engine = OfflineEngine::new(&configuration(echo)).unwrap();
    let mut far_ends: Vec<FarEnd> = (1..=2)
        .map(|media| {
            let (sound, network) = sound_of_a_call(RATE_HZ, true).unwrap();
            engine.attach(MediaId(media), Some(sound));
            FarEnd { sender: OfflineSender::new(Codec::Opus, RATE_HZ).unwrap(), network, held: Vec::new(), frames: 0 }
        })
        .collect();
    let (mut captured, mut playback) = (vec![0.0; FRAME], vec![0.0; FRAME]);
    let mut loudest: f32 = 0.0;
    for frame in 0..2_000 {
        far_ends.iter_mut().for_each(FarEnd::frame);
        match frame % 500 {
            0 => engine.set_scene(&Scene { calls: vec![call(1, true)], volume: 80, ..Scene::default() }),
            100 => engine.set_scene(&Scene {
                calls: vec![call(1, true), call(2, true)],
                mixed: true,
                volume: 80,
                ..Scene::default()
            }),
            200 => engine.play(Sound::DoorOpen, true),
            300 => engine.set_scene(&Scene {
                calls: vec![call(1, false), call(2, true)],
                tone: Some(Sound::Ringback),
                volume: 60,
                ..Scene::default()
            }),
            400 => engine.set_scene(&Scene { calls: vec![call(2, true)], muted: true, volume: 60, ..Scene::default() }),
            _ => {}
        }
        for (index, (sample, echo)) in captured.iter_mut().zip(&playback).enumerate() {
            let time = (frame * FRAME + index) as f32 / RATE_HZ as f32;
            *sample = echo * 0.5 + (time * 1_300.0 + (time * 20.0).sin() * 8.0).sin() * 0.1;
        }
        REAL_TIME.with(|real_time| real_time.set(true));
        engine.process(&mut captured, &mut playback);
        REAL_TIME.with(|real_time| real_time.set(false));
        loudest = playback.iter().fold(loudest, |most, sample| most.max(sample.abs()));
    }
    assert!(loudest > 0.05, "nothing was heard: {loudest}");
}

#[test]
fn a_conference_with_the_canceller_allocates_nothing() {
    conference(Echo::Full);
}

#[test]
fn a_conference_in_half_duplex_allocates_nothing() {
    conference(Echo::HalfDuplex);
}

/// The processor time of this many seconds of sound in both directions. Level 0 is digital silence.
fn time_of(
    engine: &mut OfflineEngine,
    far_end: &mut (OfflineSender, OfflineNetwork),
    seconds: usize,
    level: f32,
) -> Duration {
    let (mut captured, mut playback) = (vec![0.0; FRAME], vec![0.0; FRAME]);
    let (sender, network) = far_end;
    let mut took = Duration::ZERO;
    for frame in 0..seconds * 100 {
        let voice = |hertz: f32, index: usize| {
            let time = (frame * FRAME + index) as f32 / RATE_HZ as f32;
            level * (time * hertz + (time * 30.0).sin() * 9.0).sin()
        };
        let said: Vec<f32> = (0..FRAME).map(|index| voice(900.0, index)).collect();
        sender.frame(&said).for_each(|packet| assert!(network.packet(&packet)));
        captured.iter_mut().enumerate().for_each(|(index, sample)| *sample = voice(1_300.0, index));
        let began = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        engine.process(&mut captured, &mut playback);
        let ended = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        took += Duration::try_from(ended - began).unwrap();
        network.drain();
    }
    took
}

/// Subnormal numbers take a hundred times as long, and averages that decay become subnormal.
#[test]
fn digital_silence_takes_no_longer_than_speech() {
    for codec in [Codec::Opus, Codec::Pcmu] {
        let mut engine = OfflineEngine::new(&configuration(Echo::Full)).unwrap();
        let (sound, network) = sound_of_a_call(RATE_HZ, true).unwrap();
        engine.attach(MediaId(1), Some(sound));
        engine.set_scene(&Scene { calls: vec![call(1, true)], volume: 80, ..Scene::default() });
        let mut far_end = (OfflineSender::new(codec, RATE_HZ).unwrap(), network);
        let speech = time_of(&mut engine, &mut far_end, 10, 0.2);
        for ten_seconds in 1..=6 {
            let silence = time_of(&mut engine, &mut far_end, 10, 0.0);
            assert!(silence < speech * 6 / 5, "{codec:?}, {ten_seconds}: {silence:?} beside {speech:?}");
        }
    }
}
