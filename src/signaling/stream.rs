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
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open stream.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Stream>,
    /// Our own IP address on the stream.
    pub(super) local: Option<IpAddr>,
}

/// Opens a stream to the endpoint's host.
pub(super) async fn open(endpoint: &Endpoint, tls: &Arc<ClientConfig>) -> io::Result<Opened> {
    let tcp = open_tcp(endpoint).await?;
    let local = tcp.local_addr().ok().map(|address| address.ip().to_canonical());
    if !endpoint.is_secure() {
        return Ok(Opened { stream: Box::new(tcp), local });
    }
    let name = ServerName::try_from(endpoint.host().to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connector = TlsConnector::from(Arc::clone(tls));
    let stream =
        timeout(TLS_TIMEOUT, connector.connect(name, tcp)).await.map_err(|_| timed_out("the TLS handshake"))??;
    Ok(Opened { stream: Box::new(stream), local })
}

/// Opens a TCP connection: resolves the name again each time, and tries IPv6 and IPv4 in parallel (RFC 8305).
async fn open_tcp(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_happy_eyeballs_timeout(Some(HAPPY_EYEBALLS_DELAY));
    connector.set_nodelay(true);
    let target =
        Uri::try_from(endpoint.origin()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connected = timeout(OPEN_TIMEOUT, connector.call(target)).await;
    match connected.map_err(|_| timed_out("connecting"))? {
        Ok(stream) => Ok(stream.into_inner()),
        Err(error) => Err(io::Error::other(format!("{}: {}", endpoint.authority(), root_cause(&error)))),
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
