//! The TLS client configuration: the platform's roots or pinned certificates, and a client certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig};
use rustls_platform_verifier::{BuilderVerifierExt, Verifier};

use super::trust::{self, AnyOf, PinnedCertificates};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be used.
    #[error("{path} {problem}", path = path.display())]
    File {
        path: PathBuf,
        /// What is wrong with the file, and what to do about it.
        problem: String,
    },
    /// The platform has no root certificates.
    #[error("the machine trusts no CA at all; install ca-certificates, or set core.ca_file")]
    Setup,
}

/// The only crypto provider: ring (docs/workarounds.md, "rustls: two providers panic").
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Makes a client configuration that trusts the platform's roots, or, if there is a `ca_file`, only the certificates in
/// that file.
///
/// # Errors
///
/// A file cannot be used, or the platform has no root certificates.
pub fn client_config(
    ca_file: Option<&Path>,
    client_certificate: Option<&(PathBuf, PathBuf)>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let setup = |_: rustls::Error| TlsError::Setup;
    let provider = provider();
    // docs/workarounds.md, "rustls: two providers panic".
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(setup)?;
    let builder = match ca_file {
        Some(path) => builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned(path, &provider)?)),
        None => builder.with_platform_verifier().map_err(setup)?,
    };
    let mut config = match client_certificate {
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            if let Some(problem) = chain.first().and_then(trust::client_problem) {
                return Err(TlsError::File { path: certificate.clone(), problem });
            }
            builder.with_client_auth_cert(chain, private_key(key)?).map_err(|_| TlsError::File {
                path: key.clone(),
                problem: "is not the key of core.client_cert_file; name the one that belongs to it".into(),
            })?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Makes a client configuration for TURN over TLS. It trusts the platform's roots and, beside them, the certificates in
/// a `ca_file`.
///
/// # Errors
///
/// The file cannot be used.
pub fn turn_client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let mut verifiers: Vec<Arc<dyn ServerCertVerifier>> = Vec::new();
    if let Some(path) = ca_file {
        verifiers.push(Arc::new(pinned(path, &provider)?));
    }
    // A machine without roots can still have a `ca_file`.
    verifiers.extend(Verifier::new(Arc::clone(&provider)).ok().map(|platform| Arc::new(platform) as _));
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyOf::new(verifiers, &provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn pinned(path: &Path, provider: &Arc<rustls::crypto::CryptoProvider>) -> Result<PinnedCertificates, TlsError> {
    PinnedCertificates::new(certificates(path)?, provider)
        .map_err(|error| TlsError::File { path: path.to_owned(), problem: error.to_string() })
}

/// Reads all certificates of a PEM file. There is at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |problem: String| TlsError::File { path: path.to_owned(), problem };
    let pem = read_pem(path, "x509")?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| error("is damaged: one of its lines is not PEM; copy it again".into()))?;
    if found.is_empty() {
        return Err(error(other_content(&pem, "certificate")));
    }
    Ok(found)
}

/// Reads the private key of a PEM file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read_pem(path, "pkey")?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| TlsError::File { path: path.to_owned(), problem: other_content(&pem, "private key") })
}

/// The largest file that is read. A key with its chain takes a few kilobytes, and the roots of a whole platform take a
/// few hundred.
const MAX_PEM_BYTES: u64 = 4 * 1024 * 1024;
const UTF8_BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Reads a file that should be PEM (RFC 7468), without the byte order mark that some editors write at the start
/// (docs/workarounds.md, "rustls: its pem reader is strict").
///
/// `command` is the openssl command that converts such a file from DER to PEM, for a remedy.
fn read_pem(path: &Path, command: &str) -> Result<Vec<u8>, TlsError> {
    let error = |problem: String| TlsError::File { path: path.to_owned(), problem };
    let unreadable =
        |problem: std::io::Error| error(format!("{problem}; name a PEM file that the daemon's user can read"));
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(error("is not a file; name a PEM file".into()));
    }
    if metadata.len() > MAX_PEM_BYTES {
        return Err(error("is too long; name a PEM file that holds only what is needed".into()));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let bytes = bytes.strip_prefix(UTF8_BYTE_ORDER_MARK).map(<[u8]>::to_vec).unwrap_or(bytes);
    let shown = path.display();
    match bytes.as_slice() {
        [] => Err(error("is empty; name a PEM file".into())),
        [0x30, 0x80..=0x84, rest @ ..] => {
            // PKCS #7 begins with its object identifier (RFC 2315, section 14), and PKCS #12 with the version number 3
            // (RFC 7292, section 4).
            const PKCS7: [u8; 11] = [0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02];
            let head = rest.get(..16.min(rest.len())).unwrap_or_default();
            let (kind, arguments) = match head {
                head if head.windows(PKCS7.len()).any(|window| window == PKCS7) => {
                    ("holds PKCS #7", "pkcs7 -inform der -print_certs")
                }
                [_, _, 0x02, 0x01, 0x03, ..] | [0x02, 0x01, 0x03, ..] => ("holds PKCS #12", "pkcs12 -nodes"),
                _ if command == "pkey" => ("is in DER form", "pkey -inform der"),
                _ => ("is in DER form", "x509 -inform der"),
            };
            Err(error(format!("{kind}; convert it to PEM: openssl {arguments} -in {shown} -out NEW.pem")))
        }
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
            Err(error("is in UTF-16; save it as plain text (ASCII or UTF-8)".into()))
        }
        // Some tools indent PEM, or write the older label `X509 CERTIFICATE`.
        _ => match String::from_utf8(bytes) {
            Ok(text) => {
                let lines = text.lines().map(|line| line.trim().replace("X509 CERTIFICATE-----", "CERTIFICATE-----"));
                Ok(lines.collect::<Vec<_>>().join("\n").into_bytes())
            }
            // Text around the PEM may be in any encoding.
            Err(other) => Ok(other.into_bytes()),
        },
    }
}

