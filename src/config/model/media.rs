//! `[media]`: addresses, codecs, STUN and TURN.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::ice_server::IceServers;

/// The table `[media]` (docs/configuration.md, "`[media]`").
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MediaConfig {
    /// Local addresses for ICE candidates; empty for every usable address.
    pub bind: Vec<IpAddr>,
    /// In order of preference.
    pub codecs: Vec<Codec>,
    pub ice_servers: IceServers,
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
    /// All codecs, in the default order of preference.
    pub const ALL: [Codec; 3] = [Self::Opus, Self::Pcma, Self::Pcmu];

    /// The name of the codec in `media.codecs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcma => "pcma",
            Self::Pcmu => "pcmu",
        }
    }
}
