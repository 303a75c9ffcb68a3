//! A certificate that a server has presented, as far as a person compares it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::key_pins::pin_of;
use crate::config::KeyPin;
use crate::plain_text::shortened;

/// Names of a certificate that are shown.
const MAX_NAMES: usize = 8;
/// Characters in a line of PEM (RFC 7468, section 2).
const PEM_LINE: usize = 64;

/// What a server's certificate says. All texts are the server's own words, without harmful characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedCertificate {
    pub subject: String,
    pub issuer: String,
    /// The server's names and addresses (`subjectAltName`).
    pub names: Vec<String>,
    /// The dates of its validity, in UTC.
    pub not_before: String,
    pub not_after: String,
    /// SHA-256 of the whole certificate, in hexadecimal.
    pub fingerprint: String,
    /// The hash of its key, for `core.pin`.
    pub pin: KeyPin,
    /// The certificate itself as PEM, for `core.ca_file`.
    pub pem: String,
}

impl PresentedCertificate {
    /// Reads a certificate; `None` if it is none.
    pub(crate) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.map(|names| names.value.general_names.iter().filter_map(name).take(MAX_NAMES).collect());
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let fingerprint: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        Some(Self {
            subject: shortened(&parsed.subject().to_string()),
            issuer: shortened(&parsed.issuer().to_string()),
            names: names.unwrap_or_default(),
            not_before: date(parsed.validity().not_before),
            not_after: date(parsed.validity().not_after),
            fingerprint: fingerprint.join(":"),
            pin: pin_of(certificate)?,
            pem: pem(certificate),
        })
    }

    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(shortened(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
            let v6 = <[u8; 16]>::try_from(*bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
            v4.or(v6).ok()
        }
        _ => None,
    }
}

fn date(time: ASN1Time) -> String {
    let at = jiff::Timestamp::from_second(time.timestamp());
    at.map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let mut lines = Vec::new();
    let mut rest = text.as_str();
    while let Some((line, after)) = rest.split_at_checked(PEM_LINE) {
        lines.push(line);
        rest = after;
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
