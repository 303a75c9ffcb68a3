//! Options of the socket to a TURN server.

use std::io;

use nix::sys::socket::{setsockopt, sockopt};
use nix::{libc, setsockopt_impl, sockopt_impl};
use tokio::net::TcpStream;

/// The kernel asks after this many seconds of silence, and then as often, whether the server is still there.
const PROBE_INTERVAL_S: u32 = 5;
/// After this time without an acknowledgement the connection is over.
const DEAD_AFTER_MS: u32 = 10_000;
/// The kernel takes no more while this many octets have not been sent: about 100 ms of a call. What is late is better
/// dropped than queued.
const MAX_UNSENT_OCTETS: u32 = 1500;

sockopt_impl!(
    /// `TCP_NOTSENT_LOWAT` of tcp(7).
    NotSentLowWater,
    SetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_NOTSENT_LOWAT,
    u32
);

/// Makes a connection fit for speech: it keeps little, and notices when the server is gone.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &PROBE_INTERVAL_S)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &PROBE_INTERVAL_S)?;
    setsockopt(stream, sockopt::TcpUserTimeout, &DEAD_AFTER_MS)?;
    setsockopt(stream, NotSentLowWater, &MAX_UNSENT_OCTETS)?;
    Ok(())
}
