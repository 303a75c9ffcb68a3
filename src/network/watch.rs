//! Reports changes of the addresses.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::usable_addresses;

/// The kernel sends many messages for one change. They are waited for, so that one change is reported once
/// (docs/workarounds.md, "kernel: a change of the network is many messages").
const SETTLE: Duration = Duration::from_millis(50);
/// Messages without a change of address (a route, a renewed lease) are reported at most this often, and never lost.
const QUIET: Duration = Duration::from_secs(1);

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE (rtnetlink(7)).
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// Why changes of the network cannot be watched (docs/workarounds.md, "systemd: address families must name netlink").
#[derive(Debug, thiserror::Error)]
#[error("changes of the network are not seen: {0}; the unit must allow AF_NETLINK (RestrictAddressFamilies=)")]
pub struct WatchError(#[from] io::Error);

/// Sends the usable addresses now, whenever they change, and when a route changes.
///
/// # Errors
///
/// The netlink socket cannot be opened.
pub fn watch(changes: mpsc::Sender<Vec<IpAddr>>) -> Result<tokio::task::JoinHandle<()>, WatchError> {
    let bell = Bell::new()?;
    Ok(tokio::spawn(async move {
        let mut told: Option<(Vec<IpAddr>, Instant)> = None;
        loop {
            // If the addresses cannot be read now, they are read after the next message.
            if let Ok(addresses) = usable_addresses() {
                let due = told.as_ref().is_none_or(|(before, at)| *before != addresses || at.elapsed() >= QUIET);
                if due {
                    if changes.send(addresses.clone()).await.is_err() {
                        return;
                    }
                    told = Some((addresses, Instant::now()));
                } else if let Some((_, at)) = &told {
                    // The addresses are read again when the report is due, or after the next message.
                    tokio::select! {
                        rung = bell.rings() => {
                            if rung.is_err() {
                                return;
                            }
                            sleep(SETTLE).await;
                        }
                        () = sleep_until(*at + QUIET) => {}
                    }
                    continue;
                }
            }
            if bell.rings().await.is_err() {
                return;
            }
            sleep(SETTLE).await;
        }
    }))
}

/// A netlink socket that only signals that a message has come. Readiness and recv(2) are the same for every kind of
/// datagram socket, so tokio's Unix socket can be used, without unsafe code (docs/workarounds.md, "tokio: there is no
/// netlink socket").
struct Bell(UnixDatagram);

impl Bell {
    fn new() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Self(UnixDatagram::from_std(socket.into())?))
    }

    /// Waits for the next message, and reads everything that has come so far.
    async fn rings(&self) -> io::Result<()> {
        let mut buffer = [0_u8; 8192];
        self.0.readable().await?;
        loop {
            match self.0.try_recv(&mut buffer) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // More messages came than the socket can hold (netlink(7), ENOBUFS). They count as messages too
                // (docs/workarounds.md, "kernel: a change of the network is many messages").
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
