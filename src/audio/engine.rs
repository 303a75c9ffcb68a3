//! Processes 10 ms of sound: from the card to the calls, and from the calls to the card.
//!
//! It runs on the audio thread. The rings are its only connection to the other threads.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use callbox_dsp::{CaptureOptions, CapturePath, HalfDuplex};
use rtrb::{Consumer, Producer};

use super::gate::Gate;
use super::levels::Levels;
use super::player::Player;
use super::sounds::SoundBank;
use super::{AudioCommand, Meters};
use crate::config::{AudioConfig, Echo, Sound};
use crate::core::{MediaId, Scene, SceneCall};
use crate::sound::{CallSound, frame_samples, power};

/// Calls with sound at the same time: two lines, and calls that are being closed.
const MAX_CALLS: usize = 8;

/// The level of silence, and of a card that rests.
const SILENCE_DBFS: i32 = -99;

/// A [`Scene`] of fixed size: the audio thread must not free a vector.
#[derive(Clone, Copy, Default)]
pub(super) struct FixedScene {
    calls: [Option<SceneCall>; MAX_CALLS],
    mixed: bool,
    tone: Option<Sound>,
    muted: bool,
}

impl FixedScene {
    pub(super) fn new(scene: &Scene) -> Self {
        let mut calls = [None; MAX_CALLS];
        for (slot, call) in calls.iter_mut().zip(&scene.calls) {
            *slot = Some(*call);
        }
        Self { calls, mixed: scene.mixed, tone: scene.tone, muted: scene.muted }
    }

    fn call(&self, media: MediaId) -> Option<SceneCall> {
        self.calls.iter().flatten().find(|call| call.media == media).copied()
    }
}

struct Attached {
    media: MediaId,
    sound: Box<dyn CallSound>,
    /// The sound of the far end in this frame.
    heard: Vec<f32>,
    to_loudspeaker: Gate,
    to_others: Gate,
    microphone: Gate,
    /// The call was detached, and fades out in this frame.
    leaving: bool,
}

pub(super) struct Engine {
    commands: Consumer<AudioCommand>,
    garbage: Producer<Box<dyn CallSound>>,
    levels: Arc<Levels>,
    meters: Arc<Meters>,
    capture: CapturePath,
    half_duplex: Option<HalfDuplex>,
    was_in_call: bool,
    scene: FixedScene,
    calls: Vec<Attached>,
    spare: Vec<Vec<f32>>,
    player: Player,
    say: Vec<f32>,
}

impl Engine {
    pub(super) fn new(
        config: &AudioConfig,
        sounds: SoundBank,
        commands: Consumer<AudioCommand>,
        garbage: Producer<Box<dyn CallSound>>,
        levels: Arc<Levels>,
        meters: Arc<Meters>,
    ) -> Self {
        let frame = frame_samples(config.rate_hz);
        let options = CaptureOptions {
            rate_hz: config.rate_hz,
            echo: config.echo == Echo::Full,
            noise_suppression: config.noise_suppression,
            gain_control: config.gain_control,
        };
        Self {
            commands,
            garbage,
            levels,
            meters,
            capture: CapturePath::new(options),
            half_duplex: (config.echo == Echo::HalfDuplex).then(|| HalfDuplex::new(config.rate_hz)),
            was_in_call: false,
            scene: FixedScene::default(),
            calls: Vec::with_capacity(MAX_CALLS),
            spare: vec![vec![0.0; frame]; MAX_CALLS],
            player: Player::new(sounds, frame),
            say: vec![0.0; frame],
        }
    }

