//! How servers are reached: with TLS as the configuration says, and through a proxy if there is one.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::TcpStream;

use super::endpoint::{Endpoint, Target};
use super::proxy::{self, TunnelError};
use super::stream::{Family, Stream, connect_tcp, start_tls};
use super::tls::{
    CertificateProblem, ServerRole, TlsError, certificate_problem, client_config, turn_client_config, witness_config,
};
use super::trust::{PresentedCertificate, Witness};
use crate::config::{CoreConfig, Proxy};

/// If TLS over IPv6 is not up by then, IPv4 is tried beside it: a network may accept connections over IPv6 and lose what
/// they carry.
const IPV6_HEAD_START: Duration = Duration::from_secs(2);

/// Opens connections to servers.
#[derive(Clone)]
pub struct Connector {
    tls: Arc<ClientConfig>,
    proxy: Option<Arc<Proxy>>,
    role: ServerRole,
}

/// An open stream.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Stream>,
    /// Our own IP address on the stream.
    pub(super) local: Option<IpAddr>,
}

/// Why there is no stream, as a message for people.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct OpenError {
    pub(super) kind: OpenErrorKind,
    pub(super) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenErrorKind {
    Network,
    Tls,
    /// The server's certificate is not valid yet according to our clock. The clock may be wrong.
    NotYetValid,
}

impl Connector {
    pub fn new(tls: Arc<ClientConfig>, proxy: Option<Proxy>) -> Self {
        Self { tls, proxy: proxy.map(Arc::new), role: ServerRole::Core }
    }

    /// Opens connections to the telephony server.
    ///
    /// # Errors
    ///
    /// A file of the configuration cannot be used, or the platform has no root certificates.
    pub fn to_core(config: &CoreConfig) -> Result<Self, TlsError> {
        let tls = client_config(&config.trust, config.client_certificate.as_ref())?;
        Ok(Self::new(tls, config.proxy.clone()))
    }

    /// Opens connections to TURN servers.
    ///
    /// # Errors
    ///
    /// `core.ca_file` cannot be used.
    pub fn to_turn(config: &CoreConfig) -> Result<Self, TlsError> {
        let tls = turn_client_config(config.trust.ca_file.as_deref())?;
        Ok(Self { role: ServerRole::Turn, ..Self::new(tls, config.proxy.clone()) })
    }

    /// Opens connections to the receivers of hooks. They are trusted as TURN servers are.
    ///
    /// # Errors
    ///
    /// `core.ca_file` cannot be used.
    pub fn to_receiver(config: &CoreConfig) -> Result<Self, TlsError> {
        Ok(Self { role: ServerRole::Receiver, ..Self::to_turn(config)? })
    }

    /// The proxy through which connections to this server go.
    pub(crate) fn proxy_to(&self, target: Target<'_>) -> Option<&Proxy> {
        let proxy = self.proxy.as_deref()?;
        proxy::applies(proxy, target.host, target.port, target.secure).then_some(proxy)
    }

    /// Whether a proxy makes a tunnel to this server.
    ///
    /// # Errors
    ///
    /// Why it does not, as a message for people.
    pub(crate) async fn try_tunnel(&self, proxy: &Proxy, target: Target<'_>) -> Result<(), String> {
        tunnel(proxy, target, |_| Ok(())).await.map(drop).map_err(|error| self.explain(target, &error).message)
    }

    /// Whether the endpoint's server is trusted.
    ///
    /// # Errors
    ///
    /// Why it is not, or cannot be reached, as a message for people.
    pub(crate) async fn try_tls(&self, endpoint: &Endpoint) -> Result<(), String> {
        self.open(endpoint).await.map(drop).map_err(|error| error.message)
    }

    /// Opens a stream to the endpoint's host.
    pub(super) async fn open(&self, endpoint: &Endpoint) -> Result<Opened, OpenError> {
        let target = endpoint.target();
        self.connect(target, |_| Ok(())).await.map_err(|error| self.explain(target, &error))
    }

    /// Opens a stream to any other server. `prepare` may set options of the socket.
    ///
    /// # Errors
    ///
    /// Why there is none, as a message for people.
    pub(crate) async fn open_stream(
        &self,
        target: Target<'_>,
        prepare: impl Fn(&TcpStream) -> io::Result<()>,
    ) -> Result<Box<dyn Stream>, String> {
        let opened = self.connect(target, prepare).await;
        opened.map(|opened| opened.stream).map_err(|error| self.explain(target, &error).message)
    }

