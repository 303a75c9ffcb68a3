//! Finds a USB sound card by its USB ids (`/sys/class/sound`, sysfs-class-sound).

use std::path::{Path, PathBuf};

use crate::config::{PcmName, UsbCard};

use super::card::CardError;

const CLASS: &str = "/sys/class/sound";

/// A USB card that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plugged {
    /// The id in `hw:CARD=…`.
    pub(super) id: String,
    pub(super) usb: UsbCard,
}

/// The current ALSA name of a PCM. It is looked up at every opening, because it belongs to the card and not to the USB
/// socket (docs/workarounds.md, "kernel: card numbers change").
pub(super) fn alsa_name(name: &PcmName) -> Result<String, CardError> {
    match name {
        PcmName::Alsa(name) => Ok(name.clone()),
        PcmName::Usb(wanted) => find(&plugged(Path::new(CLASS)), wanted),
    }
}

/// All USB cards of the machine.
pub(super) fn usb_cards() -> Vec<Plugged> {
    plugged(Path::new(CLASS))
}

fn find(plugged: &[Plugged], wanted: &UsbCard) -> Result<String, CardError> {
    let fits = |card: &&Plugged| {
        (card.usb.vendor, card.usb.product) == (wanted.vendor, wanted.product)
            && (wanted.serial.is_none() || card.usb.serial == wanted.serial)
    };
    if let Some(card) = plugged.iter().find(fits) {
        // `plughw`, because a USB card may lack our rate and channels.
        return Ok(format!("plughw:CARD={},DEV=0", card.id));
    }
    let known: Vec<String> = plugged.iter().map(|card| card.usb.to_string()).collect();
    let known = if known.is_empty() { "none".into() } else { known.join(", ") };
    Err(CardError(format!("{wanted} is not plugged in; USB cards found: {known}")))
}

fn plugged(class: &Path) -> Vec<Plugged> {
    let Ok(entries) = std::fs::read_dir(class) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| look(path)).collect()
}

fn look(card: &Path) -> Option<Plugged> {
    let id = text(&card.join("id"))?;
    // `device` links to an interface of the USB device.
    let device = card.join("device").canonicalize().ok()?.parent()?.to_owned();
    let number = |file: &str| u16::from_str_radix(&text(&device.join(file))?, 16).ok();
    let usb =
        UsbCard { vendor: number("idVendor")?, product: number("idProduct")?, serial: text(&device.join("serial")) };
    Some(Plugged { id, usb })
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds sysfs as the kernel lays it out: a card is a link into its USB interface.
    fn plug(root: &Path, number: u32, socket: &str, id: &str, ids: (&str, &str), serial: Option<&str>) {
        let device = root.join("devices").join(socket);
        let card = device.join(format!("{socket}:1.0/sound/card{number}"));
        std::fs::create_dir_all(&card).unwrap();
        std::fs::write(device.join("idVendor"), format!("{}\n", ids.0)).unwrap();
        std::fs::write(device.join("idProduct"), format!("{}\n", ids.1)).unwrap();
        if let Some(serial) = serial {
            std::fs::write(device.join("serial"), format!("{serial}\n")).unwrap();
        }
        std::fs::write(card.join("id"), format!("{id}\n")).unwrap();
        std::os::unix::fs::symlink(device.join(format!("{socket}:1.0")), card.join("device")).unwrap();
        std::fs::create_dir_all(root.join("class")).unwrap();
        std::os::unix::fs::symlink(&card, root.join(format!("class/card{number}"))).unwrap();
    }

    fn name(root: &Path, text: &str) -> Result<String, CardError> {
        let Ok(PcmName::Usb(card)) = text.parse() else { panic!("{text}") };
        find(&plugged(&root.join("class")), &card)
    }

    #[test]
    fn a_card_is_found_by_its_ids_in_whatever_socket_and_order() {
        let root = tempfile::tempdir().unwrap();
        plug(root.path(), 0, "1-1.4", "Device", ("0d8c", "0014"), None);
        plug(root.path(), 1, "1-1.2", "Headset", ("046d", "0a44"), Some("A1"));
        plug(root.path(), 2, "1-1.3", "Headset_1", ("046d", "0a44"), Some("B2"));
        assert_eq!(name(root.path(), "usb:0d8c:0014"), Ok("plughw:CARD=Device,DEV=0".into()));
        assert_eq!(name(root.path(), "usb:046d:0a44:B2"), Ok("plughw:CARD=Headset_1,DEV=0".into()));
        let error = name(root.path(), "usb:1234:5678").unwrap_err().to_string();
        assert!(error.contains("usb:1234:5678 is not plugged in; USB cards found: usb:0d8c:0014, "), "{error}");
    }

    #[test]
    fn a_card_of_the_board_is_not_a_usb_card() {
        let root = tempfile::tempdir().unwrap();
        let card = root.path().join("class/card0");
        std::fs::create_dir_all(&card).unwrap();
        std::fs::write(card.join("id"), "vc4hdmi\n").unwrap();
        assert_eq!(plugged(&root.path().join("class")), []);
    }
}
