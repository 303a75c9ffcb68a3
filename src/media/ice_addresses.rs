//! STUN and TURN servers by their addresses. Names are resolved ahead of time, so that no press and no answer waits for a
//! name server.
//!
//! The library would resolve them inside its driver (docs/workarounds.md, "webrtc: names are resolved inside the
//! driver").

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use webrtc::peer_connection::RTCIceServer;

use super::turn::StreamServers;
use crate::config::{IceServer, IceTransport, IceUrl};
use crate::network::{Nat64Prefix, has_ipv4_route};
use crate::random_waits::random_waits;

/// The longest time for the resolution of all names, which happens at the same time.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Names are resolved again after this time, because servers move.
const REFRESH: Duration = Duration::from_secs(600);
/// The first wait after a name could not be resolved. It doubles up to [`REFRESH`].
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// The servers for the next peer connection, as far as their addresses are known.
#[derive(Debug, Clone, Default)]
pub struct IceAddresses {
    /// The servers as they were listed.
    servers: Arc<[IceServer]>,
    /// The addresses of those that are reached over UDP.
    found: HashMap<IceUrl, Vec<IpAddr>>,
    /// IPv4 addresses are reached through a NAT64, because there is no other way to them.
    nat64: Option<Nat64Prefix>,
}

impl IceAddresses {
    /// The servers that are given by their addresses. Nothing is resolved.
    pub fn literal(servers: Arc<[IceServer]>) -> Self {
        let mut addresses = Self { servers, ..Self::default() };
        addresses.found =
            addresses.over_udp().filter_map(|url| Some((url.clone(), vec![url.host.parse().ok()?]))).collect();
        addresses
    }

    /// Resolves the names of servers. Where that fails, the addresses from before stay.
    pub async fn resolve(servers: Arc<[IceServer]>, before: &Self) -> Self {
        let mut addresses = Self::literal(servers);
        let names: Vec<IceUrl> =
            addresses.over_udp().filter(|url| !addresses.found.contains_key(url)).cloned().collect();
        let lookups = join_all(names.iter().map(|url| async {
            let found = timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((url.host.as_str(), url.port))).await;
            found.ok()?.ok().map(|found| found.map(|address| address.ip()).collect::<Vec<_>>())
        }));
        let nat64 = async { if has_ipv4_route() { None } else { Nat64Prefix::discover().await } };
        let (lookups, nat64) = tokio::join!(lookups, nat64);
        addresses.nat64 = nat64;
        for (url, found) in names.into_iter().zip(lookups) {
            if let Some(found) = found.or_else(|| before.found.get(&url).cloned()) {
                addresses.found.insert(url, found);
            }
        }
        addresses
    }

    /// Whether these are the addresses of this list.
    pub fn are_of(&self, servers: &Arc<[IceServer]>) -> bool {
        self.servers == *servers
    }

    /// The NAT64 prefix of the network, if IPv4 addresses are reached through one alone.
    pub(super) fn nat64(&self) -> Option<Nat64Prefix> {
        self.nat64
    }

    /// The servers as the library takes them. One that is reached over a stream has the address that `streams` has for
    /// it.
    pub(super) fn for_library(&self, streams: &mut StreamServers, is_ipv6_alone: bool) -> Vec<RTCIceServer> {
        let servers = self.servers.iter().map(|server| {
            let urls = server.urls.iter().flat_map(|url| match is_over_stream(url) {
                true => streams.add(url, is_ipv6_alone).into_iter().collect(),
                false => self.by_address(url),
            });
            RTCIceServer {
                urls: urls.map(|url| url.to_string()).collect(),
                username: server.username.clone().into(),
                credential: server.credential.clone().into(),
            }
        });
        servers.filter(|server| !server.urls.is_empty()).collect()
    }

    /// The addresses of the servers that are reached over UDP, with the servers they belong to.
    pub(super) fn udp_servers(&self) -> HashMap<SocketAddr, IceUrl> {
        let of = |url: &IceUrl| {
            let by_address = self.by_address(url).into_iter();
            let addresses = by_address.filter_map(|one| Some(SocketAddr::new(one.host.parse().ok()?, one.port)));
            addresses.map(|address| (address, url.clone())).collect::<Vec<_>>()
        };
        self.over_udp().flat_map(of).collect()
    }

    /// The same server by its addresses: one of each family, because only the sockets know which family can be reached.
    fn by_address(&self, url: &IceUrl) -> Vec<IceUrl> {
        let found = self.found.get(url).map(Vec::as_slice).unwrap_or_default();
        let ipv4 = found.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        let ipv6 = found.iter().find_map(|address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(*address),
        });
        let ipv6: Option<Ipv6Addr> = ipv6.or_else(|| Some(self.nat64?.address_of(ipv4?)));
        let both = [ipv4.map(IpAddr::V4), ipv6.map(IpAddr::V6)];
        both.into_iter().flatten().map(|address| IceUrl { host: address.to_string(), ..url.clone() }).collect()
    }

    fn over_udp(&self) -> impl Iterator<Item = &IceUrl> {
        self.servers.iter().flat_map(|server| &server.urls).filter(|url| !is_over_stream(url))
    }

    /// Whether each name has an address.
    fn are_complete(&self) -> bool {
        self.over_udp().all(|url| self.found.contains_key(url))
    }
}

