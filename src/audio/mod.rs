//! The sound card: one thread owns capture and playback, with the echo canceller between them.
//!
//! Calls are attached as [`CallSound`]s; what is heard where is the core's [`Scene`].

mod alsa_card;
mod card;
mod devices;
mod engine;
mod processor;
mod sounds;
mod synthetic;
mod thread;
mod tones;
mod usb;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::mpsc;

use crate::config::{AudioConfig, Sound};
use crate::core::{AudioEvent, MediaId, Scene};
use crate::sound::CallSound;

pub use devices::{CardDescription, PcmDescription, cards, pcms, probe, try_pcm};
pub use sounds::{SoundBank, SoundError};

/// Commands that wait for the audio thread, which takes them every 10 ms.
const COMMANDS: usize = 128;
/// Commands that wait while the audio thread opens a card; calls and scenes are few.
const MAX_WAITING: usize = 256;
/// Calls that the audio thread has let go of and somebody else must free.
const GARBAGE: usize = 32;

/// Where sound comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardChoice {
    /// The configured ALSA PCMs; silence while they are missing.
    Alsa,
    /// The configured ALSA PCMs, or a built-in microphone where they cannot be opened at start.
    AlsaOrSynthetic,
    /// The built-in microphone.
    Synthetic,
}

/// Levels and counters that the audio thread writes and others read.
#[derive(Debug, Default)]
pub struct Meters {
    microphone_dbfs: AtomicI32,
    loudspeaker_dbfs: AtomicI32,
    /// Buffer over- and underruns since the start.
    pub xruns: AtomicU64,
    /// Frames of 10 ms since the start.
    pub frames: AtomicU64,
    /// The built-in microphone is in use.
    pub synthetic: AtomicBool,
}

impl Meters {
    /// RMS of the last frame at the microphone, in dBFS, -99 for silence.
    pub fn microphone_dbfs(&self) -> i32 {
        self.microphone_dbfs.load(Ordering::Relaxed)
    }

    /// RMS of the last frame at the loudspeaker, in dBFS, -99 for silence.
    pub fn loudspeaker_dbfs(&self) -> i32 {
        self.loudspeaker_dbfs.load(Ordering::Relaxed)
    }
}

enum Command {
    Scene(engine::FixedScene),
    Play { sound: Sound, to_calls: bool },
    Attach(MediaId, Box<dyn CallSound>),
    Detach(MediaId),
}

/// Commands on their way; those that find no room wait in order.
struct Outgoing {
    ring: Producer<Command>,
    waiting: VecDeque<Command>,
}

impl Outgoing {
    /// Adds a command and moves as many as there is room for.
    fn push(&mut self, command: Option<Command>) {
        if let Some(command) = command {
            if matches!(command, Command::Scene(_)) {
                // Only the newest scene counts.
                self.waiting.retain(|waiting| !matches!(waiting, Command::Scene(_)));
            }
            if self.waiting.len() >= MAX_WAITING && matches!(command, Command::Play { .. }) {
                return;
            }
            self.waiting.push_back(command);
        }
        while let Some(command) = self.waiting.pop_front() {
            if let Err(rtrb::PushError::Full(command)) = self.ring.push(command) {
                self.waiting.push_front(command);
                return;
            }
        }
    }
}

/// A handle to the audio thread. Dropping it ends the thread.
pub struct Audio {
    commands: Mutex<Outgoing>,
    garbage: Mutex<Consumer<Box<dyn CallSound>>>,
    stop: Arc<AtomicBool>,
    /// Levels and counters.
    pub meters: Arc<Meters>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Why there is no audio thread.
#[derive(Debug, thiserror::Error)]
#[error("the audio thread cannot be started: {0}")]
pub struct AudioStartError(String);

impl Audio {
    /// Starts the thread. It reports when the card comes and goes.
    pub fn start(
        config: &AudioConfig,
        sounds: SoundBank,
        choice: CardChoice,
        events: mpsc::Sender<AudioEvent>,
    ) -> Result<Self, AudioStartError> {
        let (commands, queue) = RingBuffer::new(COMMANDS);
        let (bin, garbage) = RingBuffer::new(GARBAGE);
        let stop = Arc::new(AtomicBool::new(false));
        let meters = Arc::new(Meters::default());
        let engine = engine::Engine::new(config, sounds, queue, bin, Arc::clone(&meters));
        let runner =
            thread::Runner::new(config.clone(), choice, engine, events, Arc::clone(&stop), Arc::clone(&meters));
        let thread = std::thread::Builder::new()
            .name("audio".into())
            .spawn(move || runner.run())
            .map_err(|error| AudioStartError(error.to_string()))?;
        Ok(Self {
            commands: Mutex::new(Outgoing { ring: commands, waiting: VecDeque::new() }),
            garbage: Mutex::new(garbage),
            stop,
            meters,
            thread: Some(thread),
        })
    }

    /// What is heard where, from the next frame on.
    pub fn set_scene(&self, scene: &Scene) {
        self.command(Command::Scene(engine::FixedScene::new(scene)));
    }

    /// Plays a sound once.
    pub fn play(&self, sound: Sound, to_calls: bool) {
        self.command(Command::Play { sound, to_calls });
    }

    /// Gives a call's sound to the thread, or takes it back.
    pub fn attach(&self, media: MediaId, sound: Option<Box<dyn CallSound>>) {
        self.command(match sound {
            Some(sound) => Command::Attach(media, sound),
            None => Command::Detach(media),
        });
    }

    fn command(&self, command: Command) {
        self.outgoing().push(Some(command));
        self.collect();
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves what waits, and frees what the audio thread must not free.
    pub fn collect(&self) {
        self.outgoing().push(None);
        let mut garbage = self.garbage.lock().unwrap_or_else(PoisonError::into_inner);
        while garbage.pop().is_ok() {}
    }
}

impl Drop for Audio {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