    /// What the endpoint's server shows as its certificate. Nothing is sent to it but the beginning of TLS.
    ///
    /// # Errors
    ///
    /// Why it shows none, as a message for people.
    pub async fn presented_certificate(&self, endpoint: &Endpoint) -> Result<PresentedCertificate, String> {
        let witness = Arc::new(Witness::default());
        let tls = witness_config(&witness).map_err(|error| error.to_string())?;
        let connector = Self { tls, proxy: self.proxy.clone(), role: self.role };
        let failure = match connector.open(endpoint).await {
            Ok(_) => return Err("the server showed no certificate".into()),
            Err(error) => error,
        };
        let shown = witness.take().as_ref().map(PresentedCertificate::read);
        match shown {
            Some(presented) => presented.ok_or_else(|| "the server's certificate cannot be read".to_owned()),
            None => Err(failure.message),
        }
    }

    /// What an error of a stream means, with the proxy that it went through.
    pub(super) fn explain(&self, target: Target<'_>, error: &io::Error) -> OpenError {
        let problem = certificate_problem(error, self.role);
        let (kind, message) = match problem {
            Some(CertificateProblem { not_yet_valid: true, message }) => (OpenErrorKind::NotYetValid, message),
            Some(CertificateProblem { not_yet_valid: false, message }) => (OpenErrorKind::Tls, message),
            None => (OpenErrorKind::Network, error.to_string()),
        };
        // These errors name the proxy already.
        let is_of_the_proxy = error.get_ref().is_some_and(|source| source.is::<TunnelError>());
        let message = if is_of_the_proxy { message } else { self.with_proxy(target, message) };
        OpenError { kind, message }
    }

    /// A message about a server, with the proxy through which it was reached.
    pub(super) fn with_proxy(&self, target: Target<'_>, message: String) -> String {
        match self.proxy_to(target) {
            Some(proxy) => format!("{message} (through the proxy {proxy})"),
            None => message,
        }
    }

    async fn connect(&self, target: Target<'_>, prepare: impl Fn(&TcpStream) -> io::Result<()>) -> io::Result<Opened> {
        let Target { host, port, secure } = target;
        if let Some(proxy) = self.proxy_to(target) {
            let Opened { stream, local } = tunnel(proxy, target, prepare).await?;
            let stream = if secure { start_tls(host, &self.tls, stream).await? } else { stream };
            return Ok(Opened { stream, local });
        }
        let tcp = connect_tcp(host, port, Family::Any).await?;
        prepare(&tcp)?;
        let local = local_address(&tcp);
        if !secure {
            return Ok(Opened { stream: Box::new(tcp), local });
        }
        let has_ipv6 = local.is_some_and(|local| local.is_ipv6());
        let first = async { Ok(Opened { stream: start_tls(host, &self.tls, tcp).await?, local }) };
        if !has_ipv6 {
            return first.await;
        }
        let second = async {
            tokio::time::sleep(IPV6_HEAD_START).await;
            let tcp = connect_tcp(host, port, Family::Ipv4).await?;
            prepare(&tcp)?;
            let local = local_address(&tcp);
            Ok(Opened { stream: start_tls(host, &self.tls, tcp).await?, local })
        };
        first_success(first, second).await
    }
}

/// Makes a tunnel to a server, without TLS in it.
async fn tunnel(
    proxy: &Proxy,
    Target { host, port, .. }: Target<'_>,
    prepare: impl Fn(&TcpStream) -> io::Result<()>,
) -> io::Result<Opened> {
    let tcp = connect_tcp(&proxy.host, proxy.port, Family::Any)
        .await
        .map_err(|error| TunnelError::Unreachable { proxy: proxy.to_string(), reason: error.to_string() })?;
    prepare(&tcp)?;
    let local = local_address(&tcp);
    Ok(Opened { stream: proxy::tunnel(proxy, tcp, host, port).await?, local })
}

/// The first of two attempts that succeeds; if none does, or if the first one fails while the second one waits, the
/// error of the first one.
async fn first_success<T>(
    first: impl Future<Output = io::Result<T>>,
    second: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tokio::pin!(first, second);
    tokio::select! {
        result = &mut first => result,
        result = &mut second => match result {
            Ok(opened) => Ok(opened),
            Err(_) => first.await,
        },
    }
}

fn local_address(stream: &TcpStream) -> Option<IpAddr> {
    stream.local_addr().ok().map(|address| address.ip().to_canonical())
}
