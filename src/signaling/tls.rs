//! The TLS client configuration: the platform's roots or pinned certificates, and a client certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, ConfigBuilder};

use super::trust::{
    self, AnyOf, Judge, KeyPins, Library, PinnedCertificates, PresentedCertificate, Refusal, Verifier, Witness,
    WrongKey,
};
use crate::config::ServerTrust;

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
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Makes a client configuration that trusts the telephony server as the configuration says.
///
/// # Errors
///
/// A file cannot be used, or the platform has no root certificates.
pub fn client_config(
    trust: &ServerTrust,
    client_certificate: Option<&(PathBuf, PathBuf)>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let ca_file = trust.ca_file.as_ref().map(|path| pinned(path, &provider)).transpose()?;
    let judge = match (ca_file, trust.pins.is_empty()) {
        (beside, false) => Box::new(KeyPins { pins: trust.pins.clone(), beside }),
        (Some(ca_file), true) => ca_file,
        (None, true) => platform(&provider)?,
    };
    let builder = builder(judge, &provider)?;
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
    let ca_file = ca_file.map(|path| pinned(path, &provider)).transpose()?;
    // A machine without roots can still have a `ca_file`.
    let judges = ca_file.into_iter().chain(platform(&provider).ok()).collect();
    Ok(Arc::new(builder(Box::new(AnyOf(judges)), &provider)?.with_no_client_auth()))
}

/// Makes a client configuration whose connections all fail, after the witness has seen what the server shows.
pub(super) fn witness_config(witness: &Arc<Witness>) -> Result<Arc<ClientConfig>, TlsError> {
    let judge = Box::new(Arc::clone(witness));
    Ok(Arc::new(builder(judge, &provider())?.with_no_client_auth()))
}

/// A configuration that trusts what this judge trusts (docs/workarounds.md, "rustls: two providers panic").
fn builder(
    judge: Box<dyn Judge>,
    provider: &Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| TlsError::Setup)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Verifier::new(judge, provider)))
}

/// The platform's roots.
fn platform(provider: &Arc<CryptoProvider>) -> Result<Box<dyn Judge>, TlsError> {
    let platform = rustls_platform_verifier::Verifier::new(Arc::clone(provider)).map_err(|_| TlsError::Setup)?;
    Ok(Box::new(Library(Arc::new(platform))))
}

/// The certificates of a `ca_file`.
fn pinned(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Box<dyn Judge>, TlsError> {
    match PinnedCertificates::new(certificates(path)?, provider) {
        Ok(pinned) => Ok(Box::new(pinned)),
        Err(error) => Err(TlsError::File { path: path.to_owned(), problem: error.to_string() }),
    }
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

/// Whose certificate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerRole {
    Core,
    /// A TURN server. Its address is from the telephony server, or from `media.ice_servers`.
    Turn,
    /// The MQTT broker.
    Broker,
    /// What receives the requests of a `[[hook]]`.
    Receiver,
}

impl ServerRole {
    /// What has the address of the server.
    fn address(self) -> &'static str {
        match self {
            Self::Core => "core.url",
            Self::Turn => "the address of the TURN server",
            Self::Broker => "control.mqtt_url",
            Self::Receiver => "url of the hook",
        }
    }

    /// What to do about a certificate of an unknown CA.
    fn unknown_ca_remedy(self) -> &'static str {
        match self {
            Self::Core => "core.ca_file is needed; `callbox login --trust` shows and saves the certificate",
            Self::Turn | Self::Receiver => "its CA must be in core.ca_file, or trusted by this machine",
            Self::Broker => "its CA must be in control.mqtt_ca_file",
        }
    }
}

/// The words for an error of TLS; `None` if the error is another one.
pub(crate) fn tls_message(error: &std::io::Error, role: ServerRole) -> Option<String> {
    certificate_problem(error, role).map(|problem| problem.message)
}

/// The problem with the certificate or with TLS, if `error` comes from TLS.
pub(super) fn certificate_problem(error: &std::io::Error, role: ServerRole) -> Option<CertificateProblem> {
    use CertificateError::{NotValidYet, NotValidYetContext};

    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let refusal = refusal(error);
    let not_yet_valid =
        refusal.is_some_and(|refusal| matches!(refusal.problem, NotValidYet | NotValidYetContext { .. }));
    let message = match refusal {
        Some(refusal) => certificate_message(refusal, role),
        None => message_of(error, role),
    };
    // docs/workarounds.md, "libraries: error texts are for programmers".
    tracing::debug!(%error, "TLS");
    Some(CertificateProblem { not_yet_valid, message })
}

/// The refusal of our own verifier, if the error is one.
fn refusal(error: &rustls::Error) -> Option<&Refusal> {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else { return None };
    other.0.downcast_ref()
}