    /// Takes what the microphone heard, and fills `playback` with what the loudspeaker is to play.
    pub(super) fn process(&mut self, captured: &mut [f32], playback: &mut [f32]) {
        self.take_commands();
        let in_call = self.scene.calls.iter().flatten().next().is_some();
        self.note_level(captured, &self.meters.microphone_dbfs);
        if in_call {
            let factor = self.levels.capture_factor();
            captured.iter_mut().for_each(|sample| *sample *= factor);
            self.capture.captured(captured);
        }
        self.player.render();
        playback.copy_from_slice(self.player.near());
        for call in &mut self.calls {
            call.sound.hear(&mut call.heard);
            let open = !call.leaving && self.scene.call(call.media).is_some_and(|call| call.loudspeaker);
            call.to_loudspeaker.add(playback, &call.heard, open);
        }
        let factor = self.levels.playback_factor();
        playback.iter_mut().for_each(|sample| *sample = limit(*sample * factor));
        if let Some(switch) = &mut self.half_duplex {
            // The switch also runs between calls, so that a tone that plays when a call begins or ends is not
            // interrupted.
            if in_call && !self.was_in_call {
                switch.reset();
            }
            let is_sent = self.scene.calls.iter().flatten().any(|call| call.microphone) && !self.scene.muted;
            switch.switch(captured, playback, is_sent);
        }
        self.was_in_call = in_call;
        self.send(captured);
        self.let_go();
        if in_call {
            self.capture.played(playback);
        }
        self.note_level(playback, &self.meters.loudspeaker_dbfs);
    }

    /// Whether there is nothing to hear or to say, and no command waits.
    pub(super) fn is_quiet(&self) -> bool {
        let no_calls = self.calls.is_empty() && self.scene.calls.iter().all(Option::is_none);
        no_calls && self.player.is_quiet() && self.commands.is_empty()
    }

    /// The card rests, so there are no levels.
    pub(super) fn rest(&mut self) {
        self.player.rest();
        self.meters.microphone_dbfs.store(SILENCE_DBFS, Ordering::Relaxed);
        self.meters.loudspeaker_dbfs.store(SILENCE_DBFS, Ordering::Relaxed);
    }

    /// What each call hears: the microphone if it is open, prompts, and the other calls if they are mixed.
    fn send(&mut self, captured: &[f32]) {
        let scene = self.scene;
        let talks = |media| scene.call(media).is_some_and(|call| call.microphone);
        for index in 0..self.calls.len() {
            let Some(call) = self.calls.get_mut(index) else { continue };
            let (media, wanted) = (call.media, scene.call(call.media));
            if wanted.is_none() && call.microphone.is_closed() {
                continue;
            }
            self.say.fill(0.0);
            call.microphone.add(&mut self.say, captured, talks(media) && !scene.muted);
            if wanted.is_some() {
                self.say.iter_mut().zip(self.player.far()).for_each(|(to, from)| *to += from);
            }
            // A call that is not up yet neither hears nor is heard. There are only two lines, so no third call could
            // hear it.
            for other in self.calls.iter_mut().filter(|other| other.media != media && talks(media)) {
                other.to_others.add(&mut self.say, &other.heard, scene.mixed && talks(other.media));
            }
            if let Some(call) = self.calls.get_mut(index) {
                if !call.sound.measures() {
                    self.say.iter_mut().for_each(|sample| *sample = limit(*sample));
                }
                call.sound.say(&self.say);
            }
        }
        for call in &mut self.calls {
            if !(scene.mixed && talks(call.media)) {
                call.to_others = Gate::default();
            }
        }
    }

    /// Removes the calls that were detached: they have had their frame to fade out.
    fn let_go(&mut self) {
        while let Some(index) = self.calls.iter().position(|call| call.leaving) {
            let Attached { sound, mut heard, .. } = self.calls.swap_remove(index);
            heard.fill(0.0);
            self.spare.push(heard);
            self.discard(sound);
        }
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.commands.pop() {
            match command {
                AudioCommand::Scene(scene) => {
                    if scene.tone != self.scene.tone {
                        self.player.set_tone(scene.tone);
                    }
                    self.scene = scene;
                }
                AudioCommand::Play { sound, to_calls } => self.player.sign(sound, to_calls),
                AudioCommand::Announce(what) => self.player.announce(what),
                AudioCommand::Attach(media, sound) => match self.spare.pop() {
                    Some(heard) => self.calls.push(Attached {
                        media,
                        sound,
                        heard,
                        to_loudspeaker: Gate::default(),
                        to_others: Gate::default(),
                        microphone: Gate::default(),
                        leaving: false,
                    }),
                    None => self.discard(sound),
                },
                AudioCommand::Detach(media) => {
                    let here = |call: &&mut Attached| call.media == media && !call.leaving;
                    if let Some(call) = self.calls.iter_mut().find(here) {
                        call.leaving = true;
                    }
                }
            }
        }
    }

