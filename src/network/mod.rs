//! The addresses of the machine, when they change (rtnetlink(7)), and how IPv4 is reached from a network without it.
//!
//! The kernel sends a message when a link, an address or a route changes. The content of the message is ignored: all
//! addresses are read again (getifaddrs(3)), so that no message of the kernel can be missed or misread.

mod addresses;
mod nat64;
mod watch;

pub use addresses::usable_addresses;
pub use nat64::{Nat64Prefix, has_ipv4_route, has_ipv6_route, has_route, reachable_host};
pub use watch::{WatchError, watch};
