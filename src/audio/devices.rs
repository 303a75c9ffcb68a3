//! What sound hardware there is, for `callbox devices`.

use alsa::Direction;
use alsa::device_name::HintIter;

use super::alsa_card::AlsaCard;

/// A sound card.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CardDescription {
    /// Its number, which changes when cards are plugged in another order.
    pub index: i32,
    /// Its id, stable in `hw:CARD=…`.
    pub id: String,
    /// Its name.
    pub name: String,
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
}

/// All sound cards of the machine.
pub fn cards() -> Vec<CardDescription> {
    alsa::card::Iter::new()
        .filter_map(Result::ok)
        .filter_map(|card| {
            let control = alsa::Ctl::from_card(&card, true).ok()?;
            let info = control.card_info().ok()?;
            Some(CardDescription {
                index: card.get_index(),
                id: info.get_id().unwrap_or_default().to_owned(),
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
            Some(PcmDescription {
                name: hint.name?,
                description: hint.desc.unwrap_or_default().replace('\n', ", "),
                capture: direction != Some(Direction::Playback),
                playback: direction != Some(Direction::Capture),
            })
        })
        .collect()
}

/// Opens a pair of PCMs and closes them again.
pub fn probe(capture: &str, playback: &str, rate_hz: u32) -> Result<(), String> {
    AlsaCard::open(capture, playback, rate_hz).map(|_| ()).map_err(|error| error.to_string())
}