fn is_over_stream(url: &IceUrl) -> bool {
    matches!(url.transport, IceTransport::TurnTcp | IceTransport::TurnTls)
}

/// Keeps the addresses of the servers up to date: when the list changes, when the network does (`network_changed`), and
/// from time to time. It ends with the list.
pub fn keep_resolved(
    mut servers: watch::Receiver<Arc<[IceServer]>>,
    network_changed: Arc<Notify>,
) -> watch::Receiver<Arc<IceAddresses>> {
    let literal = IceAddresses::literal(Arc::clone(&servers.borrow()));
    let (addresses, receiver) = watch::channel(Arc::new(literal));
    tokio::spawn(async move {
        let mut random = random_waits();
        let mut retry = FIRST_RETRY;
        loop {
            let list = Arc::clone(&servers.borrow_and_update());
            let before = Arc::clone(&addresses.borrow());
            let found = IceAddresses::resolve(list, &before).await;
            let wait = if found.are_complete() { REFRESH } else { retry };
            retry = if found.are_complete() { FIRST_RETRY } else { (retry * 2).min(REFRESH) };
            addresses.send_replace(Arc::new(found));
            tokio::select! {
                changed = servers.changed() => if changed.is_err() { return },
                () = network_changed.notified() => retry = FIRST_RETRY,
                () = sleep(random.between(wait / 2, wait)) => {}
                () = addresses.closed() => return,
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(urls: &[&str]) -> Arc<[IceServer]> {
        let urls = urls.iter().map(|url| url.parse().unwrap()).collect();
        [IceServer { urls, username: "door".into(), credential: "secret".into() }].into()
    }

    #[tokio::test]
    async fn names_are_resolved_and_addresses_stay_as_they_are() {
        let servers = list(&["stun:localhost:1", "turn:192.0.2.7:2", "turns:nowhere.invalid:3"]);
        let addresses = IceAddresses::resolve(Arc::clone(&servers), &IceAddresses::default()).await;
        assert!(addresses.are_of(&servers) && addresses.are_complete(), "a stream resolves its own name");
        let known: Vec<String> = addresses.udp_servers().keys().map(ToString::to_string).collect();
        assert!(known.contains(&"127.0.0.1:1".to_owned()) && known.contains(&"192.0.2.7:2".to_owned()), "{known:?}");
    }

    #[tokio::test]
    async fn a_name_that_is_no_longer_known_keeps_its_addresses() {
        let servers = list(&["stun:nowhere.invalid:1"]);
        let unknown = IceAddresses::resolve(Arc::clone(&servers), &IceAddresses::default()).await;
        assert!(!unknown.are_complete() && unknown.udp_servers().is_empty());
        let mut before = unknown.clone();
        before.found.insert("stun:nowhere.invalid:1".parse().unwrap(), vec![[192, 0, 2, 7].into()]);
        let after = IceAddresses::resolve(servers, &before).await;
        assert!(after.udp_servers().contains_key(&"192.0.2.7:1".parse().unwrap()));
    }

    #[tokio::test]
    async fn another_list_is_resolved_at_once() {
        let (sender, receiver) = watch::channel(list(&["stun:192.0.2.7"]));
        let mut addresses = keep_resolved(receiver, Arc::default());
        assert!(!addresses.borrow().udp_servers().is_empty(), "literal addresses are known from the start");
        let next = list(&["stun:localhost"]);
        sender.send_replace(Arc::clone(&next));
        let waited = timeout(Duration::from_secs(5), addresses.wait_for(|found| found.are_of(&next))).await;
        assert!(waited.is_ok_and(|found| found.is_ok()));
    }
}
