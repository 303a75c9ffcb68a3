//! What the WebSocket of the session reports.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::close::CloseCause;
use super::message::{FrameError, ServerMessage};

/// What the WebSocket did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SocketEvent {
    /// The upgrade is done; the `state` handshake comes next.
    Opened {
        /// Our address on the socket.
        local: Option<IpAddr>,
    },
    /// It could not be opened.
    Failed(ConnectFailure),
    /// A frame.
    Message(Box<ServerMessage>),
    /// A frame that could not be taken.
    BadFrame(FrameError),
    /// It ended.
    Closed(CloseCause),
}

/// Why the WebSocket could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectFailure {
    /// What kind of failure, which decides when to try again.
    pub kind: ConnectFailureKind,
    /// In words, without secrets.
    pub words: String,
    /// The server's `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Kinds of failure to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectFailureKind {
    /// Name, route, port or time-out.
    Network,
    /// The certificate or the TLS handshake.
    Tls,
    /// The certificate is not valid yet, by our clock.
    NotYetValid,
    /// 401 or 403 at the upgrade.
    Unauthorized,
    /// 503 at the upgrade.
    Unavailable,
    /// Any other HTTP answer.
    Http,
    /// There is no token to connect with.
    NoToken,
}
