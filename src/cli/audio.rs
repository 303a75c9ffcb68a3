//! `callbox audio test`: plays a sweep along the path of a call's sound, and reports the acoustics of the place.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::output::say;
use callbox_dsp::{Acoustics, Sweep};
use clap::Subcommand;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{DEFAULT_CONFIG, Exit, complain, load};
use crate::audio::{Audio, CardChoice, CardTiming, SoundBank};
use crate::config::{AudioConfig, CAPTURE_GAIN_DB, Echo};
use crate::core::{AudioEvent, MediaId, Scene, SceneCall};
use crate::sound::CallSound;

/// A card that delivers no sound within this time counts as silent.
const CARD_PATIENCE: Duration = Duration::from_secs(10);
/// How much longer than its own length the sweep may take.
const SWEEP_PATIENCE: Duration = Duration::from_secs(8);

/// Noise above this level disturbs every call.
const LOUD_NOISE_DBFS: f64 = -45.0;
/// A sweep that is above the noise by less than this is hardly heard.
const LEAST_ABOVE_NOISE_DB: f64 = 15.0;
/// More distortion than this is audible, and no echo canceller removes it.
const MUCH_DISTORTION_PERCENT: f64 = 10.0;
/// With a smaller echo return loss, the echo leaves no headroom for the near end.
const LEAST_LOSS_DB: f64 = 0.0;
/// With a larger echo return loss, the microphone signal is too weak.
const MOST_LOSS_DB: f64 = 40.0;
/// The echo return loss that the proposed gain aims at.
const GOOD_LOSS_DB: f64 = 12.0;
/// The echo canceller cannot handle an echo that comes later.
const MOST_DELAY_MS: f64 = 120.0;

