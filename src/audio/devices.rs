//! What sound hardware there is, for `callbox devices`.

use alsa::Direction;
use alsa::device_name::HintIter;

use super::alsa_card::{AlsaCard, try_for_100_ms};
use super::card::{Card, CardTiming};
use super::mixer;
use super::usb::usb_cards;
use crate::config::PcmName;

/// A sound card.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CardDescription {
    /// Its number, which changes when cards are plugged in another order.
    pub index: i32,
    /// Its id, stable in `hw:CARD=…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `usb:VENDOR:PRODUCT[:SERIAL]`: its name in any socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb: Option<String>,
    /// The control of its mixer that `audio.volume` sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playback_control: Option<String>,
    /// The control of its mixer that `audio.capture_gain_db` sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture_control: Option<String>,
}

/// A PCM name that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PcmDescription {
    /// The name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Can capture.
    pub capture: bool,
    /// Can play back.
    pub playback: bool,
    /// Why it does not work now, where somebody has tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What there is to say of it although it works: a period that is heard as a delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// All sound cards of the machine.
pub fn cards() -> Vec<CardDescription> {
    let usb = usb_cards();
    alsa::card::Iter::new()
        .filter_map(Result::ok)
        .filter_map(|card| {
            let control = alsa::Ctl::from_card(&card, true).ok()?;
            let info = control.card_info().ok()?;
            let id = info.get_id().unwrap_or_default().to_owned();
            let (playback_control, capture_control) = mixer::controls(card.get_index());
            Some(CardDescription {
                playback_control,
                capture_control,
                index: card.get_index(),
                usb: usb.iter().find(|plugged| plugged.id == id).map(|plugged| plugged.usb.to_string()),
                id,
                name: card.get_longname().unwrap_or_default(),
            })
        })
        .collect()
}

/// All PCM names that alsa-lib's configuration has.
pub fn pcms() -> Vec<PcmDescription> {
    let Ok(hints) = HintIter::new_str(None, "pcm") else { return Vec::new() };
    hints
        .filter_map(|hint| {
            let direction = hint.direction;
            let name = hint.name?;
            Some(PcmDescription {
                problem: None,
                remark: None,
                name,
                description: hint.desc.unwrap_or_default().replace('\n', ", "),
                capture: direction != Some(Direction::Playback),
                playback: direction != Some(Direction::Capture),
            })
        })
        .collect()
}

/// Whether a PCM gives or takes sound for a tenth of a second. Plug-ins of alsa-lib are other people's code in
/// our process: to be called in a process of its own.
///
/// # Errors
///
/// Why not, in words.
pub fn try_pcm(name: &str, capture: bool) -> Result<CardTiming, String> {
    try_for_100_ms(name, if capture { Direction::Capture } else { Direction::Playback })
}

/// Opens a pair of PCMs and closes them again.
///
/// # Errors
///
/// Why they cannot be opened, in words.
pub fn probe(capture: &PcmName, playback: &PcmName, rate_hz: u32) -> Result<CardTiming, String> {
    AlsaCard::open(capture, playback, rate_hz).map(|card| card.timing()).map_err(|error| error.to_string())
}
