//! Finds chips and lines by number, name, label or path, and says why one of them cannot be used.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gpiocdev::Chip;

use super::board::{bcm_number, is_header_chip, raspberry_pi_model};
use super::consumer;
use crate::config::{GpioBackend, GpioConfig, PinName};

/// Why a pin cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    #[error("there is no GPIO chip on this machine (no /dev/gpiochip*)")]
    NoChips,
    #[error("there is no GPIO chip \"{chip}\"; there are: {known}")]
    NoChip {
        /// The name in the configuration.
        chip: String,
        /// The names and labels of the chips that exist.
        known: String,
    },
    #[error("{chip} has no line {offset}: its lines are 0 to {last}")]
    NoLine { chip: String, offset: u32, last: u32 },
    #[error("no line is called \"{0}\"; `callbox devices` lists the names")]
    NoName(String),
    #[error("{line} of {chip} is held by {by}; free it, or use another pin")]
    Held {
        chip: String,
        /// For example `line 17 (GPIO17)`.
        line: String,
        /// The consumer label of the holder.
        by: String,
    },
    #[error("{0} may not be opened by this user; the user must be in the group gpio (see docs/install.md)")]
    NotAllowed(PathBuf),
    /// Any other error of the kernel.
    #[error("{what}: {message}")]
    Kernel {
        /// The chip, or the line and its chip.
        what: String,
        message: String,
    },
}

/// The chip and the offset of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) chip: PathBuf,
    pub(super) offset: u32,
}

impl Place {
    pub(super) fn shown(&self) -> String {
        format!("line {} of {}", self.offset, self.chip.display())
    }

    pub(super) fn kernel(&self, error: &gpiocdev::Error) -> PinError {
        PinError::Kernel { what: self.shown(), message: error.to_string() }
    }
}

/// A chip, for `callbox devices`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChipDescription {
    /// For example `gpiochip0`. It may change when the chips appear in another order.
    pub name: String,
    /// What the chip is. It does not change.
    pub label: String,
    pub lines: Vec<LineDescription>,
    /// Why the chip cannot be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A line of a chip.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LineDescription {
    /// The number of the line on its chip.
    pub offset: u32,
    /// Empty if the board gives the line no name.
    pub name: String,
    /// The consumer label of the holder, or `the kernel` if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
}

/// All chips of the machine.
pub fn chips() -> Vec<ChipDescription> {
    paths().iter().map(|path| describe(path)).collect()
}

