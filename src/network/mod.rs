//! The addresses of the machine, and when they change (rtnetlink(7)).
//!
//! The kernel sends a message when a link, an address or a route changes. The content of the message is ignored: all
//! addresses are read again (getifaddrs(3)), so that no message of the kernel can be missed or misread.

mod addresses;
mod watch;

pub use addresses::usable_addresses;
pub use watch::{WatchError, watch};
