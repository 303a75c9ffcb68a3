//! TURN over TCP and TLS (RFC 8656, section 3.1), for networks that let no UDP through.
//!
//! The media library speaks TURN over UDP alone (docs/workarounds.md, "webrtc: turn works over udp alone"). So it is
//! told an address that is nobody's, and what it sends there goes over a stream instead ([`bridge`]): each TURN message
//! is framed by its own length ([`framing`]). What comes back is given to the library as if it came from that address.
//! The guard sees both directions as it sees datagrams.

mod bridge;
mod faults;
mod framing;
mod socket;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::config::{IceTransport, IceUrl};
use crate::signaling::Connector;

pub(super) use bridge::Bridges;
pub use faults::TurnFaults;
pub(super) use framing::carries_media;

/// The most servers of one peer connection that are reached over a stream.
const MAX_SERVERS: u8 = 8;
/// The port of all addresses that stand for a server.
const PORT: u16 = 3478;

/// What streams need, beside the address of their server.
#[derive(Clone)]
pub struct TurnContext {
    pub connector: Connector,
    pub faults: Arc<TurnFaults>,
}

/// The TURN servers of one peer connection that are reached over a stream. Each has an address that stands for it.
#[derive(Clone)]
pub(super) struct StreamServers {
    servers: Vec<IceUrl>,
    context: TurnContext,
}

impl StreamServers {
    pub(super) fn new(context: TurnContext) -> Self {
        Self { servers: Vec::new(), context }
    }

    /// Takes a server. Returns the address that stands for it, as the library is told; `None` if there is no room.
    ///
    /// `ipv6`: the sockets of the peer connection have no IPv4 address.
    pub(super) fn add(&mut self, url: &IceUrl, ipv6: bool) -> Option<IceUrl> {
        let index = u8::try_from(self.servers.len()).ok().filter(|index| *index < MAX_SERVERS)?;
        self.servers.push(url.clone());
        let host = if ipv6 { IpAddr::V6(ipv6_of(index)) } else { IpAddr::V4(ipv4_of(index)) };
        Some(IceUrl { transport: IceTransport::TurnUdp, host: host.to_string(), port: PORT })
    }

    /// The server that an address stands for.
    fn server_at(&self, address: SocketAddr) -> Option<&IceUrl> {
        let servers = (0..MAX_SERVERS).zip(&self.servers);
        let mut found = servers.filter(|(index, _)| {
            address.ip() == IpAddr::V4(ipv4_of(*index)) || address.ip() == IpAddr::V6(ipv6_of(*index))
        });
        found.next().filter(|_| address.port() == PORT).map(|(_, server)| server)
    }

    /// The transport of the server whose address the library was told in this URL.
    pub(super) fn transport_of(&self, url: &str) -> Option<IceTransport> {
        let url: IceUrl = url.parse().ok()?;
        let address = SocketAddr::new(url.host.parse().ok()?, url.port);
        self.server_at(address).map(|server| server.transport)
    }
}

/// Documentation addresses, which no machine has (RFC 5737, RFC 3849).
fn ipv4_of(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, index + 1)
}

fn ipv6_of(index: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(index) + 1)
}