    fn discard(&mut self, sound: Box<dyn CallSound>) {
        // If the ring is full, the sound is freed here: that is slow, but correct.
        let _ = self.garbage.push(sound);
    }

    fn note_level(&self, frame: &[f32], meter: &std::sync::atomic::AtomicI32) {
        let power = power(frame);
        let dbfs = if power > 1e-10 { (10.0 * power.log10()) as i32 } else { SILENCE_DBFS };
        meter.store(dbfs, Ordering::Relaxed);
    }
}

/// Linear up to -3 dBFS, and compressed above: a sum of voices must not crackle.
fn limit(sample: f32) -> f32 {
    const KNEE: f32 = 0.7;
    let magnitude = sample.abs();
    if magnitude <= KNEE {
        return sample;
    }
    let over = (magnitude - KNEE) / (1.0 - KNEE);
    (KNEE + (1.0 - KNEE) * over / (1.0 + over)).copysign(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtrb::RingBuffer;
    use std::sync::Mutex;

    /// A far end that says a constant, and notes what it hears at the end of each frame.
    struct FarEnd {
        says: f32,
        heard: Arc<Mutex<Vec<f32>>>,
        /// All samples that it heard.
        said: Arc<Mutex<Vec<f32>>>,
    }

    impl CallSound for FarEnd {
        fn hear(&mut self, frame: &mut [f32]) {
            frame.fill(self.says);
        }

        fn say(&mut self, frame: &[f32]) {
            self.heard.lock().unwrap().push(frame[479]);
            self.said.lock().unwrap().extend_from_slice(frame);
        }
    }

    struct Rig {
        engine: Engine,
        commands: Producer<AudioCommand>,
        #[allow(dead_code, reason = "kept so that the ring has a reader")]
        garbage: Consumer<Box<dyn CallSound>>,
        /// What the calls heard; with two calls, their frames alternate.
        said: Arc<Mutex<Vec<f32>>>,
    }

    fn rig() -> Rig {
        rig_with(Echo::Off)
    }

    fn rig_with(echo: Echo) -> Rig {
        let config = AudioConfig {
            capture: crate::config::PcmName::Alsa(String::new()),
            playback: crate::config::PcmName::Alsa(String::new()),
            rate_hz: 48_000,
            echo,
            noise_suppression: false,
            gain_control: false,
            capture_gain_db: 0,
            volume: 100,
        };
        let (commands, queue) = RingBuffer::new(16);
        let (bin, garbage) = RingBuffer::new(16);
        let sounds = SoundBank::new(48_000, &[], &[]).unwrap();
        Rig {
            engine: Engine::new(&config, sounds, queue, bin, Arc::new(Levels::new(100, 0)), Arc::default()),
            commands,
            garbage,
            said: Arc::default(),
        }
    }

    impl Rig {
        fn attach(&mut self, media: u32, says: f32) -> Arc<Mutex<Vec<f32>>> {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let far_end = FarEnd { says, heard: Arc::clone(&heard), said: Arc::clone(&self.said) };
            assert!(self.commands.push(AudioCommand::Attach(MediaId(media), Box::new(far_end))).is_ok());
            heard
        }

        fn scene(&mut self, scene: &Scene) {
            assert!(self.commands.push(AudioCommand::Scene(FixedScene::new(scene))).is_ok());
        }

        /// One frame of a microphone that hears a constant. Returns what the loudspeaker plays at its end.
        fn frame(&mut self, microphone: f32) -> f32 {
            let mut captured = vec![microphone; 480];
            let mut playback = vec![0.0; 480];
            self.engine.process(&mut captured, &mut playback);
            playback[479]
        }
    }

    fn call(media: u32, microphone: bool, loudspeaker: bool) -> SceneCall {
        SceneCall { media: MediaId(media), microphone, loudspeaker }
    }

    fn near(one: f32, other: f32) -> bool {
        (one - other).abs() < 1e-4
    }

    #[test]
    fn a_call_that_is_not_in_the_scene_neither_hears_nor_is_heard() {
        let mut rig = rig();
        let heard = rig.attach(1, 0.5);
        assert!(near(rig.frame(0.3), 0.0));
        assert!(heard.lock().unwrap().is_empty());
    }

    #[test]
    fn announce_mode_closes_the_microphone_and_listen_mode_the_loudspeaker() {
        let mut rig = rig();
        let heard = rig.attach(1, 0.5);
        rig.scene(&Scene { calls: vec![call(1, false, true)], volume: 100, ..Scene::default() });
        assert!(near(rig.frame(0.3), 0.5));
        assert!(near(heard.lock().unwrap()[0], 0.0));
        rig.scene(&Scene { calls: vec![call(1, true, false)], volume: 100, ..Scene::default() });
        assert!(near(rig.frame(0.3), 0.0));
        assert!(near(heard.lock().unwrap()[1], 0.3));
    }

    #[test]
    fn mute_silences_the_microphone_only() {
        let mut rig = rig();
        let heard = rig.attach(1, 0.5);
        rig.scene(&Scene { calls: vec![call(1, true, true)], volume: 100, muted: true, ..Scene::default() });
        assert!(near(rig.frame(0.3), 0.5));
        assert!(near(heard.lock().unwrap()[0], 0.0));
    }

    #[test]
    fn mixed_calls_hear_each_other_and_not_themselves() {
        let mut rig = rig();
        let first = rig.attach(1, 0.2);
        let second = rig.attach(2, 0.1);
        let calls = vec![call(1, true, true), call(2, true, true)];
        rig.scene(&Scene { calls, mixed: true, volume: 100, ..Scene::default() });
        assert!(near(rig.frame(0.3), 0.3));
        assert!(near(first.lock().unwrap()[0], 0.4));
        assert!(near(second.lock().unwrap()[0], 0.5));
    }

    #[test]
    fn the_door_tone_is_heard_on_both_sides_and_the_ringback_only_here() {
        let mut rig = rig();
        let heard = rig.attach(1, 0.0);
        rig.scene(&Scene { calls: vec![call(1, true, true)], volume: 100, ..Scene::default() });
        assert!(rig.commands.push(AudioCommand::Play { sound: Sound::DoorOpen, to_calls: true }).is_ok());
        let mut loudest: f32 = 0.0;
        for _ in 0..5 {
            let mut captured = vec![0.0; 480];
            let mut playback = vec![0.0; 480];
            rig.engine.process(&mut captured, &mut playback);
            loudest = playback.iter().fold(loudest, |most, sample| most.max(sample.abs()));
        }
        assert!(loudest > 0.1, "{loudest}");
        assert!(rig.engine.say.iter().any(|sample| sample.abs() > 0.05));
        (0..60).for_each(|_| _ = rig.frame(0.0));
        rig.scene(&Scene {
            calls: vec![call(1, true, true)],
            tone: Some(Sound::Ringback),
            volume: 100,
            ..Scene::default()
        });
        rig.frame(0.0);
        rig.frame(0.0);
        assert!(near(*heard.lock().unwrap().last().unwrap(), 0.0));
        assert!(rig.engine.say.iter().all(|sample| sample.abs() < 1e-4));
    }

    #[test]
    fn hold_mute_mix_and_tones_switch_without_a_click() {
        let mut rig = rig();
        let first = rig.attach(1, 0.3);
        rig.attach(2, 0.2);
        let both = vec![call(1, true, true), call(2, true, true)];
        let scenes = [
            Scene { calls: both.clone(), volume: 100, ..Scene::default() },
            Scene { calls: both.clone(), mixed: true, volume: 100, ..Scene::default() },
            Scene { calls: both, muted: true, volume: 100, ..Scene::default() },
            Scene { calls: vec![call(2, true, true)], volume: 100, ..Scene::default() },
            Scene { calls: vec![call(1, false, true)], tone: Some(Sound::Ringback), volume: 100, ..Scene::default() },
            Scene { calls: vec![call(1, true, true)], volume: 100, ..Scene::default() },
        ];
        let mut played = vec![0.0];
        for scene in &scenes {
            rig.scene(scene);
            for frame in 0..7 {
                if frame == 3 {
                    let sound = Sound::DoorOpen;
                    assert!(rig.commands.push(AudioCommand::Play { sound, to_calls: false }).is_ok());
                }
                let (mut captured, mut playback) = (vec![0.25; 480], vec![0.0; 480]);
                rig.engine.process(&mut captured, &mut playback);
                played.extend(playback);
            }
        }
        assert_smooth("the loudspeaker", &played);
        assert!(first.lock().unwrap().iter().any(|heard| near(*heard, 0.45)), "the microphone and the other call");
    }

    /// Checks that nobody hears a step: the tones themselves move by less than 0.08 of full scale between two samples.
    fn assert_smooth(name: &str, samples: &[f32]) {
        for (index, pair) in samples.windows(2).enumerate() {
            assert!((pair[1] - pair[0]).abs() < 0.08, "{name}, sample {index}: {pair:?}");
        }
    }

    #[test]
    fn chimes_in_a_tone_and_the_end_of_a_call_make_no_click_on_either_side() {
        for echo in [Echo::Off, Echo::HalfDuplex] {
            let mut rig = rig_with(echo);
            let mut played = Vec::new();
            let mut run = |rig: &mut Rig, frames: usize| {
                for _ in 0..frames {
                    let (mut captured, mut playback) = (vec![0.0; 480], vec![0.0; 480]);
                    rig.engine.process(&mut captured, &mut playback);
                    played.extend(playback);
                }
            };
            let play = |rig: &mut Rig, sound, to_calls| {
                assert!(rig.commands.push(AudioCommand::Play { sound, to_calls }).is_ok());
            };
            let ringing = Scene { tone: Some(Sound::Ringback), volume: 100, ..Scene::default() };
            // Chimes that begin anywhere in the ringback and play to their end; one interrupts another.
            rig.scene(&ringing);
            for frames in [3, 4, 5, 7] {
                run(&mut rig, frames);
                play(&mut rig, Sound::DoorOpen, false);
                run(&mut rig, 30);
                play(&mut rig, Sound::Answer, true);
                run(&mut rig, 90);
            }
            // A chime and another tone start in the same frame, in the middle of a chime.
            play(&mut rig, Sound::DoorOpen, false);
            run(&mut rig, 15);
            play(&mut rig, Sound::Answer, false);
            rig.scene(&Scene { volume: 100, ..Scene::default() });
            run(&mut rig, 5);
            rig.scene(&ringing);
            run(&mut rig, 60);
            // A call begins during the tone, hears a chime that a local one interrupts, and is detached in the middle
            // of a word.
            rig.attach(1, 0.3);
            rig.scene(&Scene { calls: vec![call(1, true, true)], volume: 100, ..Scene::default() });
            run(&mut rig, 5);
            play(&mut rig, Sound::DoorOpen, true);
            run(&mut rig, 20);
            play(&mut rig, Sound::Answer, false);
            run(&mut rig, 20);
            assert!(rig.commands.push(AudioCommand::Detach(MediaId(1))).is_ok());
            rig.scene(&ringing);
            run(&mut rig, 7);
            assert!(rig.engine.calls.is_empty());
            assert_smooth("the loudspeaker", &played);
            assert_smooth("the call", &rig.said.lock().unwrap());
        }
    }

    #[test]
    fn a_loud_sum_bends_and_never_clips() {
        assert!(near(limit(0.5), 0.5));
        assert!(limit(4.0) < 1.0 && limit(-4.0) > -1.0);
    }
}