/// What a PEM file holds instead of what is wanted, with a remedy.
fn other_content(pem: &[u8], wanted: &str) -> String {
    let text = String::from_utf8_lossy(pem);
    let label = text.lines().find_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    match label {
        Some("ENCRYPTED PRIVATE KEY") => {
            "holds a private key with a passphrase; remove the passphrase: openssl pkey -in KEY -out KEY.pem".into()
        }
        Some("TRUSTED CERTIFICATE") => {
            "holds a certificate in a format of OpenSSL's own; convert it: openssl x509 -in FILE -out NEW.pem".into()
        }
        Some("PKCS7") => {
            "holds PKCS #7; convert it to PEM: openssl pkcs7 -print_certs -in FILE -out certificate.pem".into()
        }
        Some(label) => {
            let label = crate::plain_text::shortened(&label.to_lowercase());
            format!("holds no {wanted}, but: {label}; name the file with the {wanted}")
        }
        None => {
            format!("holds no {wanted}: there is no line -----BEGIN {}-----; name a PEM file", wanted.to_uppercase())
        }
    }
}

/// What is wrong with the server's certificate, or with TLS.
pub(super) struct CertificateProblem {
    /// The certificate is not valid yet according to our clock. The clock may be wrong.
    pub(super) not_yet_valid: bool,
    /// A message with a remedy.
    pub(super) message: String,
}

/// The problem with the certificate or with TLS, if `error` comes from TLS.
pub(super) fn certificate_problem(error: &std::io::Error) -> Option<CertificateProblem> {
    use CertificateError::{NotValidYet, NotValidYetContext};

    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let not_yet_valid = matches!(error, rustls::Error::InvalidCertificate(NotValidYet | NotValidYetContext { .. }));
    Some(CertificateProblem { not_yet_valid, message: message_of(error) })
}

fn message_of(error: &rustls::Error) -> String {
    use rustls::{AlertDescription as Alert, Error};
    // docs/workarounds.md, "libraries: error texts are for programmers".
    tracing::debug!(%error, "TLS");
    let message = match error {
        Error::InvalidCertificate(problem) => return certificate_message(problem),
        Error::AlertReceived(Alert::CertificateRequired | Alert::BadCertificate | Alert::CertificateUnknown) => {
            "the server demands a client certificate, or another one: set core.client_cert_file and client_key_file"
        }
        Error::AlertReceived(
            Alert::UnknownCA | Alert::AccessDenied | Alert::CertificateExpired | Alert::CertificateRevoked,
        ) => "the server does not accept the client certificate (core.client_cert_file)",
        Error::AlertReceived(Alert::UnrecognisedName) => "the server does not know the name in core.url",
        Error::AlertReceived(Alert::ProtocolVersion) | Error::PeerIncompatible(_) => {
            "the server offers no TLS 1.2 or 1.3 that this station supports"
        }
        Error::AlertReceived(Alert::HandshakeFailure) => {
            "the server refused TLS: a client certificate may be needed, or the server supports other ciphers only"
        }
        Error::AlertReceived(_) => "the server refused TLS: a client certificate may be needed",
        Error::InvalidMessage(_) => {
            "what answers there does not speak TLS: core.url has the wrong port, or should begin with http"
        }
        Error::NoCertificatesPresented => "the server showed no certificate",
        _ => "TLS with the server failed; the log has details at level debug",
    };
    message.into()
}

fn certificate_message(problem: &CertificateError) -> String {
    let message = match problem {
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: the clock may be wrong"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired, or the clock is wrong"
        }
        // `BadSignature` means a CA of the same name with another key, which is also an unknown CA
        // (docs/workarounds.md, "rustls: the reason of a refusal is hidden").
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is from an unknown CA: a captive portal, or core.ca_file is needed"
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "the server's certificate names no server (subjectAltName): make a new one with \
             -addext subjectAltName=DNS:NAME, or IP:ADDRESS"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name: a captive portal, or core.url is wrong"
        }
        CertificateError::Revoked => "the server's certificate was revoked",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers (extended key usage)"
        }
        CertificateError::BadEncoding => "the server's certificate cannot be read",
        other => {
            webpki_message(other).unwrap_or("the server's certificate is refused; the log has details at level debug")
        }
    };
    message.into()
}

/// A message for an error that rustls passes on from webpki, its library for certificates (docs/workarounds.md,
/// "rustls: the reason of a refusal is hidden").
fn webpki_message(problem: &CertificateError) -> Option<&'static str> {
    let CertificateError::Other(other) = problem else { return None };
    let problem = other.0.downcast_ref::<webpki::Error>()?;
    match problem {
        webpki::Error::CaUsedAsEndEntity => {
            Some("the server made its certificate itself (self-signed): put that certificate into core.ca_file")
        }
        webpki::Error::UnsupportedCertVersion => Some(
            "the server's certificate is of X.509 version 1, which has no place for the server's name: make one of \
             version 3, with -addext subjectAltName=DNS:NAME",
        ),
        _ => None,
    }
}
