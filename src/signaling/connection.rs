//! The session's WebSocket: opens it, carries frames in both directions, and reports how it ended.
//!
//! There is no policy here: the core decides when to connect, and what the loss of a connection means.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::close::CloseCause;
use super::connector::{Connector, OpenError, OpenErrorKind, Opened};
use super::endpoint::Endpoint;
use super::frame::{FrameError, MAX_FRAME_BYTES};
use super::message::{ClientMessage, SUB_PROTOCOL, ServerMessage};
use super::redirect;
use super::socket_event::{ConnectFailure, ConnectFailureKind, SocketEvent};
use super::stream::Stream;
use super::token::TokenStore;

/// The most frames that wait for the socket. The core has far fewer transactions in flight.
const OUTGOING_FRAMES: usize = 256;
/// The longest time for the HTTP upgrade.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time to write one frame.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time for the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// A longer `Retry-After` is shortened to this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// An event of a socket, with the socket's number, so that events of an older socket can be recognised.
#[derive(Debug)]
pub struct SocketReport {
    /// The number that was given to [`Socket::open`].
    pub generation: u64,
    pub event: SocketEvent,
}

/// A handle to a socket that is open or is being opened. Dropping it closes the socket.
#[derive(Debug)]
pub struct Socket {
    outgoing: mpsc::Sender<Frame>,
}

#[derive(Debug)]
enum Frame {
    Text(String),
    Close(u16),
}

impl Socket {
    /// Starts to open a socket. Whether that works, and everything after it, comes through `reports`. With `force` it
    /// takes the session over from another connection.
    pub fn open(
        endpoint: Endpoint,
        connector: Connector,
        tokens: Arc<TokenStore>,
        force: bool,
        generation: u64,
        reports: mpsc::Sender<SocketReport>,
    ) -> Self {
        let (outgoing, mut frames) = mpsc::channel(OUTGOING_FRAMES);
        tokio::spawn(async move {
            let reporter = Reporter { reports, generation };
            let token = tokens.current().await;
            let opened = match token {
                None => Err(no_token()),
                // An attempt that was abandoned must not take the session over later.
                Some(token) => tokio::select! {
                    opened = connect(&endpoint, &connector, &token, force) => opened,
                    _ = frames.recv() => return,
                },
            };
            match opened {
                Err(failure) => {
                    reporter.report(SocketEvent::Failed(failure)).await;
                }
                Ok((socket, local)) => {
                    if reporter.report(SocketEvent::Opened { local }).await {
                        run(socket, frames, &reporter).await;
                    }
                }
            }
        });
        Self { outgoing }
    }

    /// Queues a message. Returns `false` if the queue is full or the socket is gone.
    pub fn send(&self, message: &ClientMessage) -> bool {
        self.outgoing.try_send(Frame::Text(message.to_text())).is_ok()
    }

    /// Closes the socket with a code.
    pub fn close(self, code: u16) {
        // If the queue is full, the socket closes anyway, because the handle is dropped here.
        let _ = self.outgoing.try_send(Frame::Close(code));
    }
}

/// Reports the events of a socket to the station.
struct Reporter {
    reports: mpsc::Sender<SocketReport>,
    generation: u64,
}

impl Reporter {
    /// Returns `false` if nobody receives reports any more.
    async fn report(&self, event: SocketEvent) -> bool {
        self.reports.send(SocketReport { generation: self.generation, event }).await.is_ok()
    }
}

/// Tries whether the server would take a session: makes the WebSocket upgrade with a token that nobody has. That the
/// server refuses it is a success.
///
/// # Errors
///
/// Why there would be no session, whatever the token.
pub async fn try_upgrade(endpoint: &Endpoint, connector: &Connector) -> Result<(), ConnectFailure> {
    match connect(endpoint, connector, "callbox-check", false).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.kind == ConnectFailureKind::Unauthorized => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn no_token() -> ConnectFailure {
    ConnectFailure { kind: ConnectFailureKind::NoToken, message: "there is no token".into(), retry_after: None }
}

type WebSocket = WebSocketStream<Box<dyn Stream>>;

async fn connect(
    endpoint: &Endpoint,
    connector: &Connector,
    token: &str,
    force: bool,
) -> Result<(WebSocket, Option<IpAddr>), ConnectFailure> {
    let Opened { stream, local } = connector.open(endpoint).await?;
    let told = |message: String| connector.with_proxy(endpoint.target(), message);
    let failure = |message: &str| ConnectFailure {
        kind: ConnectFailureKind::Http,
        message: told(message.into()),
        retry_after: None,
    };
    // The text of the error would contain the address, and therefore the token (docs/workarounds.md, "tungstenite: the
    // error text may hold the token").
    let mut request = endpoint
        .signaling_url(token, force)
        .into_client_request()
        .map_err(|_| failure("core.url and the token do not make an address"))?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUB_PROTOCOL));
    // docs/workarounds.md, "tungstenite: its default buffers are large".
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES))
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0);
    let upgrade = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
    match timeout(UPGRADE_TIMEOUT, upgrade).await {
        Err(_) => Err(failure("the WebSocket upgrade timed out")),
        Ok(Ok((socket, _))) => Ok((socket, local)),
        Ok(Err(Error::Http(response))) => {
            let failure = http_failure(&response);
            Err(ConnectFailure { message: told(failure.message), ..failure })
        }
        Ok(Err(Error::Io(error))) => Err(connector.explain(endpoint.target(), &error).into()),
        Ok(Err(Error::Protocol(error))) => {
            // docs/workarounds.md, "libraries: error texts are for programmers".
            tracing::debug!(%error, "WebSocket upgrade");
            Err(failure(
                "this is not a telephony server: its answer is not a WebSocket upgrade, or was damaged on its way",
            ))
        }
        Ok(Err(_)) => Err(failure("the WebSocket upgrade failed")),
    }
}

