//! Which servers the station trusts, and why it refuses one.
//!
//! A [`Judge`] looks at what a server shows. [`Verifier`] makes one of them a verifier of the TLS library; when it
//! refuses, the error says what the server has shown, so that a person can compare it.

mod ca_file;
mod key_pins;
mod presented;

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

pub(super) use ca_file::{PinnedCertificates, client_problem};
pub(super) use key_pins::{KeyPins, WrongKey};
pub use presented::PresentedCertificate;

/// What a server shows in a TLS handshake.
pub(super) struct Shown<'a> {
    end_entity: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    server_name: &'a ServerName<'a>,
    ocsp_response: &'a [u8],
    now: UnixTime,
}

/// Decides whether to trust a server.
pub(super) trait Judge: std::fmt::Debug + Send + Sync {
    /// # Errors
    ///
    /// Why not.
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error>;
}

/// Any verifier of the TLS library.
#[derive(Debug)]
pub(super) struct Library(pub(super) Arc<dyn ServerCertVerifier>);

impl Judge for Library {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        let Shown { end_entity, intermediates, server_name, ocsp_response, now } = *shown;
        self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map(|_| ())
    }
}

/// Trusts what one of several judges trusts. Without a judge, nothing is trusted.
#[derive(Debug)]
pub(super) struct AnyOf(pub(super) Vec<Box<dyn Judge>>);

impl Judge for AnyOf {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        let mut refused = Err(CertificateError::UnknownIssuer.into());
        for judge in &self.0 {
            match judge.judge(shown) {
                Ok(()) => return Ok(()),
                // The first reason of a judge that knows the certificate says most.
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
                error if matches!(refused, Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))) => {
                    refused = error;
                }
                _ => {}
            }
        }
        refused
    }
}

/// Keeps what a server shows, and trusts nobody.
#[derive(Debug, Default)]
pub(super) struct Witness(Mutex<Option<CertificateDer<'static>>>);

impl Witness {
    /// The server's certificate, if a server has shown one.
    pub(super) fn take(&self) -> Option<CertificateDer<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Judge for Arc<Witness> {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown.end_entity.clone().into_owned());
        Err(CertificateError::ApplicationVerificationFailure.into())
    }
}

/// Why a certificate was refused, and what it was.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(super) struct Refusal {
    pub(super) problem: CertificateError,
    /// `None` if the certificate cannot be read.
    pub(super) presented: Option<PresentedCertificate>,
    /// The certificate is for the server that was asked for, or does not say for which one it is.
    pub(super) may_be_ours: bool,
}

fn is_for(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    ParsedCertificate::try_from(certificate).is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

/// A judge as the TLS library takes it.
#[derive(Debug)]
pub(super) struct Verifier {
    judge: Box<dyn Judge>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(judge: Box<dyn Judge>, provider: &CryptoProvider) -> Arc<Self> {
        Arc::new(Self { judge, algorithms: provider.signature_verification_algorithms })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Shown { end_entity, intermediates, server_name, ocsp_response, now };
        match self.judge.judge(&shown) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(Error::InvalidCertificate(problem)) => {
                let presented = PresentedCertificate::read(end_entity);
                let is_nameless = presented.as_ref().is_none_or(|presented| presented.names.is_empty());
                let may_be_ours = is_nameless || is_for(end_entity, server_name);
                let refusal = Refusal { problem, presented, may_be_ours };
                Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal)))))
            }
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
