//! Events of the session's WebSocket.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::close::CloseCause;
use super::frame::FrameError;
use super::message::ServerMessage;

/// An event of the session's WebSocket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SocketEvent {
    /// The upgrade is done; the `state` handshake comes next.
    Opened {
        /// Our address on the socket.
        local: Option<IpAddr>,
    },
    /// The WebSocket could not be opened.
    Failed(ConnectFailure),
    Message(Box<ServerMessage>),
    /// A frame that was not accepted.
    BadFrame(FrameError),
    Closed(CloseCause),
}

/// Why the WebSocket could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectFailure {
    /// Decides when the station tries again.
    pub kind: ConnectFailureKind,
    /// A message for people, without secrets.
    pub message: String,
    /// The `Retry-After` of the server.
    pub retry_after: Option<Duration>,
}

/// What prevented a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectFailureKind {
    /// Name resolution, routing, the port, or a timeout.
    Network,
    /// The certificate or the TLS handshake.
    Tls,
    /// The certificate is not valid yet according to our clock.
    NotYetValid,
    /// HTTP status 401 or 403 at the upgrade.
    Unauthorized,
    /// HTTP status 503 at the upgrade.
    Unavailable,
    /// Any other HTTP answer, or an upgrade that failed.
    Http,
    /// There is no token to connect with.
    NoToken,
}
