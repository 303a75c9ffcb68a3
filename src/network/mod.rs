//! The machine's network: which addresses it has, and when that changes (rtnetlink(7)).
//!
//! The kernel rings when a link, an address or a route changes; the addresses themselves are then
//! read as a whole (getifaddrs(3)), so that no message of the kernel can be missed or misread.

mod addresses;
mod watch;

pub use addresses::usable_addresses;
pub use watch::{WatchError, watch};
