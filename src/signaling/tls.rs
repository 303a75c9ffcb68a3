//! One TLS client configuration: the platform's roots or a pinned CA, and a client certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be used.
    #[error("{path}: {problem}; name a PEM file that the daemon's user can read", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The platform has no roots, or rustls refused the configuration.
    #[error("TLS cannot be set up: {0}; install ca-certificates, or set core.ca_file")]
    Setup(String),
}

/// The crypto provider: ring, and nothing else.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A client configuration with the platform's roots, or `ca_file` alone.
pub fn client_config(
    ca_file: Option<&Path>,
    client_certificate: Option<&(PathBuf, PathBuf)>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(setup)?;
    let builder = match ca_file {
        Some(path) => builder.with_root_certificates(pinned_roots(path)?),
        None => builder.with_platform_verifier().map_err(setup)?,
    };
    let mut config = match client_certificate {
        Some((certificate, key)) => {
            builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?).map_err(setup)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn pinned_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::File { path: path.to_owned(), problem: error.to_string() })?;
    }
    Ok(roots)
}

/// All certificates of a PEM file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |problem: String| TlsError::File { path: path.to_owned(), problem };
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|problem| error(problem.to_string()))?;
    if found.is_empty() {
        return Err(error("holds no certificate".into()));
    }
    Ok(found)
}

/// The private key of a PEM file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| TlsError::File { path: path.to_owned(), problem: error.to_string() })
}

/// What is wrong with the server's certificate.
pub(super) struct CertificateProblem {
    /// By our clock its time has not come: the clock may be wrong.
    pub(super) not_yet_valid: bool,
    /// In words, with a remedy.
    pub(super) words: String,
}

/// What is wrong with the server's certificate, if that is what went wrong.
pub(super) fn certificate_problem(error: &std::io::Error) -> Option<CertificateProblem> {
    use CertificateError::{NotValidYet, NotValidYetContext};

    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let not_yet_valid = matches!(error, rustls::Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }));
    Some(CertificateProblem { not_yet_valid, words: words_of(error) })
}

fn words_of(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet: the clock may be wrong".into()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired, or the clock is wrong".into()
            }
            // A CA of the same name with another key is unknown too.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the server's certificate is of an unknown CA: a captive portal, or core.ca_file is needed".into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another name: a captive portal, or core.url is wrong".into()
            }
            other => format!("the server's certificate is refused: {other}"),
        },
        rustls::Error::AlertReceived(alert) => {
            format!("the server refused TLS ({alert:?}): a client certificate may be needed")
        }
        other => format!("TLS failed: {other}"),
    }
}
