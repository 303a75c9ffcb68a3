//! TURN over TCP and TLS (RFC 8656, section 3.1), for networks that let no UDP through.
//!
//! The media library speaks TURN over UDP alone (docs/workarounds.md, "webrtc: turn works over udp alone"). So it is
//! told an address that is nobody's, and what it sends there goes over a stream instead ([`bridge`]): each TURN message
//! is framed by its own length ([`framing`]). [`allocation`] sees why a server gives no relay. What comes back is given to the library as if it came from that address.
//! The guard sees both directions as it sees datagrams.

mod allocation;
mod bridge;
mod faults;
mod framing;
mod socket;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::config::{IceTransport, IceUrl};
use crate::signaling::Connector;

pub(super) use allocation::UdpServers;
pub(super) use bridge::Bridges;
pub use faults::TurnFaults;
pub(super) use framing::carries_media;

/// The most servers of one peer connection that are reached over a stream.
const MAX_SERVERS: u16 = 8;
/// The port of the first address that stands for a server. The others follow it.
const FIRST_PORT: u16 = 3478;
/// The address that stands for servers: one that no machine and no packet has (RFC 7600, section 6.4, "IPv4 dummy
/// address"; RFC 6666, the discard prefix). A documentation address may be that of a real server in a test network.
const IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
const IPV6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 8);

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
        let index = u16::try_from(self.servers.len()).ok().filter(|index| *index < MAX_SERVERS)?;
        self.servers.push(url.clone());
        let host = if ipv6 { IpAddr::V6(IPV6) } else { IpAddr::V4(IPV4) };
        Some(IceUrl { transport: IceTransport::TurnUdp, host: host.to_string(), port: FIRST_PORT + index })
    }

    /// The server that an address stands for.
    fn server_at(&self, address: SocketAddr) -> Option<&IceUrl> {
        let stands_for_one = matches!(address.ip(), IpAddr::V4(IPV4) | IpAddr::V6(IPV6));
        let index = address.port().checked_sub(FIRST_PORT).filter(|_| stands_for_one)?;
        self.servers.get(usize::from(index))
    }

    /// The transport of the server whose address the library was told in this URL.
    pub(super) fn transport_of(&self, url: &str) -> Option<IceTransport> {
        let url: IceUrl = url.parse().ok()?;
        let address = SocketAddr::new(url.host.parse().ok()?, url.port);
        self.server_at(address).map(|server| server.transport)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signaling::{Connector, turn_client_config};

    #[test]
    fn each_server_has_an_address_and_no_real_one_stands_for_it() {
        let connector = Connector::new(turn_client_config(None).unwrap(), None);
        let mut servers = StreamServers::new(TurnContext { connector, faults: Arc::default() });
        let urls: Vec<IceUrl> =
            (0..MAX_SERVERS + 1).map(|port| format!("turns:h:{}", port + 1).parse().unwrap()).collect();
        let told: Vec<Option<IceUrl>> = urls.iter().map(|url| servers.add(url, url.port % 2 == 0)).collect();
        assert!(told.last().is_some_and(Option::is_none), "there is room for {MAX_SERVERS}");
        for (url, told) in urls.iter().zip(told.iter().flatten()) {
            let address = SocketAddr::new(told.host.parse().unwrap(), told.port);
            assert_eq!(servers.server_at(address), Some(url));
        }
        for address in ["192.0.2.1:3478", "[2001:db8::1]:3478", "192.0.0.8:3477", "192.0.0.8:3486", "127.0.0.1:3478"] {
            assert_eq!(servers.server_at(address.parse().unwrap()), None, "{address}");
        }
    }
}
