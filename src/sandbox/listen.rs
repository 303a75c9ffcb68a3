//! Listens for TCP connections, with or without TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::SandboxError;
use super::certificate::ServerCertificate;
use super::peer::PeerAddresses;
use super::places::{Place, Places};

/// A client has this long to send the head of a request, and this long again to send its body.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection without traffic for this long is closed (docs/workarounds.md, "hyper: time limits cover the head
/// alone"). A WebSocket has traffic more often.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// A client has this long for its TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An accepted connection, which occupies a place until it is dropped.
pub(super) struct Connection {
    transport: Transport,
    peer: PeerAddresses,
    /// Expires when the connection has been silent for too long.
    idle: Pin<Box<Sleep>>,
    /// Whether something has been sent to the client. Until then, traffic does not restart `idle`.
    answered: bool,
    _place: Place,
}

impl Connection {
    pub(super) fn peer(&self) -> PeerAddresses {
        self.peer
    }

    /// Restarts the idle time-out after traffic.
    fn stir(&mut self) {
        if self.answered {
            self.idle.as_mut().reset(Instant::now() + IDLE_TIMEOUT);
        }
    }
}

/// A bound listener.
pub(super) struct Listener {
    address: SocketAddr,
    accepted: mpsc::Receiver<Connection>,
}

impl Listener {
    pub(super) async fn bind(
        address: SocketAddr,
        certificate: Option<&ServerCertificate>,
        places: Arc<Places>,
    ) -> Result<Self, SandboxError> {
        let tls = match certificate {
            Some(certificate) => Some(TlsAcceptor::from(certificate.server_config().map_err(SandboxError::Tls)?)),
            None => None,
        };
        let problem = |problem| SandboxError::Listen { address, problem };
        let listener = TcpListener::bind(address).await.map_err(problem)?;
        let address = listener.local_addr().map_err(problem)?;
        let (sender, accepted) = mpsc::channel(16);
        tokio::spawn(accept(listener, tls, places, sender));
        Ok(Self { address, accepted })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection. Its TLS handshake is done.
    pub(super) async fn accept(&mut self) -> Connection {
        match self.accepted.recv().await {
            Some(connection) => connection,
            // The accepting task never ends before this receiver is dropped.
            None => std::future::pending().await,
        }
    }
}

/// Accepts connections until the receiver is dropped. A slow TLS handshake does not delay other connections.
async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    places: Arc<Places>,
    accepted: mpsc::Sender<Connection>,
) {
    loop {
        let connection = tokio::select! {
            connection = listener.accept() => connection,
            () = accepted.closed() => return,
        };
        let Ok((stream, remote)) = connection else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(local) = stream.local_addr() else { continue };
        // A connection beyond the limits is closed at once. It does not wait.
        let Some(place) = places.take(remote.ip()) else { continue };
        let _ = stream.set_nodelay(true);
        let (accepted, tls, peer) = (accepted.clone(), tls.clone(), PeerAddresses { local, remote });
        tokio::spawn(async move {
            let transport = match tls {
                None => Transport::Plain(stream),
                Some(tls) => match timeout(TLS_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => Transport::Tls(Box::new(stream)),
                    _ => return,
                },
            };
            let _ = accepted
                .send(Connection {
                    transport,
                    peer,
                    idle: Box::pin(sleep(2 * REQUEST_TIMEOUT)),
                    answered: false,
                    _place: place,
                })
                .await;
        });
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if result.is_ready() {
            self.stir();
            return result;
        }
        match self.idle.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.answered = true;
        self.stir();
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
