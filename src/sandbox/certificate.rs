//! The server's certificate: given, or of a CA that the sandbox makes once and keeps.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{ToSpan, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::signaling::{certificates, private_key, tls_provider};

/// Browsers take no longer life of a certificate whose CA was installed by hand.
const LEAF_DAYS: i64 = 800;
/// A certificate with less left is made anew.
const LEAF_MARGIN_DAYS: i64 = 60;
/// A CA that is installed on phones should outlive them.
const CA_DAYS: i64 = 3650;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CertificateError(String);

/// A certificate chain with its key.
pub struct ServerCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The CA's file, where it is of our making.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the CA, or of the given certificate.
    pub fingerprint: String,
}

impl ServerCertificate {
    /// The given files.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let chain = certificates(certificate).map_err(|error| CertificateError(error.to_string()))?;
        let key = private_key(key).map_err(|error| CertificateError(error.to_string()))?;
        let fingerprint = chain.first().map(|leaf| fingerprint(leaf)).unwrap_or_default();
        Ok(Self { chain, key, ca_file: None, fingerprint })
    }

    /// A certificate for these names and addresses, of the CA in `folder`; both are made where
    /// they are missing, and the certificate where it does not fit any more.
    pub fn make(folder: &Path, names: &[String], addresses: &[IpAddr]) -> Result<Self, CertificateError> {
        let error = |problem: &dyn std::fmt::Display| CertificateError(format!("{}: {problem}", folder.display()));
        std::fs::create_dir_all(folder).map_err(|problem| error(&problem))?;
        let today = Zoned::now();
        let (ca_file, ca_key_file) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
        if !ca_file.exists() || !ca_key_file.exists() {
            make_ca(&ca_file, &ca_key_file, &today).map_err(|problem| error(&problem))?;
        }
        let wanted: Vec<String> = names.iter().cloned().chain(addresses.iter().map(IpAddr::to_string)).collect();
        let until = today.checked_add(LEAF_DAYS.days()).map_err(|problem| error(&problem))?;
        let note = folder.join("server.names");
        if !is_fresh(&note, &wanted, &today) {
            make_leaf(folder, &ca_file, &ca_key_file, &wanted, &today, &until).map_err(|problem| error(&problem))?;
            let text = format!("{}\n{}\n", until.date(), wanted.join("\n"));
            std::fs::write(&note, text).map_err(|problem| error(&problem))?;
        }
        let mut made = Self::load(&folder.join("server.pem"), &folder.join("server-key.pem"))?;
        let ca = certificates(&ca_file).map_err(|problem| error(&problem))?;
        made.fingerprint = ca.first().map(|ca| fingerprint(ca)).unwrap_or_default();
        made.ca_file = Some(ca_file);
        Ok(made)
    }

    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>, String> {
        let mut config = ServerConfig::builder_with_provider(tls_provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(self.chain.clone(), self.key.clone_key())
            })
            .map_err(|error| {
                tracing::debug!(%error, "TLS");
                "the certificate and its key do not belong together, or are of a kind that is not known".to_owned()
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The names file tells until when and for what the certificate is.
fn is_fresh(note: &Path, wanted: &[String], today: &Zoned) -> bool {
    let Ok(text) = std::fs::read_to_string(note) else { return false };
    let mut lines = text.lines();
    let until = lines.next().and_then(|line| line.parse::<jiff::civil::Date>().ok());
    let fits = lines.eq(wanted.iter().map(String::as_str));
    let long_enough = match (until, today.checked_add(LEAF_MARGIN_DAYS.days())) {
        (Some(until), Ok(margin)) => margin.date() < until,
        _ => false,
    };
    fits && long_enough
}

fn make_ca(ca_file: &Path, key_file: &Path, today: &Zoned) -> Result<(), Box<dyn std::error::Error>> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, "callbox sandbox CA");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, today, &today.checked_add(CA_DAYS.days())?);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    write_private(key_file, &key.serialize_pem())?;
    std::fs::write(ca_file, certificate.pem())?;
    Ok(())
}

fn make_leaf(
    folder: &Path,
    ca_file: &Path,
    ca_key_file: &Path,
    names: &[String],
    today: &Zoned,
    until: &Zoned,
) -> Result<(), Box<dyn std::error::Error>> {
    let ca_key = KeyPair::from_pem(&std::fs::read_to_string(ca_key_file)?)?;
    let issuer = Issuer::from_ca_cert_pem(&std::fs::read_to_string(ca_file)?, ca_key)?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "callbox sandbox");
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    params.use_authority_key_identifier_extension = true;
    set_life(&mut params, today, until);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    write_private(&folder.join("server-key.pem"), &key.serialize_pem())?;
    std::fs::write(folder.join("server.pem"), certificate.pem())?;
    Ok(())
}

fn set_life(params: &mut CertificateParams, from: &Zoned, until: &Zoned) {
    let date = |date: jiff::civil::Date| {
        date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    // A day earlier: clocks differ.
    params.not_before = date(from.date().yesterday().unwrap_or(from.date()));
    params.not_after = date(until.date());
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_is_made_once_and_the_certificate_follows_the_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let address = IpAddr::from([192, 0, 2, 7]);
        let first = ServerCertificate::make(folder.path(), &["door.lan".into()], &[address]).unwrap();
        let again = ServerCertificate::make(folder.path(), &["door.lan".into()], &[address]).unwrap();
        assert_eq!(first.chain, again.chain);
        let moved =
            ServerCertificate::make(folder.path(), &["door.lan".into()], &[IpAddr::from([192, 0, 2, 8])]).unwrap();
        assert_ne!(first.chain, moved.chain);
        assert_eq!(first.fingerprint, moved.fingerprint);
        assert!(moved.server_config().is_ok());
    }
}
