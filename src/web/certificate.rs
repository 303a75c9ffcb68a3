//! The certificate of the status page: of files, or made here and signed by a CA of this station's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;

use super::RENEWAL;
use crate::config::HttpConfig;
use crate::control::InterfaceStatus;
use crate::core::Interface;
use crate::http::{self, ServerCertificate, TlsConfig};
use crate::station::StationHandle;

/// Where the certificate comes from.
#[derive(Clone)]
enum Source {
    Files { chain: PathBuf, key: PathBuf },
    Made { folder: PathBuf, listen: std::net::IpAddr },
}

impl Source {
    fn read(&self) -> Result<ServerCertificate, String> {
        let certificate = match self {
            Self::Files { chain, key } => ServerCertificate::load(chain, key),
            Self::Made { folder, listen } => {
                let mut names = http::machine_names();
                names.push("localhost".into());
                ServerCertificate::make(folder, &names, &http::own_addresses(*listen))
            }
        };
        certificate.map_err(|error| error.to_string())
    }
}

/// A certificate that is renewed while it is used.
pub(super) struct Certificate {
    source: Source,
    tls: watch::Sender<Arc<ServerConfig>>,
    /// The host names that it is for.
    pub(super) names: Vec<String>,
}

impl Certificate {
    /// The certificate that the configuration asks for; `None` for plain HTTP on loopback.
    ///
    /// # Errors
    ///
    /// Why there is none, with a remedy.
    pub(super) async fn of(config: &HttpConfig, folder: Option<&Path>) -> Result<Option<Self>, String> {
        let source = match (&config.certificate, folder) {
            (Some((chain, key)), _) => Source::Files { chain: chain.clone(), key: key.clone() },
            (None, _) if config.is_on_loopback() => return Ok(None),
            (None, Some(folder)) => Source::Made { folder: folder.join("http"), listen: config.listen.ip() },
            (None, None) => {
                return Err("there is no folder for a certificate ($STATE_DIRECTORY); set control.http_cert_file and \
                            control.http_key_file"
                    .into());
            }
        };
        let read = source.clone();
        let certificate = blocking(move || read.read()).await?;
        if let Some(ca_file) = &certificate.ca_file {
            tracing::info!(ca = %ca_file.display(), sha256 = certificate.fingerprint, "browsers trust the status page after they got this CA");
        }
        let tls = watch::Sender::new(certificate.tls_config()?);
        Ok(Some(Self { source, tls, names: certificate.host_names() }))
    }

    /// What connections are encrypted with.
    pub(super) fn tls(&self) -> TlsConfig {
        self.tls.subscribe()
    }

    /// Reads or makes it again from time to time: certificates end, and addresses change.
    pub(super) async fn keep_renewed(&self, station: &StationHandle) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            let source = self.source.clone();
            let read = blocking(move || source.read()?.tls_config()).await;
            let status = InterfaceStatus { ready: true, fault: read.as_ref().err().cloned(), given_up: 0 };
            if let Ok(tls) = read {
                self.tls.send_replace(tls);
            }
            station.tell(Interface::Http, status).await;
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}
