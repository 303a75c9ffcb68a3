//! IPv4 addresses in networks that have IPv6 alone and a NAT64 (RFC 6146).
//!
//! A name server with DNS64 gives such a network an IPv6 address for each name. An address that comes as a number, in a
//! candidate or in the configuration, has no name, so its IPv6 address is made here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

/// The name whose only addresses are IPv4, so that an IPv6 address of it shows the prefix (RFC 7050, section 3).
const WELL_KNOWN_NAME: &str = "ipv4only.arpa";
/// Its addresses (RFC 7050, section 2.2).
const WELL_KNOWN_ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);
/// An octet that is zero in every address (RFC 6052, section 2.2).
const RESERVED_OCTET: usize = 8;
/// How many octets a prefix has (RFC 6052, section 2.2).
const LENGTHS: [usize; 6] = [12, 8, 7, 6, 5, 4];

/// The prefix of a NAT64 (RFC 6052).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nat64Prefix {
    prefix: Ipv6Addr,
    /// Octets of the prefix.
    length: usize,
}

impl Nat64Prefix {
    /// Asks the name server of this network for the prefix (RFC 7050); `None` if there is no NAT64.
    pub async fn discover() -> Option<Self> {
        let found = timeout(LOOKUP_TIMEOUT, lookup_host((WELL_KNOWN_NAME, 0))).await.ok()?.ok()?;
        found.into_iter().find_map(|address| match address.ip() {
            IpAddr::V6(address) => Self::of(address),
            IpAddr::V4(_) => None,
        })
    }

    /// The prefix, from an IPv6 address of the well-known name.
    pub fn of(address: Ipv6Addr) -> Option<Self> {
        let fits = |length: &usize| {
            let prefix = Self { prefix: prefix_of(address, *length), length: *length };
            WELL_KNOWN_ADDRESSES.iter().any(|known| prefix.address_of(*known) == address).then_some(prefix)
        };
        LENGTHS.iter().find_map(fits)
    }

    /// The IPv6 address at which an IPv4 address is reached.
    pub fn address_of(&self, address: Ipv4Addr) -> Ipv6Addr {
        let mut octets = self.prefix.octets();
        let places = octets.iter_mut().enumerate().skip(self.length).filter(|(index, _)| *index != RESERVED_OCTET);
        for ((_, place), octet) in places.zip(address.octets()) {
            *place = octet;
        }
        octets.into()
    }
}

fn prefix_of(address: Ipv6Addr, length: usize) -> Ipv6Addr {
    let mut octets = address.octets();
    octets.iter_mut().skip(length).for_each(|octet| *octet = 0);
    octets.into()
}

/// Whether the machine has a route to an address. Nothing is sent.
pub fn has_route(to: IpAddr) -> bool {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // The port is that of no particular service (discard).
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(SocketAddr::new(to, 9))).is_ok()
}

/// Whether the machine has a route to IPv4 addresses outside; likewise [`has_ipv6_route`].
pub fn has_ipv4_route() -> bool {
    // Documentation addresses (RFC 5737, and RFC 3849 below): only the route is looked up.
    has_route(Ipv4Addr::new(192, 0, 2, 1).into())
}

/// Whether the machine has a route to IPv6 addresses outside.
pub fn has_ipv6_route() -> bool {
    has_route(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into())
}

/// The address at which a host that is given as an IPv4 address is reached from here: its own, or one of a NAT64 where
/// there is no route to its own. A name stays as it is.
pub async fn reachable_host(host: &str) -> String {
    match host.parse::<Ipv4Addr>() {
        Ok(address) if !has_route(address.into()) => match Nat64Prefix::discover().await {
            Some(prefix) => prefix.address_of(address).to_string(),
            None => host.to_owned(),
        },
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 33);

    /// The examples of RFC 6052, section 2.4.
    const EXAMPLES: [(&str, usize, &str); 7] = [
        ("2001:db8::", 4, "2001:db8:c000:221::"),
        ("2001:db8:100::", 5, "2001:db8:1c0:2:21::"),
        ("2001:db8:122::", 6, "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::", 7, "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::", 8, "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::", 12, "2001:db8:122:344::c000:221"),
        ("64:ff9b::", 12, "64:ff9b::c000:221"),
    ];

    #[test]
    fn an_ipv4_address_is_put_behind_a_prefix_of_each_length() {
        for (prefix, length, address) in EXAMPLES {
            let prefix = Nat64Prefix { prefix: prefix.parse().unwrap(), length };
            assert_eq!(prefix.address_of(HOST), address.parse::<Ipv6Addr>().unwrap(), "{prefix:?}");
        }
    }

    #[test]
    fn the_prefix_is_found_in_an_address_of_the_well_known_name() {
        for (text, length, _) in EXAMPLES {
            let prefix = Nat64Prefix { prefix: text.parse().unwrap(), length };
            for known in WELL_KNOWN_ADDRESSES {
                assert_eq!(Nat64Prefix::of(prefix.address_of(known)), Some(prefix));
            }
            assert_eq!(Nat64Prefix::of(prefix.address_of(HOST)), None, "another address shows nothing");
        }
        assert_eq!(Nat64Prefix::of(Ipv6Addr::LOCALHOST), None);
    }

    #[tokio::test]
    async fn an_address_with_a_route_and_a_name_stay_as_they_are() {
        for host in ["127.0.0.1", "core.example.com", "::1"] {
            assert_eq!(reachable_host(host).await, host);
        }
    }
}
