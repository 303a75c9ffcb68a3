//! The server's certificate: read from files, or signed by a CA that callbox makes once and keeps.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use jiff::{ToSpan, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::files;
use crate::signaling::{PresentedCertificate, certificates, private_key, tls_provider};

/// The validity of the server's certificate. Browsers reject longer ones, also under a CA that was installed by hand
/// (docs/workarounds.md, "rcgen: certificates live until 4096 by default").
const LEAF_DAYS: i64 = 397;
/// A certificate with fewer days left is replaced.
const LEAF_MARGIN_DAYS: i64 = 20;
/// A phone with this CA trusts everything that the CA signs. So the CA can sign only for this house, for two years.
const CA_DAYS: i64 = 730;
/// A CA with fewer days left is replaced, so that the certificates that it signs are valid for a while.
const CA_MARGIN_DAYS: i64 = 30;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CertificateError(String);

/// A certificate chain with its key.
pub struct ServerCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The certificate file of the CA, if callbox made it.
    pub ca_file: Option<PathBuf>,
    /// The SHA-256 fingerprint of the CA, or of the certificate that was read from a file.
    pub fingerprint: String,
}

impl ServerCertificate {
    /// Reads a certificate chain and its key from PEM files.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or does not contain what it should.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let chain = certificates(certificate).map_err(|error| CertificateError(error.to_string()))?;
        let key = private_key(key).map_err(|error| CertificateError(error.to_string()))?;
        let fingerprint = chain.first().map(|leaf| fingerprint(leaf)).unwrap_or_default();
        Ok(Self { chain, key, ca_file: None, fingerprint })
    }

    /// A certificate for these names and addresses, signed by the CA in `folder`. If the CA or the certificate is
    /// missing, expires soon, or does not fit the names and addresses, a new one is made.
    ///
    /// # Errors
    ///
    /// The folder or a file in it cannot be read or written, or a name is invalid.
    pub fn make(folder: &Path, names: &[String], addresses: &[IpAddr]) -> Result<Self, CertificateError> {
        let error = |problem: &dyn std::fmt::Display| CertificateError(format!("{}: {problem}", folder.display()));
        std::fs::create_dir_all(folder).map_err(|problem| error(&problem))?;
        let today = Zoned::now();
        let (ca_file, ca_key_file) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
        // The CA may sign for the names of this server, and for addresses of a house.
        let house = house(names, addresses);
        let ca_note = folder.join("ca.names");
        let covered = |kept: &[&str]| house.iter().all(|name| kept.contains(&name.as_str()));
        let ca_is_there = ca_file.exists() && ca_key_file.exists();
        let mut ca_until = until_of(&ca_note, covered).filter(|_| ca_is_there);
        if !is_far(ca_until, &today, CA_MARGIN_DAYS) {
            let until = today.checked_add(CA_DAYS.days()).map_err(|problem| error(&problem))?;
            make_ca(&ca_file, &ca_key_file, &house, &today, &until).map_err(|problem| error(&problem))?;
            write_note(&ca_note, &until, &house).map_err(|problem| error(&problem))?;
            ca_until = Some(until.date());
            // The server's certificate is signed by the previous CA.
            let _ = std::fs::remove_file(folder.join("server.names"));
        }
        let wanted: Vec<String> = names.iter().cloned().chain(addresses.iter().map(IpAddr::to_string)).collect();
        let until = today.checked_add(LEAF_DAYS.days()).map_err(|problem| error(&problem))?;
        let until = match ca_until.and_then(|end| end.to_zoned(today.time_zone().clone()).ok()) {
            Some(end) if end < until => end,
            _ => until,
        };
        let note = folder.join("server.names");
        let fits = |kept: &[&str]| kept.iter().copied().eq(wanted.iter().map(String::as_str));
        if !is_far(until_of(&note, fits), &today, LEAF_MARGIN_DAYS) {
            make_leaf(folder, &ca_file, &ca_key_file, &wanted, &today, &until).map_err(|problem| error(&problem))?;
            write_note(&note, &until, &wanted).map_err(|problem| error(&problem))?;
        }
        let mut made = Self::load(&folder.join("server.pem"), &folder.join("server-key.pem"))?;
        let ca = certificates(&ca_file).map_err(|problem| error(&problem))?;
        made.fingerprint = ca.first().map(|ca| fingerprint(ca)).unwrap_or_default();
        made.ca_file = Some(ca_file);
        Ok(made)
    }

    /// The host names that the certificate is for.
    pub(crate) fn host_names(&self) -> Vec<String> {
        self.chain.first().and_then(|leaf| PresentedCertificate::read(leaf)).map(|leaf| leaf.names).unwrap_or_default()
    }

    pub(crate) fn tls_config(&self) -> Result<Arc<ServerConfig>, String> {
        // docs/workarounds.md, "rustls: two providers panic".
        let mut config = ServerConfig::builder_with_provider(tls_provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(self.chain.clone(), self.key.clone_key())
            })
            .map_err(|error| {
                tracing::debug!(%error, "TLS refuses the certificate");
                "the certificate and its key do not belong together, or are of a kind that is not known".to_owned()
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Reads a note: the last day of a certificate, then the names that it is for. Returns the day if the names fit.
fn until_of(note: &Path, fits: impl Fn(&[&str]) -> bool) -> Option<jiff::civil::Date> {
    let text = std::fs::read_to_string(note).ok()?;
    let mut lines = text.lines();
    let until = lines.next()?.parse().ok()?;
    fits(&lines.collect::<Vec<_>>()).then_some(until)
}

fn is_far(until: Option<jiff::civil::Date>, today: &Zoned, margin_days: i64) -> bool {
    let margin = today.checked_add(margin_days.days());
    until.is_some_and(|until| margin.is_ok_and(|margin| margin.date() < until))
}

fn write_note(note: &Path, until: &Zoned, names: &[String]) -> std::io::Result<()> {
    files::replace(note, format!("{}\n{}\n", until.date(), names.join("\n")).as_bytes(), 0o644)
}

/// Addresses that exist only inside a house: private, link-local and loopback ones (RFC 1918, 3927, 4193, 4291), and
/// `localhost`.
const HOUSE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
    "localhost",
];

/// The names and the address ranges that the CA may sign for.
fn house(names: &[String], addresses: &[IpAddr]) -> Vec<String> {
    let is_of_house = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local() || address.is_loopback(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local() || address.is_loopback(),
    };
    let others = addresses.iter().filter(|address| !is_of_house(address));
    let others = others.map(|address| format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }));
    HOUSE.iter().map(|name| (*name).to_owned()).chain(names.iter().cloned()).chain(others).collect()
}

