//! What the station trusts because of `core.ca_file`: certificates that the file's CAs have signed, and the
//! certificates in the file themselves.
//!
//! A server at home often has a self-signed certificate. Such a certificate is a CA and the server's certificate at the
//! same time, which the usual rules refuse (RFC 5280, section 4.2.1.9; docs/workarounds.md, "webpki: a self-signed
//! server certificate is refused"). A person who puts it into `ca_file` has said which certificate the server must
//! have, so the whole certificate is compared; its name and dates are still checked.

use std::sync::Arc;

use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::{Judge, Library, Shown};

/// The certificates of a `ca_file`.
#[derive(Debug)]
pub(in crate::signaling) struct PinnedCertificates {
    /// All certificates of the file, to be compared as a whole.
    exactly: Vec<CertificateDer<'static>>,
    /// Verifies what the CAs among them have signed; `None` if none of them is a CA.
    signed: Option<Library>,
}

/// Why a certificate cannot be pinned.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::signaling) enum PinError {
    /// The certificate cannot be parsed.
    #[error("holds something that is not an X.509 certificate; copy it again")]
    NotX509,
    /// rustls refuses the certificate as a CA.
    #[error("holds a CA that cannot be used as one; name another")]
    BadCa,
    /// The TLS library supports none of the keys.
    #[error("holds a certificate with a key that cannot be used ({0}); make one with RSA of 2048 bits, P-256 or P-384")]
    BadKey(String),
}

impl PinnedCertificates {
    pub(in crate::signaling) fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, PinError> {
        let unusable: Vec<String> = certificates.iter().filter_map(unusable_key).collect();
        if let Some(key) = unusable.first().filter(|_| unusable.len() == certificates.len()) {
            return Err(PinError::BadKey(key.clone()));
        }
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| PinError::NotX509)?;
            // A certificate of version 1 cannot say whether it is a CA. A self-signed one counts as a CA
            // (docs/workarounds.md, "webpki: certificates of version 1 are refused").
            let is_ca = match parsed.version.0 {
                0 => parsed.issuer() == parsed.subject(),
                _ => parsed.is_ca(),
            };
            if is_ca {
                roots.add(certificate.clone()).map_err(|_| PinError::BadCa)?;
            }
        }
        let signed = match roots.is_empty() {
            true => None,
            false => {
                let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
                Some(Library(builder.build().map_err(|_| PinError::BadCa)?))
            }
        };
        Ok(Self { exactly: certificates, signed })
    }
}

/// The kind of the certificate's key if ring does not support it; `None` if ring supports it (docs/workarounds.md,
/// "ring: weak and unusual keys are refused").
fn unusable_key(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    match parsed.public_key().parsed().ok()? {
        PublicKey::RSA(key) if key.key_size() < 2048 => Some(format!("RSA of {} bits", key.key_size())),
        PublicKey::EC(point) if !matches!(point.key_size(), 256 | 384) => Some("neither P-256 nor P-384".to_owned()),
        PublicKey::DSA(_) => Some("DSA".to_owned()),
        _ => None,
    }
}

/// Why a certificate cannot be used as our client certificate; `None` if it can (docs/workarounds.md, "webpki:
/// certificates of version 1 are refused").
pub(in crate::signaling) fn client_problem(certificate: &CertificateDer<'static>) -> Option<String> {
    match X509Certificate::from_der(certificate) {
        Err(_) => Some("holds something that is not an X.509 certificate; copy it again".into()),
        Ok((_, parsed)) if parsed.version.0 == 0 => Some(
            "is a certificate of X.509 version 1, which TLS no longer accepts; get a certificate of version 3".into(),
        ),
        Ok(_) => None,
    }
}

/// Checks that the certificate is valid at this time.
fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now_s < validity.not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now_s > validity.not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

impl Judge for PinnedCertificates {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        if self.exactly.iter().any(|pinned| pinned == shown.end_entity) {
            check_dates(shown.end_entity, shown.now)?;
            return verify_server_name(&ParsedCertificate::try_from(shown.end_entity)?, shown.server_name);
        }
        self.signed.as_ref().ok_or(CertificateError::UnknownIssuer)?.judge(shown)
    }
}
