//! The names and addresses of this machine, for its certificate.

use std::net::{IpAddr, UdpSocket};

/// The machine's host name, and its mDNS name.
pub(crate) fn machine_names() -> Vec<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { Vec::new() } else { vec![name.to_owned(), format!("{name}.local")] }
}

/// The addresses for the certificate: the one that the server listens on, or, if that is a wildcard, 127.0.0.1 and the
/// source addresses of the default routes.
pub(crate) fn own_addresses(listen: IpAddr) -> Vec<IpAddr> {
    if !listen.is_unspecified() {
        return vec![listen];
    }
    let mut addresses = vec![IpAddr::from([127, 0, 0, 1])];
    // Documentation addresses (RFC 5737, RFC 3849): only the route is looked up, nothing is sent.
    let routes = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    for (from, to) in routes {
        let address = UdpSocket::bind(from)
            .and_then(|socket| socket.connect(to).map(|()| socket))
            .and_then(|socket| socket.local_addr());
        if let Ok(address) = address
            && !address.ip().is_unspecified()
        {
            addresses.push(address.ip());
        }
    }
    addresses
}
