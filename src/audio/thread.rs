//! The audio thread: opens the card, drives the engine by its clock, lets it rest while nobody speaks, and
//! tries again when it goes.

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

/// Frames between two attempts to open a card in a call: it sounds within a tenth of a second after it is back.
const RETRY_FRAMES: u32 = 4;
/// The same where it opens and stands: two seconds.
const STANDING_RETRY_FRAMES: u32 = 200;
/// Frames that a card which was faulty must work for: longer than one that stands takes to be found out.
const PROBATION_FRAMES: u32 = 2 * REFUSED_PERIODS;
/// Frames for which a card runs on after the last sound: what it holds is played, and a call that follows at
/// once finds it running.
const LINGER_FRAMES: u32 = 50;
/// A resting card is looked at so often.
const LOOK: Duration = Duration::from_secs(4);
/// A missing card is tried again so often between calls.
const RETRY: Duration = Duration::from_secs(1);

/// What a card has been driven for.
struct Driven {
    frames: u32,
    /// Frames since there was last something to hear or to say.
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
    /// To be unparked when a card is opened.
    pub(super) mixer: Thread,
}

pub(super) struct Runner {
    start: Start,
    /// The last that was told.
    fault: Option<CardError>,
    captured: Vec<f32>,
    playback: Vec<f32>,
    watch: MicrophoneWatch,
    /// How often in a row it opened and did not work.
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
            // Once per change of state, not per attempt.
            if self.fault.as_ref() != Some(&error) {
                self.use_mixer_of([None; 2]);
                self.tell(AudioEvent::Fault(error.to_string()));
                self.fault = Some(error);
            }
            // Calls live on in silence until the next attempt; where it opens again and again and does not work, to find that
            // out keeps them waiting.
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

    /// Drives a card while there is something to hear or to say and lets it rest in between, until it fails or
    /// the thread is to stop. A card is ready once it has given its first frame; one that was faulty, once it has taken
    /// sound as well.
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

    /// Carries frames until enough of them are carried, the card fails, or the thread is to stop.
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

    /// Sleeps until somebody has a command, and for a time at most.
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
        // The station drains this all the time; if it does not, the watchdog has more to say.
        let _ = self.start.events.try_send(event);
    }
}
