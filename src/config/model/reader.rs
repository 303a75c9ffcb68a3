//! `[[reader]]` and `[[code]]`: keypads, card readers, and what opens by them.

use std::path::PathBuf;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::action::Trigger;
use super::index::ReaderIndex;
use super::mode::{Conditions, Moment};
use super::number::NumberPattern;

/// A keypad or card reader that the kernel shows as an input device (docs/configuration.md, "`[[reader]]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reader {
    /// Unique among readers.
    pub name: String,
    pub device: InputDevice,
    pub kind: ReaderKind,
    /// Numbers that may be called by typing them.
    pub dial: Vec<NumberPattern>,
}

/// How an input device is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputDevice {
    Usb {
        vendor: u16,
        product: u16,
    },
    Path(PathBuf),
    /// The name that its driver gives it.
    Name(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaderKind {
    /// A person types.
    Keypad,
    /// A burst of digits, then Enter.
    Card,
}

/// A PIN or a card, and what it does (docs/configuration.md, "`[[code]]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Code {
    /// Whose it is.
    pub name: crate::secret::PersonName,
    /// Where it counts.
    pub readers: Vec<ReaderIndex>,
    /// The file with its hash.
    pub secret_file: PathBuf,
    pub conditions: Conditions,
    /// The last day on which it counts.
    pub valid_until: Option<Date>,
    pub run: Trigger,
}

impl Code {
    /// Whether it counts now. Without a clock, a code that ends does not.
    pub fn holds(&self, moment: Moment<'_>) -> bool {
        let today = moment.local.map(|local| local.date);
        let is_valid = self.valid_until.is_none_or(|last| today.is_some_and(|today| today <= last));
        is_valid && self.conditions.hold(moment)
    }
}

impl std::fmt::Display for InputDevice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usb { vendor, product } => write!(formatter, "usb:{vendor:04x}:{product:04x}"),
            Self::Path(path) => path.display().fmt(formatter),
            Self::Name(name) => write!(formatter, "the input device \"{name}\""),
        }
    }
}