#[derive(Debug, Subcommand)]
pub(super) enum AudioCommand {
    /// Play a sweep and measure the path from the loudspeaker to the microphone
    Test {
        /// Configuration file
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn audio(command: &AudioCommand) -> Exit {
    let AudioCommand::Test { config, json } = command;
    test(config, *json).await
}

async fn test(path: &Path, json: bool) -> Exit {
    let config = match load(path) {
        Ok(config) => config.audio,
        Err(exit) => return exit,
    };
    let (acoustics, timing) = match measure(&config).await {
        Ok(measured) => measured,
        Err(error) => {
            complain(error);
            return Exit::Failed;
        }
    };
    let mut findings = findings(&config, &acoustics);
    findings.extend(timing.remark());
    if json {
        say!("{}", serde_json::json!(Report::new(&acoustics, &findings)));
    } else {
        print(&acoustics, &findings);
    }
    if findings.is_empty() { Exit::Done } else { Exit::Failed }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
enum MeasureError {
    #[error("{0}; if the station is running, stop it first: systemctl stop callbox")]
    Busy(String),
    #[error("{0}; `callbox devices` lists the PCMs that work")]
    Card(String),
    #[error("the card delivers no sound; `callbox devices` lists the PCMs that work")]
    Silent,
    #[error("{0}")]
    Start(String),
}

/// A far end that sends the sweep and records what it receives.
struct Probe {
    sweep: Vec<f32>,
    played: usize,
    recorded: Vec<f32>,
    /// Where to send the complete recording; `None` once that has been done.
    done: Option<SyncSender<Vec<f32>>>,
}

impl CallSound for Probe {
    fn measures(&self) -> bool {
        true
    }

    fn hear(&mut self, frame: &mut [f32]) {
        for (offset, sample) in frame.iter_mut().enumerate() {
            *sample = self.sweep.get(self.played + offset).copied().unwrap_or_default();
        }
        self.played += frame.len();
    }

    fn say(&mut self, frame: &[f32]) {
        if self.done.is_none() {
            return;
        }
        let room = self.sweep.len().saturating_sub(self.recorded.len());
        self.recorded.extend(frame.iter().take(room));
        if self.recorded.len() == self.sweep.len()
            && let Some(done) = self.done.take()
        {
            let _ = done.try_send(std::mem::take(&mut self.recorded));
        }
    }
}

/// Measures along the daemon's own sound path, without the processing of the microphone signal.
async fn measure(config: &AudioConfig) -> Result<(Acoustics, CardTiming), MeasureError> {
    let plain = AudioConfig { echo: Echo::Off, noise_suppression: false, gain_control: false, ..config.clone() };
    let sounds = SoundBank::new(plain.rate_hz, &[], &[]).map_err(|error| MeasureError::Start(error.to_string()))?;
    let (events, mut told) = mpsc::channel(8);
    let audio = Audio::start(&plain, sounds, CardChoice::Alsa, events)
        .map_err(|error| MeasureError::Start(error.to_string()))?;
    match timeout(CARD_PATIENCE, told.recv()).await {
        Ok(Some(AudioEvent::Ready)) => {}
        Ok(Some(AudioEvent::Fault(message))) if message.contains("busy") => return Err(MeasureError::Busy(message)),
        Ok(Some(AudioEvent::Fault(message))) => return Err(MeasureError::Card(message)),
        Ok(None | Some(AudioEvent::Microphone(_))) | Err(_) => return Err(MeasureError::Silent),
    }
    let sweep = Sweep::new(plain.rate_hz);
    let samples = sweep.samples().to_vec();
    let length = Duration::from_secs_f64(samples.len() as f64 / f64::from(plain.rate_hz));
    let (done, recording): (_, Receiver<Vec<f32>>) = sync_channel(1);
    let probe = Probe { recorded: Vec::with_capacity(samples.len()), sweep: samples, played: 0, done: Some(done) };
    let media = MediaId(1);
    let call = SceneCall { media, microphone: true, loudspeaker: true };
    audio.attach(media, Some(Box::new(probe)));
    audio.set_scene(&Scene { calls: vec![call], volume: plain.volume, ..Scene::default() });
    let recorded = tokio::task::spawn_blocking(move || recording.recv_timeout(length + SWEEP_PATIENCE)).await;
    match recorded {
        Ok(Ok(recorded)) => Ok((sweep.analyse(&recorded, audio.capture_factor()), audio.meters.card_timing())),
        _ => Err(MeasureError::Silent),
    }
}

/// The volume to propose: a quarter less, but still audible.
fn volume_for(volume: u8) -> u32 {
    (u32::from(volume) * 3 / 4).max(10).min(u32::from(volume))
}

/// What is wrong and what to do about it, the worst first.
fn findings(config: &AudioConfig, acoustics: &Acoustics) -> Vec<String> {
    let (volume, gain_db) = (config.volume, config.capture_gain_db);
    let Acoustics { echo_return_loss_db: loss_db, noise_dbfs, microphone_dbfs, distortion_percent, .. } = *acoustics;
    if acoustics.delay_ms.is_none() {
        return vec![format!(
            "the microphone does not hear the loudspeaker; check both, audio.playback and audio.capture, and \
             audio.volume (now {volume}) and audio.capture_gain_db (now {gain_db})"
        )];
    }
    let mut found = Vec::new();
    let gain_for =
        |loss_db: f64| (gain_db + (loss_db - GOOD_LOSS_DB).round() as i32).clamp(CAPTURE_GAIN_DB.0, CAPTURE_GAIN_DB.1);
    if let Some(delay_ms) = acoustics.delay_ms.filter(|delay_ms| *delay_ms > MOST_DELAY_MS) {
        found.push(format!(
            "the sound arrives after {delay_ms:.0} ms, which is too late for the echo canceller; name the card itself \
             (plughw:…, see `callbox devices`) in place of a sound server, or write audio.echo = \"half-duplex\""
        ));
    }
    if acoustics.clipped {
        let lower = gain_for(loss_db.min(GOOD_LOSS_DB - 6.0));
        found.push(format!("the microphone is overdriven; write audio.capture_gain_db = {lower} and test again"));
    } else if loss_db < LEAST_LOSS_DB {
        found.push(format!(
            "the echo is louder than what is played; write audio.capture_gain_db = {}, move the microphone away from \
             the loudspeaker, or write audio.volume = {}; if nothing helps, write audio.echo = \"half-duplex\"",
            gain_for(loss_db),
            volume_for(volume)
        ));
    } else if loss_db > MOST_LOSS_DB {
        found.push(format!(
            "the microphone hears little; write audio.capture_gain_db = {} and test again",
            gain_for(loss_db)
        ));
    }
    // A converter that clips distorts as well.
    if distortion_percent > MUCH_DISTORTION_PERCENT && !acoustics.clipped {
        found.push(format!(
            "the loudspeaker distorts, and no echo canceller removes that; write audio.volume = {} and test again; if \
             it still distorts, write audio.echo = \"half-duplex\"",
            volume_for(volume)
        ));
    }
    if noise_dbfs > LOUD_NOISE_DBFS {
        found.push(
            "the noise is loud although nothing plays; look for a fan, a power supply or a wire without a shield, and \
             leave audio.noise_suppression on"
                .into(),
        );
    }
    if microphone_dbfs < noise_dbfs + LEAST_ABOVE_NOISE_DB {
        found.push(format!("the sweep is hardly louder than the noise; raise audio.volume (now {volume})"));
    }
    found
}

fn print(acoustics: &Acoustics, findings: &[String]) {
    if let Some(delay_ms) = acoustics.delay_ms {
        say!("delay        {delay_ms:.1} ms from the loudspeaker's sample to the microphone's");
        let loss_db = acoustics.echo_return_loss_db;
        let way = if loss_db < 0.0 { "above" } else { "below" };
        say!("echo         {:.1} dB {way} what is played (echo return loss)", loss_db.abs());
        say!("distortion   {:.1} %", acoustics.distortion_percent);
    }
    say!("microphone   {:.1} dBFS in the sweep, {:.1} dBFS before it", acoustics.microphone_dbfs, acoustics.noise_dbfs);
    if findings.is_empty() {
        say!("No problem was found: audio.echo = \"full\" suits this place.");
    }
    for finding in findings {
        say!("- {finding}");
    }
}

/// The JSON output. The names of the fields contain their units.
#[derive(Serialize)]
struct Report<'a> {
    delay_ms: Option<f64>,
    echo_return_loss_db: f64,
    microphone_dbfs: f64,
    noise_dbfs: f64,
    distortion_percent: f64,
    clipped: bool,
    findings: &'a [String],
}

impl<'a> Report<'a> {
    fn new(acoustics: &Acoustics, findings: &'a [String]) -> Self {
        let Acoustics { delay_ms, echo_return_loss_db, microphone_dbfs, noise_dbfs, distortion_percent, clipped } =
            *acoustics;
        Self { delay_ms, echo_return_loss_db, microphone_dbfs, noise_dbfs, distortion_percent, clipped, findings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PcmName;

    const GOOD: Acoustics = Acoustics {
        delay_ms: Some(60.0),
        echo_return_loss_db: 12.0,
        microphone_dbfs: -30.0,
        noise_dbfs: -70.0,
        distortion_percent: 1.0,
        clipped: false,
    };

    fn found(capture_gain_db: i32, acoustics: Acoustics) -> Vec<String> {
        let config = AudioConfig {
            capture: PcmName::Alsa("mic".into()),
            playback: PcmName::Alsa("spk".into()),
            rate_hz: 48_000,
            echo: Echo::Full,
            noise_suppression: true,
            gain_control: true,
            capture_gain_db,
            volume: 80,
        };
        findings(&config, &acoustics)
    }

    #[test]
    fn each_fault_is_named_with_the_value_that_mends_it() {
        assert_eq!(found(0, GOOD), Vec::<String>::new());
        let cases = [
            (
                0,
                Acoustics { clipped: true, distortion_percent: 25.0, ..GOOD },
                "overdriven; write audio.capture_gain_db = -6",
            ),
            (-39, Acoustics { clipped: true, ..GOOD }, "audio.capture_gain_db = -40"),
            (
                0,
                Acoustics { echo_return_loss_db: -6.0, ..GOOD },
                "louder than what is played; write audio.capture_gain_db = -18",
            ),
            (3, Acoustics { echo_return_loss_db: 45.0, ..GOOD }, "hears little; write audio.capture_gain_db = 36"),
            (39, Acoustics { echo_return_loss_db: 60.0, ..GOOD }, "audio.capture_gain_db = 40"),
            (
                0,
                Acoustics { distortion_percent: 15.0, ..GOOD },
                "loudspeaker distorts, and no echo canceller removes that; write audio.volume = 60",
            ),
            (0, Acoustics { noise_dbfs: -40.0, microphone_dbfs: -20.0, ..GOOD }, "noise is loud"),
            (0, Acoustics { microphone_dbfs: -60.0, ..GOOD }, "hardly louder than the noise"),
            (0, Acoustics { delay_ms: Some(180.0), ..GOOD }, "arrives after 180 ms"),
            (0, Acoustics { delay_ms: None, ..GOOD }, "does not hear the loudspeaker"),
        ];
        for (gain_db, acoustics, message) in cases {
            let found = found(gain_db, acoustics);
            assert!(matches!(found.as_slice(), [one] if one.contains(message)), "{message}: {found:?}");
        }
    }
}
