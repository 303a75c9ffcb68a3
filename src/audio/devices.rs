//! Lists the sound hardware, for `callbox devices`.

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
    /// The number of the card, which depends on the order in which cards are plugged in.
    pub index: i32,
    /// The id of the card, which is stable in `hw:CARD=…`.
    pub id: String,
    pub name: String,
    /// `usb:VENDOR:PRODUCT[:SERIAL]`: the name of the card in any USB socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb: Option<String>,
    /// The mixer control that `audio.volume` sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playback_control: Option<String>,
    /// The mixer control that `audio.capture_gain_db` sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture_control: Option<String>,
}

/// A PCM name that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PcmDescription {
    pub name: String,
    pub description: String,
    pub capture: bool,
    pub playback: bool,
    /// Why the PCM does not work now, if it was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// A remark about a PCM that works: its period is heard as a delay.
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

/// All PCM names in the configuration of alsa-lib.
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

/// Checks that a PCM delivers or takes sound for a tenth of a second. Call it in a separate process, because plug-ins
/// of alsa-lib are foreign code that may crash it (docs/workarounds.md, "alsa: plug-ins can crash the process").
///
/// # Errors
///
/// The reason why the PCM does not work.
pub fn try_pcm(name: &str, capture: bool) -> Result<CardTiming, String> {
    try_for_100_ms(name, if capture { Direction::Capture } else { Direction::Playback })
}

/// Opens a pair of PCMs and closes them again.
///
/// # Errors
///
/// The reason why they cannot be opened.
pub fn probe(capture: &PcmName, playback: &PcmName, rate_hz: u32) -> Result<CardTiming, String> {
    AlsaCard::open(capture, playback, rate_hz).map(|card| card.timing()).map_err(|error| error.to_string())
}
