//! A byte stream to the server, with or without TLS, within a deadline.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::endpoint::Endpoint;
use super::tls::{certificate_problem, witness_config};
use super::trust::{PresentedCertificate, Witness};
use crate::config::authority;

/// The longest time for all addresses of one family together (docs/workarounds.md, "hyper-util: addresses share the
/// connect time-out").
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// After this time the addresses of the other family are tried as well (RFC 8305, "Connection Attempt Delay").
const HAPPY_EYEBALLS_DELAY: Duration = Duration::from_millis(250);
/// The longest time for name resolution and both address families together.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest time for the TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// A stream of bytes in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open stream.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Stream>,
    /// Our own IP address on the stream.
    pub(super) local: Option<IpAddr>,
}

/// Opens a stream to the endpoint's host.
pub(super) async fn open(endpoint: &Endpoint, tls: &Arc<ClientConfig>) -> io::Result<Opened> {
    connect(endpoint.host(), endpoint.port(), endpoint.is_secure().then_some(tls), |_| Ok(())).await
}

/// Opens a stream to any other server, with TLS if there is a configuration for it. `prepare` may set options of the
/// socket.
///
/// # Errors
///
/// Why there is none, as a message for people.
pub(crate) async fn open_stream(
    host: &str,
    port: u16,
    tls: Option<&Arc<ClientConfig>>,
    prepare: impl Fn(&TcpStream) -> io::Result<()>,
) -> Result<Box<dyn Stream>, String> {
    let opened = connect(host, port, tls, prepare).await;
    opened.map(|opened| opened.stream).map_err(|error| match certificate_problem(&error) {
        Some(problem) => problem.message,
        None => error.to_string(),
    })
}

/// What the endpoint's server shows as its certificate. Nothing is sent to it but the beginning of TLS.
///
/// # Errors
///
/// Why it shows none, as a message for people.
pub async fn presented_certificate(endpoint: &Endpoint) -> Result<PresentedCertificate, String> {
    let witness = Arc::new(Witness::default());
    let tls = witness_config(&witness).map_err(|error| error.to_string())?;
    let failure = match connect(endpoint.host(), endpoint.port(), Some(&tls), |_| Ok(())).await {
        Ok(_) => return Err("the server showed no certificate".into()),
        Err(error) => error,
    };
    let shown = witness.take().as_ref().map(PresentedCertificate::read);
    match shown {
        Some(presented) => presented.ok_or_else(|| "the server's certificate cannot be read".to_owned()),
        None => Err(certificate_problem(&failure).map_or_else(|| failure.to_string(), |problem| problem.message)),
    }
}

async fn connect(
    host: &str,
    port: u16,
    tls: Option<&Arc<ClientConfig>>,
    prepare: impl Fn(&TcpStream) -> io::Result<()>,
) -> io::Result<Opened> {
    let tcp = connect_tcp(host, port).await?;
    prepare(&tcp)?;
    let local = tcp.local_addr().ok().map(|address| address.ip().to_canonical());
    let Some(tls) = tls else { return Ok(Opened { stream: Box::new(tcp), local }) };
    let name =
        ServerName::try_from(host.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connector = TlsConnector::from(Arc::clone(tls));
    let stream =
        timeout(TLS_TIMEOUT, connector.connect(name, tcp)).await.map_err(|_| timed_out("the TLS handshake"))??;
    Ok(Opened { stream: Box::new(stream), local })
}

/// Opens a TCP connection: resolves the name again each time, and tries IPv6 and IPv4 in parallel (RFC 8305).
async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_happy_eyeballs_timeout(Some(HAPPY_EYEBALLS_DELAY));
    connector.set_nodelay(true);
    let authority = authority(host, port);
    let target = Uri::try_from(format!("tcp://{authority}"))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connected = timeout(OPEN_TIMEOUT, connector.call(target)).await;
    match connected.map_err(|_| timed_out("connecting"))? {
        Ok(stream) => Ok(stream.into_inner()),
        Err(error) => Err(io::Error::other(format!("{authority}: {}", root_cause(&error)))),
    }
}

/// The message of the innermost error: `Connection refused`, and not just that a connection failed
/// (docs/workarounds.md, "hyper-util: the reason of a failure is nested").
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} timed out"))
}