fn make_ca(
    ca_file: &Path,
    key_file: &Path,
    house: &[String],
    today: &Zoned,
    until: &Zoned,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, "callbox CA");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let subtree = |name: &String| match CidrSubnet::from_str(name) {
        Ok(subnet) => GeneralSubtree::IpAddress(subnet),
        Err(()) => GeneralSubtree::DnsName(name.clone()),
    };
    // Critical: software that does not understand these constraints rejects every certificate of this CA (RFC 5280,
    // section 4.2.1.10).
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: house.iter().map(subtree).collect(),
        excluded_subtrees: Vec::new(),
    });
    set_life(&mut params, today, until);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    files::replace(key_file, key.serialize_pem().as_bytes(), 0o600)?;
    files::replace(ca_file, certificate.pem().as_bytes(), 0o644)?;
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
    params.distinguished_name.push(DnType::CommonName, "callbox");
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    params.use_authority_key_identifier_extension = true;
    set_life(&mut params, today, until);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    files::replace(&folder.join("server-key.pem"), key.serialize_pem().as_bytes(), 0o600)?;
    files::replace(&folder.join("server.pem"), certificate.pem().as_bytes(), 0o644)?;
    Ok(())
}

/// Sets the validity of a certificate (docs/workarounds.md, "rcgen: certificates live until 4096 by default").
fn set_life(params: &mut CertificateParams, from: &Zoned, until: &Zoned) {
    let date = |date: jiff::civil::Date| {
        date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    // The validity starts a day early, because clocks differ.
    params.not_before = date(from.date().yesterday().unwrap_or(from.date()));
    params.not_after = date(until.date());
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
        let address = IpAddr::from([192, 168, 2, 7]);
        let first = ServerCertificate::make(folder.path(), &["door.lan".into()], &[address]).unwrap();
        let again = ServerCertificate::make(folder.path(), &["door.lan".into()], &[address]).unwrap();
        assert_eq!(first.chain, again.chain);
        let moved =
            ServerCertificate::make(folder.path(), &["door.lan".into()], &[IpAddr::from([10, 0, 2, 8])]).unwrap();
        assert_ne!(first.chain, moved.chain);
        assert_eq!(first.fingerprint, moved.fingerprint);
        assert!(moved.tls_config().is_ok());
        // The CA may not sign for another name, so this needs another CA.
        let renamed = ServerCertificate::make(folder.path(), &["gate.lan".into()], &[address]).unwrap();
        assert_ne!(first.fingerprint, renamed.fingerprint);
    }

    #[test]
    fn the_ca_signs_for_this_house_alone_and_for_two_years() {
        let folder = tempfile::tempdir().unwrap();
        let public = IpAddr::from([203, 0, 113, 7]);
        ServerCertificate::make(folder.path(), &["door.lan".into()], &[public]).unwrap();
        let ca = certificates(&folder.path().join("ca.pem")).unwrap();
        let (_, ca) = x509_parser::parse_x509_certificate(&ca[0]).unwrap();
        let constraints = ca.name_constraints().unwrap().unwrap();
        assert!(constraints.critical);
        let permitted = format!("{:?}", constraints.value.permitted_subtrees);
        assert!(permitted.contains("door.lan") && permitted.contains("[203, 0, 113, 7, 255"), "{permitted}");
        let days = (ca.validity().not_after.timestamp() - ca.validity().not_before.timestamp()) / 86_400;
        assert!((729..=732).contains(&days), "{days}");
        let leaf = certificates(&folder.path().join("server.pem")).unwrap();
        let (_, leaf) = x509_parser::parse_x509_certificate(&leaf[0]).unwrap();
        assert!(leaf.validity().not_after <= ca.validity().not_after);
    }
}
