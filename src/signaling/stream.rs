//! A byte stream to a server, with or without TLS, within a deadline.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
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

use crate::config::authority;
use crate::network::reachable_host;

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

/// Does the TLS handshake on a stream to `host`.
pub(super) async fn start_tls(
    host: &str,
    tls: &Arc<ClientConfig>,
    stream: impl Stream + 'static,
) -> io::Result<Box<dyn Stream>> {
    let name =
        ServerName::try_from(host.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connector = TlsConnector::from(Arc::clone(tls));
    let stream =
        timeout(TLS_TIMEOUT, connector.connect(name, stream)).await.map_err(|_| timed_out("the TLS handshake"))??;
    Ok(Box::new(stream))
}

/// Which addresses of a name are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Any,
    Ipv4,
}

/// Opens a TCP connection: resolves the name again each time, and tries IPv6 and IPv4 in parallel (RFC 8305). An IPv4
/// address is reached through a NAT64 where there is no other way.
pub(super) async fn connect_tcp(host: &str, port: u16, family: Family) -> io::Result<TcpStream> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_happy_eyeballs_timeout(Some(HAPPY_EYEBALLS_DELAY));
    connector.set_nodelay(true);
    if family == Family::Ipv4 {
        connector.set_local_address(Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    }
    let authority = authority(&reachable_host(host).await, port);
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
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<io::Error>() {
        // The words of a library would be "deadline has elapsed".
        Some(error) if error.kind() == io::ErrorKind::TimedOut => "no answer".to_owned(),
        _ => cause.to_string(),
    }
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} timed out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_is_no_answer_and_a_refusal_is_named() {
        let elapsed = timeout(Duration::ZERO, std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(root_cause(&io::Error::from(elapsed)), "no answer");
        let refused = connect_tcp("127.0.0.1", 1, Family::Any).await.unwrap_err();
        assert!(refused.to_string().starts_with("127.0.0.1:1: Connection refused"), "{refused}");
    }
}
