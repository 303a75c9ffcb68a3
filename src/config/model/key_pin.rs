//! The hash of a server's public key.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The SHA-256 hash of a SubjectPublicKeyInfo (RFC 5280, section 4.1), as text `sha256/BASE64` (RFC 7469, section 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPin(pub [u8; 32]);

/// Why a text is not the hash of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the hash of a key")]
pub struct KeyPinError;

impl FromStr for KeyPin {
    type Err = KeyPinError;

    fn from_str(text: &str) -> Result<Self, KeyPinError> {
        let encoded = text.strip_prefix("sha256/").ok_or(KeyPinError)?;
        let hash = STANDARD.decode(encoded).map_err(|_| KeyPinError)?;
        hash.try_into().map(Self).map_err(|_| KeyPinError)
    }
}

impl fmt::Display for KeyPin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256/{}", STANDARD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_hash_is_read_and_shown() {
        let text = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(text.parse::<KeyPin>().map(|pin| pin.to_string()).as_deref(), Ok(text));
        for wrong in ["", "sha256/", "sha1/47DE", "sha256/47DEQpj8HBSa", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]
        {
            assert_eq!(wrong.parse::<KeyPin>(), Err(KeyPinError), "{wrong}");
        }
    }
}
