//! Limits the number of connections, in total and per network, and reserves some for people who are logged in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many connections are served at a time. Further ones are closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections of all clients together. A quarter of them is reserved for addresses from which somebody is logged
    /// in.
    pub total: usize,
    /// Connections of one address. A /64 of IPv6 counts as one address.
    pub per_address: usize,
}

impl Default for ConnectionLimits {
    /// The limits for a household.
    fn default() -> Self {
        Self { total: 256, per_address: 64 }
    }
}

/// An address from which somebody was logged in is known for this long.
const KNOWN_FOR: Duration = Duration::from_secs(12 * 3600);
/// Known addresses that are remembered. A further one replaces the oldest.
const MAX_KNOWN: usize = 64;

/// The network of an address: an IPv4 address itself, or the /64 of an IPv6 address (RFC 4291, section 2.5.4), because
/// a client can use every address of its /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

/// All places of a listener.
pub(crate) struct Places {
    limits: ConnectionLimits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: usize,
    taken: HashMap<IpAddr, usize>,
    known: HashMap<IpAddr, Instant>,
}

/// One place, which is free again when this is dropped.
pub(crate) struct Place {
    network: IpAddr,
    of: Arc<Places>,
}

impl Places {
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    /// Notes that somebody has shown a valid password or token from this address.
    pub(crate) fn know(&self, address: IpAddr) {
        self.know_at(address, Instant::now());
    }

    fn know_at(&self, address: IpAddr, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.known.retain(|_, at| now.duration_since(*at) < KNOWN_FOR);
        let oldest = state.known.iter().min_by_key(|(_, at)| **at).map(|(address, _)| *address);
        if let Some(oldest) = oldest.filter(|_| state.known.len() >= MAX_KNOWN) {
            state.known.remove(&oldest);
        }
        state.known.insert(network(address), now);
    }

    /// Takes a place for a connection from this address, if one is free.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        self.take_at(address, Instant::now())
    }

    fn take_at(self: &Arc<Self>, address: IpAddr, now: Instant) -> Option<Place> {
        let network = network(address);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = state.known.get(&network).is_some_and(|at| now.duration_since(*at) < KNOWN_FOR);
        let kept = if known { 0 } else { self.limits.total / 4 };
        if state.total + kept >= self.limits.total {
            return None;
        }
        let count = state.taken.entry(network).or_default();
        if *count >= self.limits.per_address {
            return None;
        }
        *count += 1;
        state.total += 1;
        Some(Place { network, of: Arc::clone(self) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.of.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.total = state.total.saturating_sub(1);
        if let Some(count) = state.taken.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                state.taken.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_one_whatever_address_it_takes() {
        let places = Places::new(ConnectionLimits { total: 100, per_address: 2 });
        let of = |text: &str| places.take(text.parse().unwrap());
        let held = [of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2")];
        assert!(held.iter().all(Option::is_some));
        assert!(of("2001:db8:0:1::3").is_none());
        assert!(of("2001:db8:0:2::3").is_some());
        let held = [of("192.0.2.1"), of("::ffff:192.0.2.1")];
        assert!(held.iter().all(Option::is_some) && of("192.0.2.1").is_none() && of("192.0.2.2").is_some());
    }

    #[test]
    fn a_crowd_leaves_room_for_who_is_logged_in() {
        let places = Places::new(ConnectionLimits { total: 8, per_address: 8 });
        let now = Instant::now();
        let (crowd, resident) = (IpAddr::from([192, 0, 2, 66]), IpAddr::from([192, 0, 2, 7]));
        let mut held: Vec<Place> = std::iter::from_fn(|| places.take_at(crowd, now)).take(100).collect();
        assert_eq!(held.len(), 6);
        assert!(places.take_at(resident, now).is_none());
        places.know_at(resident, now);
        held.extend(places.take_at(resident, now));
        assert_eq!(held.len(), 7);
        assert!(places.take_at(resident, now + KNOWN_FOR).is_none());
        held.clear();
        assert!(places.take_at(crowd, now).is_some());
    }
}