fn message_of(error: &rustls::Error, role: ServerRole) -> String {
    use rustls::{AlertDescription as Alert, Error};
    let message = match error {
        Error::AlertReceived(Alert::CertificateRequired | Alert::BadCertificate | Alert::CertificateUnknown) => {
            "the server demands a client certificate, or another one: set core.client_cert_file and client_key_file"
        }
        Error::AlertReceived(
            Alert::UnknownCA | Alert::AccessDenied | Alert::CertificateExpired | Alert::CertificateRevoked,
        ) => "the server does not accept the client certificate (core.client_cert_file)",
        Error::AlertReceived(Alert::UnrecognisedName) => {
            return format!("the server does not know the name in {}", role.address());
        }
        Error::AlertReceived(Alert::ProtocolVersion) | Error::PeerIncompatible(_) => {
            "the server offers no TLS 1.2 or 1.3 that this station supports: allow TLS 1.2 there, or update the server"
        }
        Error::AlertReceived(Alert::HandshakeFailure) => {
            "the server refused TLS: a client certificate may be needed, or the server supports other ciphers only"
        }
        Error::AlertReceived(_) => "the server refused TLS: a client certificate may be needed",
        Error::InvalidMessage(_) => {
            return match role {
                ServerRole::Core => {
                    "what answers there does not speak TLS: core.url has the wrong port, or should begin with http"
                }
                ServerRole::Turn => "what answers there does not speak TLS: the TURN server has another port for TLS",
                ServerRole::Broker => {
                    "what answers there does not speak TLS: the broker has another port for TLS (8883)"
                }
                ServerRole::Receiver => "what answers there does not speak TLS: the hook's url has the wrong port",
            }
            .to_owned();
        }
        Error::NoCertificatesPresented => "the server showed no certificate",
        _ => "TLS with the server failed; the log has details at level debug",
    };
    message.into()
}

/// Why the server's certificate is refused, with what it says and what to do.
fn certificate_message(refusal: &Refusal, role: ServerRole) -> String {
    let presented = refusal.presented.as_ref();
    let message = match &refusal.problem {
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            let from = presented.map(|one| format!(" before {}", one.not_before)).unwrap_or_default();
            return format!("the server's certificate is not valid yet{from}: the clock may be wrong");
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let since = presented.map(|one| format!(", on {}", one.not_after)).unwrap_or_default();
            return format!("the server's certificate has expired{since}: renew it there, or the clock is wrong");
        }
        // `BadSignature` means a CA of the same name with another key, which is also an unknown CA
        // (docs/workarounds.md, "rustls: the reason of a refusal is hidden").
        CertificateError::UnknownIssuer | CertificateError::BadSignature if !refusal.may_be_ours => {
            return stranger_message(presented, role);
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            let whose = presented.map(|one| format!(" ({}), of {}", one.issuer, one.subject)).unwrap_or_default();
            return format!(
                "the server's certificate is from an unknown CA{whose}: a captive portal, or {}",
                role.unknown_ca_remedy()
            );
        }
        CertificateError::NotValidForNameContext { presented: names, .. } if names.is_empty() => {
            "the server's certificate names no server (subjectAltName): make a new one with \
             -addext subjectAltName=DNS:NAME, or IP:ADDRESS"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let names = presented.map(|one| format!(" ({})", one.names.join(", "))).unwrap_or_default();
            return format!(
                "the server's certificate is for another name{names}: a captive portal, or {} is wrong",
                role.address()
            );
        }
        CertificateError::Revoked => "the server's certificate was revoked",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers (extended key usage)"
        }
        CertificateError::BadEncoding => "the server's certificate cannot be read",
        CertificateError::Other(other) if other.0.downcast_ref::<WrongKey>().is_some() => {
            let whose = presented.map(|one| format!(": {}", one.pin)).unwrap_or_default();
            return format!(
                "the server's key is not the one of core.pin{whose}: another server answers, or it has a new key; ask \
                 its administrator, then change core.pin"
            );
        }
        other if !refusal.may_be_ours && is_self_made(other) => return stranger_message(presented, role),
        other => {
            let message = webpki_message(other, presented);
            return message
                .unwrap_or_else(|| "the server's certificate is refused; the log has details at level debug".into());
        }
    };
    message.into()
}

/// Another server answers in place of ours. To trust its certificate would be the wrong advice.
fn stranger_message(presented: Option<&PresentedCertificate>, role: ServerRole) -> String {
    let names = presented.map(|one| format!(" ({})", one.names.join(", "))).unwrap_or_default();
    let issuer = presented.map(|one| format!(" ({})", one.issuer)).unwrap_or_default();
    format!(
        "another server answers: its certificate is for another name{names}, from an unknown CA{issuer}: usually a captive \
         portal of the network, which must let this device through; or {} is wrong",
        role.address()
    )
}

fn is_self_made(problem: &CertificateError) -> bool {
    let CertificateError::Other(other) = problem else { return false };
    matches!(other.0.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// A message for an error that rustls passes on from webpki, its library for certificates (docs/workarounds.md,
/// "rustls: the reason of a refusal is hidden").
fn webpki_message(problem: &CertificateError, presented: Option<&PresentedCertificate>) -> Option<String> {
    let CertificateError::Other(other) = problem else { return None };
    let problem = other.0.downcast_ref::<webpki::Error>()?;
    match problem {
        // It is somebody else's work, so it is no server's certificate at all.
        webpki::Error::CaUsedAsEndEntity if presented.is_some_and(|one| !one.is_self_signed()) => {
            let whose = presented.map(|one| format!(" ({}, of {})", one.subject, one.issuer)).unwrap_or_default();
            Some(format!(
                "the server shows the certificate of a CA in place of one of its own{whose}: make one for the server \
                 (basicConstraints CA:FALSE), or put that very certificate into core.ca_file; `callbox login --trust` \
                 shows and saves it"
            ))
        }
        webpki::Error::CaUsedAsEndEntity => {
            let whose = presented.map(|one| format!(": {}", one.subject)).unwrap_or_default();
            Some(format!(
                "the server made its certificate itself (self-signed{whose}): put that certificate into core.ca_file; \
                 `callbox login --trust` shows and saves it"
            ))
        }
        webpki::Error::UnsupportedCertVersion => Some(
            "the server's certificate is of X.509 version 1, which has no place for the server's name: make one of \
             version 3, with -addext subjectAltName=DNS:NAME"
                .into(),
        ),
        _ => None,
    }
}
