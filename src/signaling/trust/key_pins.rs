//! Servers that are known by their key (`core.pin`).

use rustls::{CertificateError, Error, OtherError};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{Judge, Shown};
use crate::config::KeyPin;

/// Trusts a server whose key is one of these. What else is needed is up to another judge, if there is one; otherwise
/// the key is enough: neither the name nor the dates of its certificate count, as in RFC 7671, section 5.1.
#[derive(Debug)]
pub(in crate::signaling) struct KeyPins {
    pub(in crate::signaling) pins: Vec<KeyPin>,
    pub(in crate::signaling) beside: Option<Box<dyn Judge>>,
}

/// The server has another key than `core.pin` says.
#[derive(Debug, thiserror::Error)]
#[error("the server's key is another one")]
pub(in crate::signaling) struct WrongKey;

impl Judge for KeyPins {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        if let Some(judge) = &self.beside {
            judge.judge(shown)?;
        }
        let pin = pin_of(shown.end_entity).ok_or(CertificateError::BadEncoding)?;
        match self.pins.contains(&pin) {
            true => Ok(()),
            false => Err(CertificateError::Other(OtherError(std::sync::Arc::new(WrongKey))).into()),
        }
    }
}

/// The hash of a certificate's public key; `None` if it is not a certificate.
pub(super) fn pin_of(certificate: &[u8]) -> Option<KeyPin> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let hash = ring::digest::digest(&ring::digest::SHA256, parsed.public_key().raw);
    hash.as_ref().try_into().ok().map(KeyPin)
}
