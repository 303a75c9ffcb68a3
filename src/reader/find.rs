//! Finds the input device of a reader.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use evdev::{BusType, Device, KeyCode};

use crate::config::InputDevice;
use crate::plain_text::shortened;

/// Where the kernel's input devices are.
const FOLDER: &str = "/dev/input";

/// A device that is grabbed.
pub(super) struct Found {
    pub(super) device: Device,
    pub(super) path: PathBuf,
}

/// An input device with keys, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct DescribedDevice {
    pub path: String,
    pub name: String,
    /// `usb:VENDOR:PRODUCT`, if it is a USB device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb: Option<String>,
}

/// Opens and grabs a device. The error is a message for people.
pub(super) fn open(wanted: &InputDevice) -> Result<Found, String> {
    let (mut device, path) = match wanted {
        InputDevice::Path(path) => (open_path(path)?, path.clone()),
        InputDevice::Usb { .. } | InputDevice::Name(_) => search(wanted)?,
    };
    device.grab().map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::BUSY.raw_os_error() => {
            format!("{} is held by another program, which must give it up", path.display())
        }
        _ => format!("{} cannot be grabbed: {error}", path.display()),
    })?;
    Ok(Found { device, path })
}

fn open_path(path: &Path) -> Result<Device, String> {
    Device::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("{} is not plugged in", path.display()),
        ErrorKind::PermissionDenied => format!(
            "{} may not be opened by this user: add it to the group input (`usermod -aG input callbox`)",
            path.display()
        ),
        _ => format!("{} cannot be opened: {error}", path.display()),
    })
}

/// Of the devices that fit, the first one with digits: a keypad often has a second one for its media keys.
fn search(wanted: &InputDevice) -> Result<(Device, PathBuf), String> {
    let mut refused = None;
    for path in event_paths() {
        match open_path(&path) {
            Ok(device) if fits(&device, wanted) && has_digits(&device) => return Ok((device, path)),
            Ok(_) => {}
            Err(problem) => refused = Some(problem),
        }
    }
    let hint = refused.map(|problem| format!("; {problem}")).unwrap_or_default();
    Err(format!("{} is not plugged in{hint}", shortened(&wanted.to_string())))
}

fn fits(device: &Device, wanted: &InputDevice) -> bool {
    let id = device.input_id();
    match wanted {
        InputDevice::Usb { vendor, product } => {
            id.bus_type() == BusType::BUS_USB && (id.vendor(), id.product()) == (*vendor, *product)
        }
        InputDevice::Name(name) => device.name() == Some(name.as_str()),
        InputDevice::Path(_) => false,
    }
}

fn has_digits(device: &Device) -> bool {
    const ONE: [KeyCode; 3] = [KeyCode::KEY_1, KeyCode::KEY_KP1, KeyCode::KEY_NUMERIC_1];
    device.supported_keys().is_some_and(|keys| ONE.iter().any(|key| keys.contains(*key)))
}

/// The event devices, in the order of their numbers.
fn event_paths() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("event")?.parse::<u32>().ok();
    let mut paths: Vec<(u32, PathBuf)> =
        entries.map(|entry| entry.path()).filter_map(|path| Some((number(&path)?, path))).collect();
    paths.sort();
    paths.into_iter().map(|(_, path)| path).collect()
}

/// The input devices that can be readers.
pub fn devices() -> Vec<DescribedDevice> {
    let described = event_paths().into_iter().filter_map(|path| {
        let device = Device::open(&path).ok().filter(has_digits)?;
        let id = device.input_id();
        let usb = (id.bus_type() == BusType::BUS_USB).then(|| format!("usb:{:04x}:{:04x}", id.vendor(), id.product()));
        let name = shortened(device.name().unwrap_or_default());
        Some(DescribedDevice { path: path.display().to_string(), name, usb })
    });
    described.collect()
}
