//! Listens for TCP connections, with or without TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::peer::PeerAddresses;
use super::places::{Place, Places};

/// A client has this long to send the head of a request, and this long again to send its body.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that has not taken what it was sent within this time is cut off, also if it reads slowly.
const STALL_TIMEOUT: Duration = Duration::from_secs(15);
/// What the kernel keeps for a client that does not read, in bytes. The kernel doubles it (socket(7)).
const SEND_BUFFER_BYTES: u32 = 32 * 1024;
/// A client has this long for its TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// How connections are encrypted from now on. It changes when the certificate is renewed.
pub(crate) type TlsConfig = watch::Receiver<Arc<ServerConfig>>;

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {problem}")]
pub struct ListenError {
    address: SocketAddr,
    problem: io::Error,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An accepted connection, which occupies a place until it is dropped.
pub(crate) struct Connection {
    transport: Transport,
    peer: PeerAddresses,
    /// Expires when the connection has been silent for too long.
    idle: Pin<Box<Sleep>>,
    idle_timeout: Duration,
    /// Expires when the client has left for too long what it was sent. `None`: it has taken everything.
    stall: Option<Pin<Box<Sleep>>>,
    /// Whether something has been sent to the client. Until then, traffic does not restart `idle`.
    answered: bool,
    _place: Place,
}

impl Connection {
    pub(crate) fn peer(&self) -> PeerAddresses {
        self.peer
    }

    /// Restarts the idle time-out after traffic.
    fn stir(&mut self) {
        if self.answered {
            let until = Instant::now() + self.idle_timeout;
            self.idle.as_mut().reset(until);
        }
    }
}

impl Connection {
    /// Ends a connection whose client does not take what it was sent.
    fn unless_stalled<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            return result;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(STALL_TIMEOUT)));
        match stall.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// A bound listener.
pub(crate) struct Listener {
    address: SocketAddr,
    accepted: mpsc::Receiver<Connection>,
}

impl Listener {
    /// A connection without traffic for `idle_timeout` is closed (docs/workarounds.md, "hyper: time limits cover the head
    /// alone").
    pub(crate) fn bind(
        address: SocketAddr,
        tls: Option<TlsConfig>,
        places: Arc<Places>,
        idle_timeout: Duration,
    ) -> Result<Self, ListenError> {
        let listener = bound(address).map_err(|problem| ListenError { address, problem })?;
        let address = listener.local_addr().map_err(|problem| ListenError { address, problem })?;
        let (sender, accepted) = mpsc::channel(16);
        tokio::spawn(accept(listener, tls, places, idle_timeout, sender));
        Ok(Self { address, accepted })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection. Its TLS handshake is done.
    pub(crate) async fn accept(&mut self) -> Connection {
        match self.accepted.recv().await {
            Some(connection) => connection,
            // The accepting task never ends before this receiver is dropped.
            None => std::future::pending().await,
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(128)
}

/// Accepts connections until the receiver is dropped. A slow TLS handshake does not delay other connections.
async fn accept(
    listener: TcpListener,
    tls: Option<TlsConfig>,
    places: Arc<Places>,
    idle_timeout: Duration,
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
        let tls = tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.borrow())));
        let (accepted, peer) = (accepted.clone(), PeerAddresses { local, remote });
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
                    idle_timeout,
                    stall: None,
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
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        self.unless_stalled(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        };
        if result.is_ready() {
            self.stall = None;
        }
        self.unless_stalled(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        };
        self.unless_stalled(context, result)
    }
}