fn paths() -> Vec<PathBuf> {
    gpiocdev::chip::chips().unwrap_or_default()
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn describe(path: &Path) -> ChipDescription {
    let name = file_name(path);
    let chip = match open(path) {
        Ok(chip) => chip,
        Err(error) => {
            return ChipDescription { name, label: String::new(), lines: Vec::new(), problem: Some(error.to_string()) };
        }
    };
    let label = chip.info().map(|info| info.label).unwrap_or_default();
    let infos = chip.line_info_iter().into_iter().flatten().filter_map(Result::ok);
    let lines = infos
        .map(|info| LineDescription {
            offset: info.offset,
            held_by: info.used.then(|| if info.consumer.is_empty() { "the kernel".into() } else { info.consumer }),
            name: info.name,
        })
        .collect();
    ChipDescription { name, label, lines, problem: None }
}

fn open(path: &Path) -> Result<Chip, PinError> {
    // The error of the library does not distinguish a missing permission from other problems (docs/workarounds.md,
    // "gpiocdev: a refused permission is not told apart").
    if let Err(error) = std::fs::File::open(path)
        && error.kind() == ErrorKind::PermissionDenied
    {
        return Err(PinError::NotAllowed(path.to_owned()));
    }
    let message =
        |error: gpiocdev::Error| PinError::Kernel { what: path.display().to_string(), message: error.to_string() };
    Chip::from_path(path).map_err(message)
}

fn label(path: &Path) -> Option<String> {
    Some(open(path).ok()?.info().ok()?.label)
}

fn find_chip(gpio: &GpioConfig) -> Result<PathBuf, PinError> {
    let all = paths();
    let header = matches!(gpio.backend, GpioBackend::Auto | GpioBackend::Rppal) && gpio.chip.is_none();
    if header && raspberry_pi_model().is_some() {
        let found = all.iter().find(|path| label(path).is_some_and(|label| is_header_chip(&label)));
        // Another chip is never used instead, because its lines are not those of the header.
        return found.cloned().ok_or_else(|| no_chip(&all, "of the Raspberry Pi's header"));
    }
    let wanted = gpio.chip.as_deref().unwrap_or("gpiochip0");
    if wanted.starts_with('/') {
        let path = PathBuf::from(wanted);
        if path.exists() {
            return Ok(path);
        }
    }
    let named = all.iter().find(|path| file_name(path) == wanted);
    // docs/workarounds.md, "kernel: gpio chip numbers change".
    let labelled = || all.iter().find(|path| label(path).is_some_and(|label| label == wanted));
    named.or_else(labelled).cloned().ok_or_else(|| no_chip(&all, wanted))
}

fn no_chip(all: &[PathBuf], wanted: &str) -> PinError {
    if all.is_empty() {
        return PinError::NoChips;
    }
    // A chip that this user may not open may be the wanted one.
    let closed = all.iter().find_map(|path| open(path).err());
    if let Some(closed) = closed.filter(|error| matches!(error, PinError::NotAllowed(_))) {
        return closed;
    }
    let known: Vec<String> =
        all.iter().map(|path| format!("{} [{}]", file_name(path), label(path).unwrap_or_default())).collect();
    PinError::NoChip { chip: wanted.to_owned(), known: known.join(", ") }
}

/// Finds the line of a configured pin.
pub(super) fn find(gpio: &GpioConfig, pin: &PinName) -> Result<Place, PinError> {
    let path = find_chip(gpio)?;
    let chip = open(&path)?;
    let info = chip
        .info()
        .map_err(|error| PinError::Kernel { what: path.display().to_string(), message: error.to_string() })?;
    let offset = match pin {
        PinName::Offset(offset) => *offset,
        PinName::Name(name) => {
            if let Some(line) = chip.find_line_info(name) {
                line.offset
            } else if let Some(number) = bcm_number(name).filter(|_| is_header_chip(&info.label)) {
                number
            } else if let Some(found) = gpiocdev::find_named_line(name).filter(|_| gpio.chip.is_none()) {
                return Ok(Place { chip: found.chip, offset: found.info.offset });
            } else {
                return Err(PinError::NoName(name.clone()));
            }
        }
    };
    if offset >= info.num_lines {
        let chip = format!("{} [{}]", info.name, info.label);
        return Err(PinError::NoLine { chip, offset, last: info.num_lines.saturating_sub(1) });
    }
    Ok(Place { chip: path, offset })
}

/// An error that names the holder of a line, if the line is held.
pub(super) fn holder(place: &Place) -> Option<PinError> {
    let chip = open(&place.chip).ok()?;
    let info = chip.line_info(place.offset).ok().filter(|info| info.used)?;
    let line = if info.name.is_empty() {
        format!("line {}", info.offset)
    } else {
        format!("line {} ({})", info.offset, info.name)
    };
    let by = if info.consumer.is_empty() { "the kernel".to_owned() } else { format!("\"{}\"", info.consumer) };
    Some(PinError::Held { chip: file_name(&place.chip), line, by })
}

/// Checks, for `callbox check`, that the button, sensor or output of this name can use a pin. Does not touch the pin.
/// A line that a running daemon holds under this name is usable. Returns a description of the line.
///
/// # Errors
///
/// The line does not exist, may not be opened, or is held by another process.
pub fn inspect(gpio: &GpioConfig, pin: &PinName, name: &str) -> Result<String, PinError> {
    let place = find(gpio, pin)?;
    let chip = open(&place.chip)?;
    let info = chip.line_info(place.offset).map_err(|error| place.kernel(&error))?;
    let line_name = if info.name.is_empty() { String::new() } else { format!(" ({})", info.name) };
    let shown = format!("{} line {}{line_name}", file_name(&place.chip), place.offset);
    match holder(&place) {
        Some(_) if info.consumer == consumer(name) => Ok(format!("{shown}, in use by the running daemon")),
        Some(held) => Err(held),
        None => Ok(shown),
    }
}
