//! Records inputs, and gives them out as one file.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::redact::Redaction;
use super::redactor::Redactor;
use crate::core::{Input, LocalTime, Now, Station, Time};

/// How far back it reaches.
const REACH: Duration = Duration::from_secs(600);
/// The state is noted so often; what is older than the reach goes as one piece.
const PIECE: Duration = Duration::from_secs(120);
/// A flood of inputs ends a piece early.
const PIECE_INPUTS: usize = 512;
/// And so does a flood of long ones.
const PIECE_BYTES: usize = 32 * 1024;
/// Pieces, whatever their reach: the bound of the whole.
const MAX_PIECES: usize = 16;

/// One input with its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// Local time, where the clock was set.
    pub local: Option<LocalTime>,
    /// What.
    pub input: Input,
}

impl Entry {
    /// Both clocks.
    pub fn now(&self) -> Now {
        Now { at: self.at, local: self.local }
    }
}

#[derive(Debug)]
struct Piece {
    before: Box<Station>,
    began: Time,
    inputs: Vec<Entry>,
    bytes: usize,
}

/// The ring of the last minutes.
#[derive(Debug, Default)]
pub struct Recorder {
    pieces: VecDeque<Piece>,
}

impl Recorder {
    /// Notes an input, before the station takes it.
    pub fn record(&mut self, station: &Station, now: Now, input: &Input) {
        let full = self.pieces.back().is_none_or(|piece| {
            now.at.since(piece.began) >= PIECE || piece.inputs.len() >= PIECE_INPUTS || piece.bytes >= PIECE_BYTES
        });
        if full {
            self.drop_old(now.at);
            let before = Box::new(station.clone());
            self.pieces.push_back(Piece { before, began: now.at, inputs: Vec::new(), bytes: 0 });
        }
        if let Some(piece) = self.pieces.back_mut() {
            piece.bytes += weight(input);
            piece.inputs.push(Entry { at: now.at, local: now.local, input: input.clone() });
        }
    }

    fn drop_old(&mut self, now: Time) {
        while self.pieces.len() >= MAX_PIECES
            || self.pieces.get(1).is_some_and(|second| now.since(second.began) >= REACH)
        {
            self.pieces.pop_front();
        }
    }

    /// How many inputs it holds.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.inputs.len()).sum()
    }

    /// Nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Everything that it holds; `None` before the first input.
    pub fn dump(&self) -> Option<Dump> {
        let first = self.pieces.front()?;
        Some(Dump {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            redacted: false,
            station: first.before.clone(),
            inputs: self.pieces.iter().flat_map(|piece| piece.inputs.iter().cloned()).collect(),
        })
    }
}

/// About how many bytes an input holds: as many as its text, and its fixed part.
fn weight(input: &Input) -> usize {
    size_of::<Entry>() + serde_json::to_string(input).map_or(0, |text| text.len())
}

/// A recording, ready to be written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dump {
    /// The callbox that recorded it; another one may decide differently.
    pub version: String,
    /// Numbers, codes and descriptions have been replaced.
    pub redacted: bool,
    /// The station before the first input, its configuration included.
    pub station: Box<Station>,
    /// What it was given.
    pub inputs: Vec<Entry>,
}

impl Dump {
    /// As text without secrets: numbers and codes are replaced by others, alike ones by the same, so
    /// that the rules of the configuration still match; descriptions go. Without a seed everything
    /// stays but tokens and passwords. `seed` decides
    /// which digit stands for which, and must be forgotten.
    ///
    /// # Errors
    ///
    /// What serde_json says; no input leads there.
    pub fn to_text(&self, seed: Option<u64>) -> Result<String, serde_json::Error> {
        let redaction = seed.map_or(Redaction::Credentials, Redaction::all);
        let dump = Self { redacted: seed.is_some(), ..self.clone() };
        let value = dump.serialize(Redactor { redaction: &redaction, field: "" })?;
        serde_json::to_string(&value)
    }

    /// Reads what [`Dump::to_text`] has written.
    ///
    /// # Errors
    ///
    /// The text is no dump, or one of a version whose state looks different.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}
