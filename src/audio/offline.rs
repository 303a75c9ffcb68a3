//! The engine of the audio thread without a thread or a card, for tests.

use std::sync::Arc;

use rtrb::{Consumer, Producer, RingBuffer};

use super::engine::{Engine, FixedScene};
use super::levels::Levels;
use super::sounds::{SoundBank, SoundError};
use super::{AudioCommand, COMMANDS, GARBAGE, Meters};
use crate::config::{AudioConfig, Sound};
use crate::core::{MediaId, Scene};
use crate::sound::CallSound;

/// The audio engine with its inputs and outputs.
pub struct OfflineEngine {
    engine: Engine,
    commands: Producer<AudioCommand>,
    _garbage: Consumer<Box<dyn CallSound>>,
}

impl OfflineEngine {
    /// An engine without calls.
    ///
    /// # Errors
    ///
    /// A built-in sound could not be made.
    pub fn new(config: &AudioConfig) -> Result<Self, SoundError> {
        let (commands, queue) = RingBuffer::new(COMMANDS);
        let (bin, garbage) = RingBuffer::new(GARBAGE);
        let levels = Arc::new(Levels::new(config.volume, config.capture_gain_db));
        let sounds = SoundBank::new(config.rate_hz, &[], &[])?;
        let engine = Engine::new(config, sounds, queue, bin, levels, Arc::new(Meters::default()));
        Ok(Self { engine, commands, _garbage: garbage })
    }

    fn command(&mut self, command: AudioCommand) {
        // A test sends few commands between two frames, so there is room.
        let _ = self.commands.push(command);
    }

    /// Attaches the sound of a call to the engine, or detaches it.
    pub fn attach(&mut self, media: MediaId, sound: Option<Box<dyn CallSound>>) {
        self.command(match sound {
            Some(sound) => AudioCommand::Attach(media, sound),
            None => AudioCommand::Detach(media),
        });
    }

    /// Sets what is heard where.
    pub fn set_scene(&mut self, scene: &Scene) {
        self.command(AudioCommand::Scene(FixedScene::new(scene)));
    }

    /// Plays a sound once.
    pub fn play(&mut self, sound: Sound, to_calls: bool) {
        self.command(AudioCommand::Play { sound, to_calls });
    }

    /// Takes what the microphone heard, and fills `playback` with what the loudspeaker is to play.
    pub fn process(&mut self, captured: &mut [f32], playback: &mut [f32]) {
        self.engine.process(captured, playback);
    }
}
