//! Names of sound devices: ALSA PCM names, and the identifiers of USB cards.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a sound device (`audio.capture`, `audio.playback`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PcmName {
    /// An ALSA PCM name, such as `default` or `plughw:CARD=Device`.
    Alsa(String),
    /// `usb:VENDOR:PRODUCT[:SERIAL]`. It names the same card after a reboot and in another USB socket.
    Usb(UsbCard),
}

/// The identifiers in a USB device's descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsbCard {
    /// `idVendor`
    pub vendor: u16,
    /// `idProduct`
    pub product: u16,
    /// `iSerial`, to tell two identical cards apart.
    pub serial: Option<String>,
}

/// Why a text is not the name of a sound device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PcmNameError {
    /// The text after `usb:` is wrong.
    #[error("\"{0}\" is not a USB card")]
    Usb(String),
    /// alsa-lib is a C library, and a C string ends at a NUL character.
    #[error("the name has a NUL character")]
    Nul,
}

impl std::str::FromStr for PcmName {
    type Err = PcmNameError;

    fn from_str(text: &str) -> Result<Self, PcmNameError> {
        if text.contains('\0') {
            return Err(PcmNameError::Nul);
        }
        let Some(rest) = text.strip_prefix("usb:") else { return Ok(Self::Alsa(text.to_owned())) };
        let mut parts = rest.splitn(3, ':');
        let mut id = || {
            let digits = parts.next().filter(|part| (1..=4).contains(&part.len()))?;
            u16::from_str_radix(digits, 16).ok()
        };
        let (vendor, product) = (id(), id());
        let serial = parts.next().map(str::to_owned);
        match (vendor, product) {
            (Some(vendor), Some(product)) if serial.as_deref() != Some("") => {
                Ok(Self::Usb(UsbCard { vendor, product, serial }))
            }
            _ => Err(PcmNameError::Usb(text.to_owned())),
        }
    }
}

impl fmt::Display for PcmName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alsa(name) => formatter.write_str(name),
            Self::Usb(card) => card.fmt(formatter),
        }
    }
}

impl fmt::Display for UsbCard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "usb:{:04x}:{:04x}", self.vendor, self.product)?;
        match &self.serial {
            Some(serial) => write!(formatter, ":{serial}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usb_card_is_named_by_what_it_says_of_itself() {
        for text in ["usb:0d8c:0014", "usb:0d8c:0014:A-1", "usb:0d8c:0014:with:colons"] {
            let name: PcmName = text.parse().unwrap();
            assert!(matches!(name, PcmName::Usb(_)), "{text}");
            assert_eq!(name.to_string(), text);
        }
        assert_eq!("plughw:CARD=A".parse(), Ok(PcmName::Alsa("plughw:CARD=A".into())));
    }

    #[test]
    fn half_a_usb_name_is_an_error() {
        for text in ["usb:", "usb:0d8c", "usb:0d8c:xyz", "usb:0d8c:00140", "usb:0d8c:0014:"] {
            assert_eq!(text.parse::<PcmName>(), Err(PcmNameError::Usb(text.into())));
        }
    }
}
