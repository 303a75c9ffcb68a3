//! The sound card: one thread owns capture and playback, with the echo canceller between them.
//!
//! Between calls the card stays open, so that no other program takes it, but it does not run: nobody listens, and
//! nothing wakes the processor. Calls are attached as [`CallSound`]s. The core's [`Scene`] says what is heard where.

mod alsa_card;
mod card;
mod devices;
mod engine;
mod gate;
mod lead;
mod levels;
mod mixer;
pub mod offline;
mod player;
mod priority;
mod sample_format;
mod sounds;
mod synthetic;
mod thread;
mod tones;
mod usb;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, Thread};

use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::mpsc;

use crate::config::{AudioConfig, PlayTo, Playable, Sound};
use crate::core::{AudioEvent, MediaId, Scene};
use crate::sound::CallSound;
use levels::Levels;

pub use card::CardTiming;
pub use devices::{CardDescription, PcmDescription, cards, pcms, probe, try_pcm};
pub use mixer::CardControl;
pub use sounds::{SoundBank, SoundError};

/// The capacity for commands to the audio thread, which takes them every 10 ms.
const COMMANDS: usize = 128;
/// Commands that may wait while the audio thread opens a card; further sounds are dropped. Calls and scenes are few.
const MAX_WAITING: usize = 256;
/// The capacity for calls that the audio thread has detached, and that another thread must free.
const GARBAGE: usize = 32;

/// Where sound comes from and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardChoice {
    /// The configured ALSA PCMs, or silence while they are missing.
    Alsa,
    /// The configured ALSA PCMs, or a built-in microphone if they cannot be opened at the start.
    AlsaOrSynthetic,
    /// The built-in microphone.
    Synthetic,
}

/// Levels and counters that the audio thread writes and other threads read.
#[derive(Debug, Default)]
pub struct Meters {
    microphone_dbfs: AtomicI32,
    loudspeaker_dbfs: AtomicI32,
    /// Buffer over- and underruns since the start.
    pub xruns: AtomicU64,
    /// Signs of life of the audio thread: frames of 10 ms, attempts to open a card, and checks of a resting card.
    pub beats: AtomicU64,
    /// A card is being opened. This may take long: a USB device that does not answer has 5 s for each request of the
    /// kernel (docs/workarounds.md, "kernel: a usb device may block for five seconds").
    pub opening: AtomicBool,
    /// The built-in microphone is in use.
    pub synthetic: AtomicBool,
    /// The system allows the audio thread real-time priority.
    pub realtime: AtomicBool,
    /// The processor time of the longest frame of 10 ms, in microseconds.
    pub longest_frame_us: AtomicU64,
    /// The real time of the longest frame, in microseconds: it includes the time in which the thread waited for a
    /// processor.
    pub longest_frame_wall_us: AtomicU64,
    capture_period_ms: AtomicU32,
    playback_period_ms: AtomicU32,
    lead_ms: AtomicU32,
    controls: Mutex<CardControls>,
}

/// The controls of the card's own mixer, and their levels.
#[derive(Debug, Clone, Default)]
pub struct CardControls {
    pub playback: Option<CardControl>,
    pub capture: Option<CardControl>,
}

impl Meters {
    /// The controls of the card's own mixer. The audio thread never takes this lock.
    pub fn controls(&self) -> MutexGuard<'_, CardControls> {
        self.controls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The periods and the lead of the card; 0 before a card was opened.
    pub fn card_timing(&self) -> CardTiming {
        CardTiming {
            capture_period_ms: self.capture_period_ms.load(Ordering::Relaxed),
            playback_period_ms: self.playback_period_ms.load(Ordering::Relaxed),
            lead_ms: self.lead_ms.load(Ordering::Relaxed),
        }
    }

    fn set_card_timing(&self, timing: CardTiming) {
        self.capture_period_ms.store(timing.capture_period_ms, Ordering::Relaxed);
        self.playback_period_ms.store(timing.playback_period_ms, Ordering::Relaxed);
        self.lead_ms.store(timing.lead_ms, Ordering::Relaxed);
    }

    /// Counts one more sign of life of the audio thread.
    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// RMS of the last frame at the microphone, in dBFS; -99 for silence and while the card rests.
    pub fn microphone_dbfs(&self) -> i32 {
        self.microphone_dbfs.load(Ordering::Relaxed)
    }

    /// RMS of the last frame at the loudspeaker, in dBFS; -99 for silence and while the card rests.
    pub fn loudspeaker_dbfs(&self) -> i32 {
        self.loudspeaker_dbfs.load(Ordering::Relaxed)
    }
}

enum AudioCommand {
    Scene(engine::FixedScene),
    Play { sound: Sound, to_calls: bool },
    Announce(Option<(Playable, PlayTo)>),
    Attach(MediaId, Box<dyn CallSound>),
    Detach(MediaId),
}

/// Commands to the audio thread. Those that find no room in the ring wait in order.
struct Outgoing {
    ring: Producer<AudioCommand>,
    waiting: VecDeque<AudioCommand>,
}

