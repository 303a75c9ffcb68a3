//! The audio thread: it opens the card, drives the engine by the card's clock, lets the card rest while nobody speaks,
//! and opens it again after it was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::alsa_card::{AlsaCard, REFUSED_PERIODS};
use super::card::{Card, CardError, NoCard, Xruns};
use super::engine::Engine;
use super::levels::{CardNumbers, Levels};
use super::priority::{become_realtime, processor_time_us};
use super::synthetic::Synthetic;
use super::watch::MicrophoneWatch;
use super::{CardChoice, Meters};
use crate::config::AudioConfig;
use crate::core::AudioEvent;
use crate::sound::frame_samples;

/// Frames between two attempts to open a card during a call: sound returns within a tenth of a second after the card
/// does.
const RETRY_FRAMES: u32 = 4;
/// The same if the card opens but stalls: two seconds.
const STANDING_RETRY_FRAMES: u32 = 200;
/// Frames for which a card must work after a fault: longer than it takes to detect that it has stalled.
const PROBATION_FRAMES: u32 = 2 * REFUSED_PERIODS;
/// Frames for which a card runs on after the last sound: the sound in its buffer is played, and a call that follows at
/// once finds the card running.
const LINGER_FRAMES: u32 = 50;
/// How often a resting card is checked.
const LOOK: Duration = Duration::from_secs(4);
/// How often a missing card is tried between calls.
const RETRY: Duration = Duration::from_secs(1);

/// How far [`Runner::drive`] has come with a card.
struct Driven {
    frames: u32,
    /// The number of frames since there was last any sound to play or to send.
    quiet: u32,
}

/// What the thread is started with.
pub(super) struct Start {
    pub(super) config: AudioConfig,
    pub(super) choice: CardChoice,
    pub(super) engine: Engine,
    pub(super) events: mpsc::Sender<AudioEvent>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) meters: Arc<Meters>,
    pub(super) levels: Arc<Levels>,
    /// The mixer thread, which is unparked when a card is opened or lost.
    pub(super) mixer: Thread,
}

pub(super) struct Runner {
    start: Start,
    /// The last fault that was reported.
    fault: Option<CardError>,
    captured: Vec<f32>,
    playback: Vec<f32>,
    watch: MicrophoneWatch,
    /// How often in a row the card opened but did not work.
    stood: u32,
}

impl Runner {
    pub(super) fn new(start: Start) -> Self {
        let frame = frame_samples(start.config.rate_hz);
        Self {
            start,
            fault: None,
            captured: vec![0.0; frame],
            playback: vec![0.0; frame],
            watch: MicrophoneWatch::default(),
            stood: 0,
        }
    }

    pub(super) fn run(mut self) {
        self.start.meters.realtime.store(become_realtime(), Ordering::Relaxed);
        if self.start.choice == CardChoice::Synthetic {
            return self.run_synthetic();
        }
        while !self.is_stopped() {
            let (capture, playback) = (self.start.config.capture.clone(), self.start.config.playback.clone());
            self.start.meters.opening.store(true, Ordering::Relaxed);
            let card = AlsaCard::open(&capture, &playback, self.start.config.rate_hz);
            self.start.meters.opening.store(false, Ordering::Relaxed);
            if let Ok(card) = &card {
                self.use_mixer_of(card.numbers());
            }
            let error = match card {
                Ok(mut card) => match self.use_card(&mut card) {
                    Ok(()) => return,
                    Err(error) => {
                        self.stood = if self.fault.is_some() { self.stood.saturating_add(1) } else { 0 };
                        error
                    }
                },
                Err(_) if self.start.choice == CardChoice::AlsaOrSynthetic && self.fault.is_none() => {
                    return self.run_synthetic();
                }
                Err(error) => {
                    self.stood = 0;
                    error
                }
            };
            // Reported once for each change of state, not for each attempt.
            if self.fault.as_ref() != Some(&error) {
                self.use_mixer_of([None; 2]);
                self.tell(AudioEvent::Fault(error.to_string()));
                self.fault = Some(error);
            }
            // Calls stay alive in silence until the next attempt. If the card opens again and again but does not work,
            // each attempt makes the calls wait, so attempts become rarer.
            let retry = if self.stood > 1 { STANDING_RETRY_FRAMES } else { RETRY_FRAMES };
            let _ = self.drive(&mut NoCard::new(), |driven| driven.frames >= retry || driven.quiet > 0);
            if self.start.engine.is_quiet() {
                self.rest(RETRY);
            }
        }
    }

    fn run_synthetic(&mut self) {
        self.start.meters.synthetic.store(true, Ordering::Relaxed);
        let mut card = Synthetic::new(self.start.config.rate_hz);
        let _ = self.use_card(&mut card);
    }

    /// Drives a card while there is something to hear or to say, and lets it rest in between, until it fails or the
    /// thread is to stop. A card is ready after its first frame; after a fault, only when it has taken sound as well.
    fn use_card(&mut self, card: &mut dyn Card) -> Result<(), CardError> {
        self.watch = MicrophoneWatch::default();
        let first = if self.fault.is_some() { PROBATION_FRAMES } else { 1 };
        self.drive(card, |driven| driven.frames >= first)?;
        self.fault = None;
        self.tell(AudioEvent::Ready);
        while !self.is_stopped() {
            self.drive(card, |driven| driven.quiet >= LINGER_FRAMES)?;
            card.rest()?;
            self.watch.interrupted();
            self.start.engine.rest();
            while !self.is_stopped() && self.start.engine.is_quiet() {
                self.rest(LOOK);
                card.look()?;
            }
        }
        Ok(())
    }

    /// Moves frames until `enough` returns true, the card fails, or the thread is to stop.
    fn drive(&mut self, card: &mut dyn Card, enough: impl Fn(&Driven) -> bool) -> Result<(), CardError> {
        let mut driven = Driven { frames: 0, quiet: 0 };
        while !self.is_stopped() && !enough(&driven) {
            card.read(&mut self.captured)?;
            if card.is_real()
                && let Some(fault) = self.watch.frame(&self.captured, Instant::now())
            {
                self.tell(AudioEvent::Microphone(fault));
            }
            let (began, began_us) = (Instant::now(), processor_time_us());
            self.start.engine.process(&mut self.captured, &mut self.playback);
            let took_us = processor_time_us().saturating_sub(began_us);
            let wall_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.start.meters.longest_frame_us.fetch_max(took_us, Ordering::Relaxed);
            self.start.meters.longest_frame_wall_us.fetch_max(wall_us, Ordering::Relaxed);
            card.write(&self.playback)?;
            self.start.meters.beat();
            self.start.meters.set_card_timing(card.timing());
            let Xruns { capture, playback } = card.take_xruns();
            if capture > 0 {
                self.watch.interrupted();
            }
            self.start.meters.xruns.fetch_add(capture + playback, Ordering::Relaxed);
            driven.frames = driven.frames.saturating_add(1);
            driven.quiet = if self.start.engine.is_quiet() { driven.quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// Sleeps until a command comes, for `longest` at most.
    fn rest(&self, longest: Duration) {
        self.start.meters.beat();
        std::thread::park_timeout(longest);
    }

    fn use_mixer_of(&self, cards: CardNumbers) {
        self.start.levels.opened(cards);
        self.start.mixer.unpark();
    }

    fn is_stopped(&self) -> bool {
        self.start.stop.load(Ordering::Relaxed)
    }

    fn tell(&self, event: AudioEvent) {
        // The station drains this channel all the time. If it does not, the watchdog acts.
        let _ = self.start.events.try_send(event);
    }
}
