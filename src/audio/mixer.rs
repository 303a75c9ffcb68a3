//! Sets the level controls of a card (alsa-lib's simple mixer) when it is opened, and when the volume changes.
//!
//! Setting a control takes milliseconds on I²C and more on USB. So a thread of its own does it, and sleeps in between.

use std::sync::atomic::{AtomicBool, Ordering};

use alsa::Round;
use alsa::mixer::{Mixer, Selem};

use super::Meters;
use super::alsa_card::reason;
use super::levels::{CardNumbers, Levels, Millibel, volume_level};

/// Names of the loudspeaker's control in drivers, best first (docs/workarounds.md, "alsa: mixer controls have no fixed
/// names").
const PLAYBACK_NAMES: [&str; 10] =
    ["speaker", "master", "pcm", "headphone", "headset", "digital", "playback", "line out", "lineout", "dac"];
/// Names of the microphone's control in drivers, best first.
const CAPTURE_NAMES: [&str; 8] =
    ["mic", "capture", "internal mic", "front mic", "microphone", "headset", "adc", "digital"];

/// One direction of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Playback,
    Capture,
}

/// A mixer control of the card, and its level.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct CardControl {
    /// Its name in the card's mixer.
    pub name: String,
    /// Its level in dB.
    pub db: f32,
}

/// Why a control could not be set.
#[derive(Debug, thiserror::Error)]
#[error("the mixer of card {card}: {}", reason(error))]
struct MixerError {
    card: i32,
    error: alsa::Error,
}

/// Runs until `stop` is set. It must be unparked whenever there may be something to set.
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
        // Every change unparks this thread. If one came in the meantime, this returns at once.
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

/// Logs an error, which happens at most once for each opening of a card and each change of the volume.
fn told<T>(result: Result<Option<T>, MixerError>) -> Option<T> {
    result.unwrap_or_else(|error| {
        tracing::warn!(%error, "levels are set in software instead");
        None
    })
}

/// Sets the loudspeaker's control to the nearest step that is not below the wanted level, and not above 0 dB. Returns
/// its level relative to full volume.
fn set_playback(card: i32, volume: u8) -> Result<Option<(CardControl, Millibel)>, MixerError> {
    let failed = |error| MixerError { card, error };
    let mixer = Mixer::new(&format!("hw:{card}"), false).map_err(failed)?;
    let Some((name, control)) = find(&mixer, Direction::Playback) else { return Ok(None) };
    let (_, most) = control.get_playback_db_range();
    let full = (*most).min(0);
    let wanted = volume_level(volume).unwrap_or(Millibel(-10_000));
    control.set_playback_db_all(alsa::mixer::MilliBel(full + i64::from(wanted.0)), Round::Ceil).map_err(failed)?;
    if control.has_playback_switch() {
        // Volume 0 is played as zeros, so the switch is always on: nobody could explain a switch that is found off.
        control.set_playback_switch_all(1).map_err(failed)?;
    }
    let level = control.get_playback_vol_db(alsa::mixer::SelemChannelId::mono()).map_err(failed)?;
    let below_full = Millibel(i32::try_from(*level - full).unwrap_or_default());
    Ok(Some((CardControl { name, db: level.to_db() }, below_full)))
}

/// Sets the microphone's control to the nearest step that is not above the wanted level. If the card itself feeds the
/// microphone to the loudspeaker (side tone), this is switched off, because it would howl (docs/workarounds.md, "alsa:
/// the side tone is a switch of the microphone").
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

/// The control of a direction with the best name. Only controls that know their decibels are used (docs/workarounds.md,
/// "alsa: mixer controls have no fixed names").
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

/// How well a name fits, 0 is best; `None` for the name of another control.
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
        // A USB sound stick: the playback volume of "Mic" is the side tone.
        let names = ["Mic", "Speaker"];
        let best = |direction| names.iter().filter_map(|name| Some((rank(name, direction)?, *name))).min();
        assert_eq!(best(Direction::Playback), Some((0, "Speaker")));
        assert_eq!(best(Direction::Capture), Some((0, "Mic")));
        assert_eq!(rank("CD", Direction::Playback), None);
    }
}
