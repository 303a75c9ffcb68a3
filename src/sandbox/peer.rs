//! The addresses of a connection.

use std::net::SocketAddr;

/// The addresses of both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerAddresses {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}
