//! Records inputs, and returns them as one dump.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::redact::Redaction;
use super::redactor::Redactor;
use crate::core::{Input, LocalTime, Now, Station, Time};

/// Inputs are kept for at least this time, unless there are too many of them.
const REACH: Duration = Duration::from_secs(600);
/// Each piece begins with a copy of the state and is at most this long. Old inputs are dropped by whole pieces.
const PIECE: Duration = Duration::from_secs(120);
/// A piece with this many inputs is full.
const PIECE_INPUTS: usize = 512;
/// A piece whose inputs have this size is full.
const PIECE_BYTES: usize = 32 * 1024;
/// The largest number of pieces, however short they are. It limits the size of the whole.
const MAX_PIECES: usize = 16;

/// One input with its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub at: Time,
    /// `None` if the clock was not set.
    pub local: Option<LocalTime>,
    pub input: Input,
}

impl Entry {
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

/// A ring of the inputs of the last minutes.
#[derive(Debug, Default)]
pub struct Recorder {
    pieces: VecDeque<Piece>,
}

impl Recorder {
    /// Records an input, before the station handles it.
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

    /// The number of inputs.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.inputs.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Returns everything that is recorded; `None` before the first input.
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

/// The approximate size of an input in bytes: the length of its text, and its fixed part.
fn weight(input: &Input) -> usize {
    size_of::<Entry>() + serde_json::to_string(input).map_or(0, |text| text.len())
}

/// A recording that can be written to a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dump {
    /// The version of callbox that made the recording. Another version may decide differently.
    pub version: String,
    /// Numbers, codes and descriptions have been replaced.
    pub redacted: bool,
    /// The station before the first input, with its configuration.
    pub station: Box<Station>,
    pub inputs: Vec<Entry>,
}

impl Dump {
    /// Returns the recording as text. Tokens and passwords are always removed.
    ///
    /// With a seed, descriptions are removed too, and numbers and codes are replaced. Equal ones are replaced by equal
    /// ones, so the rules of the configuration still match. `seed` decides which digit stands for which, and must be
    /// forgotten afterwards.
    ///
    /// # Errors
    ///
    /// An error of serde_json. No input is known to cause one.
    pub fn to_text(&self, seed: Option<u64>) -> Result<String, serde_json::Error> {
        let redaction = seed.map_or(Redaction::Credentials, Redaction::all);
        let dump = Self { redacted: seed.is_some(), ..self.clone() };
        let value = dump.serialize(Redactor::new(&redaction))?;
        serde_json::to_string(&value)
    }

    /// Reads a text that [`Dump::to_text`] has made.
    ///
    /// # Errors
    ///
    /// The text is not a dump, or it was made by a version with another kind of state.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}
