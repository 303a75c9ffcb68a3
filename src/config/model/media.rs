//! `[media]`: addresses, codecs, STUN and TURN.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// `[media]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MediaConfig {
    /// Addresses to gather candidates from; every usable one where empty.
    pub bind: Vec<IpAddr>,
    /// Preference order.
    pub codecs: Vec<Codec>,
    /// STUN and TURN.
    pub ice_servers: Vec<IceServer>,
}

/// A speech codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// RFC 6716
    Opus,
    /// G.711 A-law
    Pcma,
    /// G.711 µ-law
    Pcmu,
}

impl Codec {
    /// All of them, in the default order of preference.
    pub const ALL: [Codec; 3] = [Self::Opus, Self::Pcma, Self::Pcmu];

    /// Its name in `media.codecs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcma => "pcma",
            Self::Pcmu => "pcmu",
        }
    }
}

/// A STUN or TURN server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:` or `turn:` addresses.
    pub urls: Vec<String>,
    /// TURN user name.
    pub username: String,
    /// TURN password, read from `credential_file`.
    pub credential: String,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}