impl Outgoing {
    /// Adds a command, and moves as many commands as the ring has room for.
    fn push(&mut self, command: Option<AudioCommand>) {
        if let Some(command) = command {
            if matches!(command, AudioCommand::Scene(_)) {
                // Only the newest scene counts.
                self.waiting.retain(|waiting| !matches!(waiting, AudioCommand::Scene(_)));
            }
            if self.waiting.len() >= MAX_WAITING && matches!(command, AudioCommand::Play { .. }) {
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

/// A handle to the audio thread. Dropping it stops the thread.
pub struct Audio {
    commands: Mutex<Outgoing>,
    garbage: Mutex<Consumer<Box<dyn CallSound>>>,
    stop: Arc<AtomicBool>,
    pub meters: Arc<Meters>,
    levels: Arc<Levels>,
    thread: Option<JoinHandle<()>>,
    mixer: Thread,
}

/// Why the audio thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the audio thread cannot be started: {0}")]
pub struct AudioStartError(String);

impl Audio {
    /// Starts the thread, which reports when the card comes and goes.
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
        let levels = Arc::new(Levels::new(config.volume, config.capture_gain_db));
        let failed = |error: std::io::Error| AudioStartError(error.to_string());
        let mixer = {
            let (levels, meters, stop) = (Arc::clone(&levels), Arc::clone(&meters), Arc::clone(&stop));
            let mixer = std::thread::Builder::new().name("mixer".into());
            mixer.spawn(move || mixer::run(&levels, &meters, &stop)).map_err(failed)?.thread().clone()
        };
        let engine = engine::Engine::new(config, sounds, queue, bin, Arc::clone(&levels), Arc::clone(&meters));
        let runner = thread::Runner::new(thread::Start {
            config: config.clone(),
            choice,
            engine,
            events,
            stop: Arc::clone(&stop),
            meters: Arc::clone(&meters),
            levels: Arc::clone(&levels),
            mixer: mixer.clone(),
        });
        let thread = std::thread::Builder::new().name("audio".into()).spawn(move || runner.run());
        Ok(Self {
            commands: Mutex::new(Outgoing { ring: commands, waiting: VecDeque::new() }),
            garbage: Mutex::new(garbage),
            stop,
            meters,
            levels,
            thread: Some(thread.map_err(failed)?),
            mixer,
        })
    }

    /// The factor that software applies to the microphone, in addition to the gain of the card's mixer. A full-scale
    /// sample of the card becomes this value.
    pub fn capture_factor(&self) -> f32 {
        self.levels.capture_factor()
    }

    /// Sets what is heard where, from the next frame on.
    pub fn set_scene(&self, scene: &Scene) {
        if self.levels.set_volume(scene.volume) {
            self.mixer.unpark();
        }
        self.command(AudioCommand::Scene(engine::FixedScene::new(scene)));
    }

    /// Plays a sound once.
    pub fn play(&self, sound: Sound, to_calls: bool) {
        self.command(AudioCommand::Play { sound, to_calls });
    }

    /// Plays this after the announcement that is being played; `None` ends that one, and the one that waits.
    pub fn announce(&self, what: Option<(Playable, PlayTo)>) {
        self.command(AudioCommand::Announce(what));
    }

    /// Attaches the sound of a call to the thread, or detaches it.
    pub fn attach(&self, media: MediaId, sound: Option<Box<dyn CallSound>>) {
        self.command(match sound {
            Some(sound) => AudioCommand::Attach(media, sound),
            None => AudioCommand::Detach(media),
        });
    }

    fn command(&self, command: AudioCommand) {
        self.outgoing().push(Some(command));
        self.collect();
        self.wake();
    }

    /// Wakes the thread, which may be resting.
    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the commands that wait, and frees what the audio thread must not free.
    pub fn collect(&self) {
        self.outgoing().push(None);
        let mut garbage = self.garbage.lock().unwrap_or_else(PoisonError::into_inner);
        while garbage.pop().is_ok() {}
    }
}

impl Drop for Audio {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake();
        // The mixer thread is not joined: it may be waiting for a card that does not answer.
        self.mixer.unpark();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Echo, PcmName};
    use std::time::{Duration, Instant};

    fn beats_within(audio: &Audio, time: Duration) -> u64 {
        let before = audio.meters.beats.load(Ordering::Relaxed);
        std::thread::sleep(time);
        audio.meters.beats.load(Ordering::Relaxed) - before
    }

    #[test]
    fn the_card_rests_while_nobody_speaks_and_runs_when_somebody_does() {
        let config = AudioConfig {
            capture: PcmName::Alsa(String::new()),
            playback: PcmName::Alsa(String::new()),
            rate_hz: 16_000,
            echo: Echo::Off,
            noise_suppression: false,
            gain_control: false,
            capture_gain_db: 0,
            volume: 80,
        };
        let sounds = SoundBank::new(config.rate_hz, &[], &[]).unwrap();
        let (events, mut told) = mpsc::channel(8);
        let audio = Audio::start(&config, sounds, CardChoice::Synthetic, events).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while beats_within(&audio, Duration::from_millis(500)) > 1 {
            assert!(Instant::now() < deadline, "the card does not come to rest");
        }
        assert_eq!(audio.meters.microphone_dbfs(), -99);
        audio.play(Sound::DoorOpen, false);
        let woken = Instant::now();
        while audio.meters.loudspeaker_dbfs() < -40 {
            assert!(woken.elapsed() < Duration::from_secs(1), "no sound");
            std::thread::yield_now();
        }
        while beats_within(&audio, Duration::from_millis(500)) > 1 {
            assert!(Instant::now() < deadline, "the card does not come to rest again");
        }
        assert_eq!(told.try_recv().ok(), Some(AudioEvent::Ready));
        assert!(told.try_recv().is_err(), "ready was reported twice");
    }
}