impl From<OpenError> for ConnectFailure {
    fn from(error: OpenError) -> Self {
        let kind = match error.kind {
            OpenErrorKind::Network => ConnectFailureKind::Network,
            OpenErrorKind::Tls => ConnectFailureKind::Tls,
            OpenErrorKind::NotYetValid => ConnectFailureKind::NotYetValid,
        };
        Self { kind, message: error.message, retry_after: None }
    }
}

fn http_failure<T>(response: &tokio_tungstenite::tungstenite::http::Response<T>) -> ConnectFailure {
    let status = response.status().as_u16();
    let kind = match status {
        401 | 403 => ConnectFailureKind::Unauthorized,
        503 => ConnectFailureKind::Unavailable,
        _ => ConnectFailureKind::Http,
    };
    let retry_after = matches!(status, 429 | 503)
        .then(|| response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse::<u64>().ok())
        .flatten()
        .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    let location = response.headers().get(header::LOCATION).map(HeaderValue::as_bytes);
    let message = redirect::message(status, location).unwrap_or_else(|| match status {
        200..=299 => format!(
            "what answers there is not a telephony server (HTTP {}): a captive portal, or core.url is wrong",
            response.status()
        ),
        _ => format!("the server answered HTTP {}", response.status()),
    });
    ConnectFailure { kind, message, retry_after }
}

/// Carries frames until the socket ends or the handle is dropped.
async fn run(mut socket: WebSocket, mut frames: mpsc::Receiver<Frame>, reporter: &Reporter) {
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(Frame::Text(text)) => {
                    let sent = timeout(WRITE_TIMEOUT, socket.send(Message::text(text))).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        reporter.report(SocketEvent::Closed(CloseCause::Standard(1006))).await;
                        return;
                    }
                }
                Some(Frame::Close(code)) => return close(socket, code).await,
                None => return close(socket, 1000).await,
            },
            message = socket.next() => {
                let (event, over) = received(message);
                if matches!(event, Some(SocketEvent::Closed(CloseCause::Standard(1009)))) {
                    reporter.report(SocketEvent::BadFrame(FrameError::TooLong)).await;
                }
                let listening = match event {
                    Some(event) => reporter.report(event).await,
                    None => true,
                };
                if over || !listening {
                    return close(socket, 1000).await;
                }
            }
        }
    }
}

/// Turns a WebSocket message into an event. The second value says whether the socket has ended.
fn received(message: Option<Result<Message, Error>>) -> (Option<SocketEvent>, bool) {
    let closed = |code| (Some(SocketEvent::Closed(CloseCause::from_code(code))), true);
    match message {
        Some(Ok(Message::Text(text))) => {
            let event = match ServerMessage::parse(text.as_str()) {
                Ok(message) => SocketEvent::Message(Box::new(message)),
                Err(error) => SocketEvent::BadFrame(error),
            };
            (Some(event), false)
        }
        Some(Ok(Message::Binary(_))) => (Some(SocketEvent::BadFrame(FrameError::NotAnObject)), false),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => (None, false),
        Some(Ok(Message::Close(frame))) => closed(frame.map_or(1005, |frame| u16::from(frame.code))),
        Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => closed(1009),
        Some(Err(Error::Utf8(_))) => closed(1007),
        Some(Err(_)) | None => closed(1006),
    }
}

async fn close(mut socket: WebSocket, code: u16) {
    let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
    let closing = async {
        let _ = socket.close(Some(frame)).await;
        while let Some(Ok(_)) = socket.next().await {}
    };
    let _ = timeout(CLOSE_TIMEOUT, closing).await;
}
