//! The level controls of a card (alsa-lib's simple mixer): set when it is opened, and when the volume changes.
//!
//! A control takes a while, milliseconds on I²C and more on USB, so a thread of its own does it and sleeps in
//! between.

use std::sync::atomic::{AtomicBool, Ordering};

use alsa::Round;
use alsa::mixer::{Mixer, Selem};

use super::Meters;
use super::levels::{CardNumbers, Levels, Millibel, volume_level};

/// Names of the control of a loudspeaker, best first, as drivers give them.
const PLAYBACK_NAMES: [&str; 10] =
    ["speaker", "master", "pcm", "headphone", "headset", "digital", "playback", "line out", "lineout", "dac"];
/// Names of the control of a microphone, best first.
const CAPTURE_NAMES: [&str; 8] =
    ["mic", "capture", "internal mic", "front mic", "microphone", "headset", "adc", "digital"];

/// One direction of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Playback,
    Capture,
}

/// A control and where it stands, for people.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct CardControl {
    /// Its name in the card's mixer.
    pub name: String,
    /// Its level in dB.
    pub db: f32,
}

/// Why a control was not set.
#[derive(Debug, thiserror::Error)]
#[error("the mixer of card {card}: {error}")]
struct MixerError {
    card: i32,
    error: alsa::Error,
}

/// Runs until it is told to stop; unparked whenever there may be something to set.
pub(super) fn run(levels: &Levels, meters: &Meters, stop: &AtomicBool) {
    let (mut seen_openings, mut seen_volume) = (0, None);
    while !stop.load(Ordering::Relaxed) {
        let (numbers, openings) = levels.numbers();
        let volume = levels.volume();
        let opened = openings != std::mem::replace(&mut seen_openings, openings);
        let changed = seen_volume.replace(volume) != Some(volume);
        if opened {
            capture(numbers, levels, meters);
        }
        if opened || changed {
            playback(numbers, volume, levels, meters);
        }
        // Whoever changes something unparks: what came meanwhile ends this at once.
        std::thread::park();
    }
}

fn playback([number, _]: CardNumbers, volume: u8, levels: &Levels, meters: &Meters) {
    let set = number.and_then(|card| told(set_playback(card, volume)));
    if let Some((_, below_full)) = &set {
        levels.card_does_playback(*below_full);
    }
    meters.controls().playback = set.map(|(control, _)| control);
}

fn capture([_, number]: CardNumbers, levels: &Levels, meters: &Meters) {
    let set = number.and_then(|card| told(set_capture(card, levels.wanted_capture())));
    if let Some((_, level)) = &set {
        levels.card_does_capture(*level);
    }
    meters.controls().capture = set.map(|(control, _)| control);
}

/// Once for each opening of a card or change of the volume.
fn told<T>(result: Result<Option<T>, MixerError>) -> Option<T> {
    result.unwrap_or_else(|error| {
        tracing::warn!(%error, "levels are set in software instead");
        None
    })
}

/// Sets the loudspeaker's control: not above 0 dB, the nearest step that is not below what is wanted. Gives what
/// it is below full volume.
fn set_playback(card: i32, volume: u8) -> Result<Option<(CardControl, Millibel)>, MixerError> {
    let failed = |error| MixerError { card, error };
    let mixer = Mixer::new(&format!("hw:{card}"), false).map_err(failed)?;
    let Some((name, control)) = find(&mixer, Direction::Playback) else { return Ok(None) };
    let (_, most) = control.get_playback_db_range();
    let full = (*most).min(0);
    let wanted = volume_level(volume).unwrap_or(Millibel(-10_000));
    control.set_playback_db_all(alsa::mixer::MilliBel(full + i64::from(wanted.0)), Round::Ceil).map_err(failed)?;
    if control.has_playback_switch() {
        // Silence is made of zeros: a switch that was found off stays a riddle.
        control.set_playback_switch_all(1).map_err(failed)?;
    }
    let level = control.get_playback_vol_db(alsa::mixer::SelemChannelId::mono()).map_err(failed)?;
    let below_full = Millibel(i32::try_from(*level - full).unwrap_or_default());
    Ok(Some((CardControl { name, db: level.to_db() }, below_full)))
}

/// Sets the microphone's control to the nearest step that is not above what is wanted. A microphone that is led
/// to the loudspeaker inside the card (side tone) is switched off there: it would howl.
fn set_capture(card: i32, wanted: Millibel) -> Result<Option<(CardControl, Millibel)>, MixerError> {
    let failed = |error| MixerError { card, error };
    let mixer = Mixer::new(&format!("hw:{card}"), false).map_err(failed)?;
    let Some((name, control)) = find(&mixer, Direction::Capture) else { return Ok(None) };
    control.set_capture_db_all(alsa::mixer::MilliBel(i64::from(wanted.0)), Round::Floor).map_err(failed)?;
    if control.has_capture_switch() {
        control.set_capture_switch_all(1).map_err(failed)?;
    }
    if control.has_playback_switch() && rank(&name, Direction::Playback).is_none() {
        control.set_playback_switch_all(0).map_err(failed)?;
    }
    let level = control.get_capture_vol_db(alsa::mixer::SelemChannelId::mono()).map_err(failed)?;
    Ok(Some((CardControl { name, db: level.to_db() }, Millibel(i32::try_from(*level).unwrap_or_default()))))
}

/// The names of the controls that would be set, for `callbox devices`: loudspeaker, microphone.
pub(super) fn controls(card: i32) -> (Option<String>, Option<String>) {
    let Ok(mixer) = Mixer::new(&format!("hw:{card}"), false) else { return (None, None) };
    let name = |direction| find(&mixer, direction).map(|(name, _)| name);
    (name(Direction::Playback), name(Direction::Capture))
}

/// The control of a direction whose name says most; only such as know their decibels.
fn find(mixer: &Mixer, direction: Direction) -> Option<(String, Selem<'_>)> {
    let controls = mixer.iter().filter_map(Selem::new).filter(|control| match direction {
        Direction::Playback => {
            let (least, most) = control.get_playback_db_range();
            control.has_playback_volume() && least < most
        }
        Direction::Capture => {
            let (least, most) = control.get_capture_db_range();
            control.has_capture_volume() && least < most
        }
    });
    let named = controls.filter_map(|control| Some((control.get_id().get_name().ok()?.to_owned(), control)));
    named
        .filter_map(|(name, control)| Some((rank(&name, direction)?, name, control)))
        .min_by_key(|(rank, ..)| *rank)
        .map(|(_, name, control)| (name, control))
}

/// How well a name fits, 0 best; `None` for what is something else.
fn rank(name: &str, direction: Direction) -> Option<usize> {
    let names: &[&str] = match direction {
        Direction::Playback => &PLAYBACK_NAMES,
        Direction::Capture => &CAPTURE_NAMES,
    };
    names.iter().position(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loudspeaker_is_told_from_the_microphone_that_is_led_to_it() {
        // A USB sound stick: "Mic" has a playback volume, the side tone.
        let names = ["Mic", "Speaker"];
        let best = |direction| names.iter().filter_map(|name| Some((rank(name, direction)?, *name))).min();
        assert_eq!(best(Direction::Playback), Some((0, "Speaker")));
        assert_eq!(best(Direction::Capture), Some((0, "Mic")));
        assert_eq!(rank("CD", Direction::Playback), None);
    }
}
