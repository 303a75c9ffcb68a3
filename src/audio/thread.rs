//! The audio thread: opens the card, drives the engine by its clock, and tries again when it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::alsa_card::AlsaCard;
use super::card::{Card, CardError, NoCard};
use super::engine::Engine;
use super::synthetic::Synthetic;
use super::{CardChoice, Meters};
use crate::config::AudioConfig;
use crate::core::AudioEvent;
use crate::sound::frame_samples;

/// Frames between two attempts to open a card: a quarter of a second.
const RETRY_FRAMES: u32 = 25;

pub(super) struct Runner {
    config: AudioConfig,
    choice: CardChoice,
    engine: Engine,
    events: mpsc::Sender<AudioEvent>,
    stop: Arc<AtomicBool>,
    meters: Arc<Meters>,
    captured: Vec<f32>,
    playback: Vec<f32>,
}

impl Runner {
    pub(super) fn new(
        config: AudioConfig,
        choice: CardChoice,
        engine: Engine,
        events: mpsc::Sender<AudioEvent>,
        stop: Arc<AtomicBool>,
        meters: Arc<Meters>,
    ) -> Self {
        let frame = frame_samples(config.rate_hz);
        Self { config, choice, engine, events, stop, meters, captured: vec![0.0; frame], playback: vec![0.0; frame] }
    }

    pub(super) fn run(mut self) {
        if self.choice == CardChoice::Synthetic {
            return self.run_synthetic();
        }
        let mut last_fault = None;
        while !self.stop.load(Ordering::Relaxed) {
            let (capture, playback) = (self.config.capture.clone(), self.config.playback.clone());
            let error = match AlsaCard::open(&capture, &playback, self.config.rate_hz) {
                Ok(mut card) => match self.run_card(&mut card, None, &mut last_fault) {
                    Ok(()) => return,
                    Err(error) => error,
                },
                Err(_) if self.choice == CardChoice::AlsaOrSynthetic && last_fault.is_none() => {
                    return self.run_synthetic();
                }
                Err(error) => error,
            };
            // Once per change of state, not per attempt.
            if last_fault.as_ref() != Some(&error) {
                self.tell(AudioEvent::Fault(error.to_string()));
                last_fault = Some(error);
            }
            let _ = self.run_card(&mut NoCard::new(), Some(RETRY_FRAMES), &mut None);
        }
    }

    fn run_synthetic(&mut self) {
        self.meters.synthetic.store(true, Ordering::Relaxed);
        let mut card = Synthetic::new(self.config.rate_hz);
        let _ = self.run_card(&mut card, None, &mut None);
    }

    /// Drives the engine until the card fails, the thread is to stop, or `frames` are done.
    /// A card is ready once it has given its first frame.
    fn run_card(
        &mut self,
        card: &mut dyn Card,
        frames: Option<u32>,
        last_fault: &mut Option<CardError>,
    ) -> Result<(), CardError> {
        let mut done = 0;
        while !self.stop.load(Ordering::Relaxed) && frames.is_none_or(|frames| done < frames) {
            card.read(&mut self.captured)?;
            if done == 0 && frames.is_none() {
                *last_fault = None;
                self.tell(AudioEvent::Ready);
            }
            done = done.saturating_add(1);
            self.engine.process(&mut self.captured, &mut self.playback);
            card.write(&self.playback)?;
            let xruns = card.take_xruns();
            if xruns > 0 {
                self.meters.xruns.fetch_add(xruns, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn tell(&self, event: AudioEvent) {
        // The station drains this all the time; if it does not, the watchdog has more to say.
        let _ = self.events.try_send(event);
    }
}
