//! A byte stream to the core server, with or without TLS, within a deadline.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::endpoint::Endpoint;

/// Each address of the server has this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// The TLS handshake has this long.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// Name resolution has this long.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(8);

/// Anything that bytes go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens a stream to the endpoint's host: the addresses of its name in turn.
pub(super) async fn open(endpoint: &Endpoint, tls: &Arc<ClientConfig>) -> io::Result<Box<dyn Stream>> {
    let tcp = open_tcp(endpoint).await?;
    tcp.set_nodelay(true)?;
    if !endpoint.is_secure() {
        return Ok(Box::new(tcp));
    }
    let name = ServerName::try_from(endpoint.host().to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connector = TlsConnector::from(Arc::clone(tls));
    let stream =
        timeout(TLS_TIMEOUT, connector.connect(name, tcp)).await.map_err(|_| timed_out("the TLS handshake"))??;
    Ok(Box::new(stream))
}

async fn open_tcp(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let target = (endpoint.host(), endpoint.port());
    let addresses = timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host(target))
        .await
        .map_err(|_| timed_out("name resolution"))?
        .map_err(|error| io::Error::new(error.kind(), format!("{} cannot be resolved: {error}", endpoint.host())))?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", endpoint.host()));
    for address in addresses {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
            Err(_) => last = timed_out(&format!("connecting to {address}")),
        }
    }
    Err(last)
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} timed out"))
}
