//! ICE candidates of the far end: which of them can be used, and how they are written for the library.

use std::net::{IpAddr, SocketAddr};

use crate::network::Nat64Prefix;

/// Reads a candidate attribute, with or without `a=` and `candidate:`, and returns it with only the parts that are
/// needed. Returns `None` if the candidate cannot be used (RFC 8839, section 5.1).
///
/// A line that is not understood must not cost the others. Such lines have a host name that only the sender's network
/// can resolve (`.local`), a link-local address with the name of the sender's interface, or an outdated transport or
/// type. TCP is left out too, because callbox has no TCP socket to pair it with (docs/workarounds.md, "webrtc: a
/// candidate that it cannot read costs the others").
pub(crate) fn usable(line: &str) -> Option<String> {
    let line = line.trim();
    let line = line.strip_prefix("a=").unwrap_or(line);
    let line = line.strip_prefix("candidate:").unwrap_or(line);
    let mut parts = line.split_whitespace();
    let foundation = parts.next().filter(|text| text.len() <= 64 && text.chars().all(|c| c.is_ascii_graphic()))?;
    // RTP and RTCP share one component.
    parts.next().filter(|component| *component == "1")?;
    parts.next().filter(|transport| transport.eq_ignore_ascii_case("udp"))?;
    let priority: u32 = parts.next()?.parse().ok()?;
    let address: IpAddr = parts.next()?.parse().ok().filter(is_reachable)?;
    let port: u16 = parts.next()?.parse().ok().filter(|port| *port != 0)?;
    parts.next().filter(|word| word.eq_ignore_ascii_case("typ"))?;
    let kind = parts.next()?.to_ascii_lowercase();
    let mut text = format!("candidate:{foundation} 1 udp {priority} {address} {port} typ {kind}");
    match kind.as_str() {
        "host" => {}
        "srflx" | "prflx" | "relay" => {
            let rest: Vec<&str> = parts.collect();
            let after = |key: &str| rest.iter().skip_while(|word| **word != key).nth(1).copied();
            let related_address = after("raddr").and_then(|address| address.parse::<IpAddr>().ok());
            let related_port = after("rport").and_then(|port| port.parse::<u16>().ok());
            // Senders that hide their own address write zeros.
            let hidden = if address.is_ipv4() { "0.0.0.0" } else { "::" };
            let related_address = related_address.map_or(hidden.to_owned(), |address| address.to_string());
            text.push_str(&format!(" raddr {related_address} rport {}", related_port.unwrap_or(0)));
        }
        _ => return None,
    }
    Some(text)
}

/// Returns the address of a candidate that has the form that [`usable`] returns.
pub(crate) fn address(usable: &str) -> Option<SocketAddr> {
    let mut parts = usable.split(' ').skip(4);
    Some(SocketAddr::new(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The same candidate with the address at which a NAT64 reaches it, if it has an IPv4 address. It has the form that
/// [`usable`] returns.
pub(crate) fn through_nat64(usable: &str, nat64: Nat64Prefix) -> Option<String> {
    let mut parts: Vec<String> = usable.split(' ').map(str::to_owned).collect();
    let place = parts.get_mut(4)?;
    *place = nat64.address_of(place.parse().ok()?).to_string();
    Some(parts.join(" "))
}

/// Whether a machine can have the address, and no interface name is needed to reach it.
fn is_reachable(address: &IpAddr) -> bool {
    let link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    !address.is_unspecified() && !address.is_multicast() && !link_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_of_real_far_ends_are_taken() {
        for (line, taken) in [
            (
                "candidate:1 1 udp 2013266431 192.0.2.7 40000 typ host",
                "candidate:1 1 udp 2013266431 192.0.2.7 40000 typ host",
            ),
            (
                "a=candidate:842163049 1 UDP 1677729535 198.51.100.2 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag x network-cost 999",
                "candidate:842163049 1 udp 1677729535 198.51.100.2 46154 typ srflx raddr 0.0.0.0 rport 0",
            ),
            ("1 1 udp 4294967295 2001:db8::1 9 typ host", "candidate:1 1 udp 4294967295 2001:db8::1 9 typ host"),
            (
                "candidate:R 1 udp 7 192.0.2.1 3478 TYP relay raddr name.example rport x",
                "candidate:R 1 udp 7 192.0.2.1 3478 typ relay raddr 0.0.0.0 rport 0",
            ),
        ] {
            assert_eq!(usable(line).as_deref(), Some(taken), "{line}");
        }
    }

    #[test]
    fn an_ipv4_candidate_is_reached_through_a_nat64() {
        let nat64 = Nat64Prefix::of("64:ff9b::c000:aa".parse().unwrap()).unwrap();
        let relay = "candidate:R 1 udp 7 192.0.2.1 3478 typ relay raddr 0.0.0.0 rport 0";
        let reached = through_nat64(relay, nat64).unwrap();
        assert_eq!(reached, "candidate:R 1 udp 7 64:ff9b::c000:201 3478 typ relay raddr 0.0.0.0 rport 0");
        assert_eq!(address(&reached), Some("[64:ff9b::c000:201]:3478".parse().unwrap()));
        assert_eq!(through_nat64("candidate:1 1 udp 4294967295 2001:db8::1 9 typ host", nat64), None);
    }

    #[test]
    fn candidates_that_cannot_be_used_are_left_out() {
        for line in [
            "candidate:1 1 udp 1 fe80::1%eth0 5000 typ host",
            "candidate:1 1 udp 1 fe80::1 5000 typ host",
            "candidate:1 1 udp 1 3b8e-01.local 5000 typ host",
            "candidate:1 1 udp 1 phone.example 5000 typ host",
            "candidate:1 1 ssltcp 1 192.0.2.1 443 typ host",
            "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
            "candidate:1 1 udp 4294967296 192.0.2.1 5000 typ host",
            "candidate:1 1 udp -1 192.0.2.1 5000 typ host",
            "candidate:1 1 udp 1 192.0.2.1 5000 typ magic",
            "candidate:1 2 udp 1 192.0.2.1 5001 typ host",
            "candidate:1 1 udp 1 192.0.2.1 0 typ host",
            "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
            "candidate:1 1 udp 1 0.0.0.0 5000 typ host",
            "candidate:1 1 udp 1 192.0.2.1 5000",
            "candidate:",
            "",
        ] {
            assert_eq!(usable(line), None, "{line}");
        }
    }
}
