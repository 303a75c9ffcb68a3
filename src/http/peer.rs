//! The addresses of a connection.

use std::net::SocketAddr;

/// The addresses of both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAddresses {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}
