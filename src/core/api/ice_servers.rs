//! STUN and TURN servers, as far as the core and people need to know them. Addresses and credentials never leave the
//! adapters.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{IceServer, IceTransport};

/// How many addresses of STUN and TURN servers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IceServerCounts {
    pub stun: usize,
    /// TURN over UDP.
    pub turn_udp: usize,
    /// TURN over TCP.
    pub turn_tcp: usize,
    /// TURN over TLS.
    pub turn_tls: usize,
}

impl IceServerCounts {
    /// Counts the addresses of a list.
    pub fn of(servers: &[IceServer]) -> Self {
        let count =
            |transport| servers.iter().flat_map(|server| &server.urls).filter(|url| url.transport == transport).count();
        Self {
            stun: count(IceTransport::Stun),
            turn_udp: count(IceTransport::TurnUdp),
            turn_tcp: count(IceTransport::TurnTcp),
            turn_tls: count(IceTransport::TurnTls),
        }
    }
}

/// Such as `1 STUN, 2 TURN over TLS`.
impl std::fmt::Display for IceServerCounts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = [self.stun, self.turn_udp, self.turn_tcp, self.turn_tls];
        let parts: Vec<String> = counts
            .iter()
            .zip(IceTransport::ALL)
            .filter(|(count, _)| **count > 0)
            .map(|(count, transport)| format!("{count} {transport}"))
            .collect();
        formatter.write_str(if parts.is_empty() { "none".into() } else { parts.join(", ") }.as_str())
    }
}

/// The answer to `Effect::ObtainIceServers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IceServersAnswer {
    /// The adapter has a list, and uses it for each new peer connection from now on.
    Obtained {
        counts: IceServerCounts,
        /// The list is not the one from before.
        changed: bool,
        /// How long its credentials are valid; `None` if that is unknown, or if they are not valid any more.
        lifetime: Option<Duration>,
        /// When they end, for people (RFC 3339).
        until: Option<String>,
    },
    /// The server hands out none. The adapter uses none.
    NotOffered,
    /// There was no usable answer. The adapter goes on with the list that it has. The text is a message for people.
    Failed(String),
}

/// Where the STUN and TURN servers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub enum IceServerSource {
    /// The telephony server hands them out.
    #[default]
    #[serde(rename = "core")]
    Server,
    /// The configuration lists them.
    #[serde(rename = "configuration")]
    Configuration,
}

/// The STUN and TURN servers in use.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct IceServersStatus {
    pub source: IceServerSource,
    #[serde(flatten)]
    pub counts: IceServerCounts,
    /// When their credentials end (RFC 3339); null if they do not end, or if that is unknown.
    pub until: Option<String>,
    /// Why the telephony server could not be asked for others, as a message for people; null if it could.
    pub fault: Option<String>,
}
