//! STUN and TURN servers, and their addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Host;

use crate::secret::Credential;

/// Where the list of STUN and TURN servers comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum IceServers {
    /// The telephony server hands them out (docs/protocol.md, "ICE servers").
    #[default]
    FromServer,
    /// The configuration lists them. There may be none.
    Listed(Vec<IceServer>),
}

/// A STUN or TURN server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    pub urls: Vec<IceUrl>,
    /// The user name for TURN.
    pub username: Credential,
    /// The password for TURN.
    pub credential: Credential,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// What a server does, and by which transport it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IceTransport {
    /// STUN over UDP (RFC 8489).
    Stun,
    /// TURN over UDP (RFC 8656).
    TurnUdp,
    /// TURN over TCP (RFC 8656, section 3.1).
    TurnTcp,
    /// TURN over TLS over TCP (RFC 8656, section 3.1).
    TurnTls,
}

impl IceTransport {
    pub const ALL: [Self; 4] = [Self::Stun, Self::TurnUdp, Self::TurnTcp, Self::TurnTls];
}

impl fmt::Display for IceTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stun => "STUN",
            Self::TurnUdp => "TURN over UDP",
            Self::TurnTcp => "TURN over TCP",
            Self::TurnTls => "TURN over TLS",
        })
    }
}

/// The address of a STUN or TURN server: a `stun:`, `turn:` or `turns:` URI (RFC 7064, RFC 7065).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IceUrl {
    pub transport: IceTransport,
    /// A host name or an IP address. An IPv6 address has no brackets.
    pub host: String,
    pub port: u16,
}

/// Why a text is not the address of a STUN or TURN server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IceUrlError {
    #[error("is not a STUN or TURN address")]
    Scheme,
    #[error("has no valid host")]
    Host,
    #[error("has no valid port")]
    Port,
    #[error("has a transport that this station does not have")]
    Transport,
}

/// The default port of `stun:` and `turn:` (RFC 7064, section 3.2).
const DEFAULT_PORT: u16 = 3478;
/// The default port of `turns:` (RFC 7065, section 3.2).
const DEFAULT_TLS_PORT: u16 = 5349;

impl FromStr for IceUrl {
    type Err = IceUrlError;

    fn from_str(text: &str) -> Result<Self, IceUrlError> {
        let (scheme, rest) = text.split_once(':').ok_or(IceUrlError::Scheme)?;
        let (authority, query) =
            rest.split_once('?').map_or((rest, None), |(authority, query)| (authority, Some(query)));
        let over = match query {
            None => None,
            Some(query) => Some(query.strip_prefix("transport=").ok_or(IceUrlError::Transport)?.to_ascii_lowercase()),
        };
        let transport = match (scheme.to_ascii_lowercase().as_str(), over.as_deref()) {
            ("stun", None | Some("udp")) => IceTransport::Stun,
            ("turn", None | Some("udp")) => IceTransport::TurnUdp,
            ("turn", Some("tcp")) => IceTransport::TurnTcp,
            ("turns", None | Some("tcp")) => IceTransport::TurnTls,
            ("stun" | "turn" | "turns", Some(_)) => return Err(IceUrlError::Transport),
            _ => return Err(IceUrlError::Scheme),
        };
        let (host, port) = split_port(authority)?;
        let default = if transport == IceTransport::TurnTls { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(IceUrlError::Port)?,
            None => default,
        };
        let host = match Host::parse(host).map_err(|_| IceUrlError::Host)? {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self { transport, host, port })
    }
}

/// Splits `host`, `host:port`, `[address]` or `[address]:port`.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), IceUrlError> {
    let end = authority.find(']').map_or(0, |bracket| bracket + 1);
    let (address, rest) = authority.split_at_checked(end).ok_or(IceUrlError::Host)?;
    match rest.rsplit_once(':') {
        Some((host, port)) if end == 0 => Ok((host, Some(port))),
        Some(("", port)) => Ok((address, Some(port))),
        None if end == 0 || rest.is_empty() => Ok((authority, None)),
        Some(_) | None => Err(IceUrlError::Host),
    }
}

impl IceUrl {
    /// The host and the port, as they stand in a URI.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }
}

/// A host and its port, as they stand in a URI: an IPv6 address has brackets there (RFC 3986, section 3.2.2).
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl fmt::Display for IceUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, query) = match self.transport {
            IceTransport::Stun => ("stun", ""),
            IceTransport::TurnUdp => ("turn", "?transport=udp"),
            IceTransport::TurnTcp => ("turn", "?transport=tcp"),
            IceTransport::TurnTls => ("turns", "?transport=tcp"),
        };
        write!(formatter, "{scheme}:{}{query}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(IceTransport, String, u16), IceUrlError> {
        text.parse::<IceUrl>().map(|url| (url.transport, url.host, url.port))
    }

    #[test]
    fn scheme_transport_host_and_port_are_read() {
        use IceTransport::*;
        assert_eq!(read("stun:stun.example.com"), Ok((Stun, "stun.example.com".into(), 3478)));
        assert_eq!(read("turn:192.0.2.1:80"), Ok((TurnUdp, "192.0.2.1".into(), 80)));
        assert_eq!(read("turn:h?transport=tcp"), Ok((TurnTcp, "h".into(), 3478)));
        assert_eq!(read("turns:h"), Ok((TurnTls, "h".into(), 5349)));
        assert_eq!(read("TURNS:H:443?transport=TCP"), Ok((TurnTls, "h".into(), 443)));
        assert_eq!(read("turn:[2001:db8::1]:99"), Ok((TurnUdp, "2001:db8::1".into(), 99)));
        assert_eq!(read("turn:[2001:db8::1]"), Ok((TurnUdp, "2001:db8::1".into(), 3478)));
    }

    #[test]
    fn what_is_no_such_address_is_refused() {
        for text in ["", "h", "http:h", "stuns:h", "turns"] {
            assert_eq!(read(text), Err(IceUrlError::Scheme), "{text}");
        }
        for text in
            ["turn:", "turn::3478", "turn:a b", "turn:u@h", "turn://h", "turn:[::1", "turn:[::1]x", "turn:2001:db8::1"]
        {
            assert_eq!(read(text), Err(IceUrlError::Host), "{text}");
        }
        for text in ["turn:h:", "turn:h:0", "turn:h:65536", "turn:h:-1"] {
            assert_eq!(read(text), Err(IceUrlError::Port), "{text}");
        }
        for text in ["turns:h?transport=udp", "turn:h?x=1", "turn:h?transport=sctp", "stun:h?transport=tcp"] {
            assert_eq!(read(text), Err(IceUrlError::Transport), "{text}");
        }
    }

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        for text in
            ["stun:h:3478", "turn:h:1?transport=udp", "turn:[::1]:2?transport=tcp", "turns:192.0.2.1:443?transport=tcp"]
        {
            assert_eq!(text.parse::<IceUrl>().map(|url| url.to_string()).as_deref(), Ok(text));
        }
    }
}
