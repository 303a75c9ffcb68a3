//! `[core]`: the telephony server and how the station logs in to it.

use std::path::PathBuf;

use crate::secret::{Credential, PersonName};
use serde::{Deserialize, Serialize};
use url::Url;

use super::key_pin::KeyPin;
use super::proxy::Proxy;

/// The table `[core]` (docs/configuration.md, "`[core]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoreConfig {
    /// Base addresses with the scheme http or https, in order of preference; at least one.
    pub urls: Vec<Url>,
    /// Adds `/tenant/NAME` to the addresses.
    pub tenant: Option<String>,
    pub credentials: Credentials,
    pub trust: ServerTrust,
    pub proxy: Option<Proxy>,
    /// The SIP domains of the account, in canonical form for comparison. Callers of these domains are identified by
    /// their number alone.
    pub sip_domains: Vec<String>,
    /// Mutual TLS: the files of the certificate chain and of the key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    pub takeover: Takeover,
    /// Stable device id. `None`: it is made from the machine.
    pub identifier: Option<PersonName>,
    /// How many lines of the session to use, 1 or 2.
    pub lines: u32,
}

/// How the station knows its server. By default, by the CAs of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerTrust {
    /// Certificates to trust in place of the platform's roots.
    pub ca_file: Option<PathBuf>,
    /// The hashes of the server's keys. Without a `ca_file`, a key is enough; otherwise both must fit.
    pub pins: Vec<KeyPin>,
}

/// Where the session token comes from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credentials {
    /// The token itself, in the configuration (for a lab).
    Token(Credential),
    TokenFile(PathBuf),
    /// A login with a user name and a password.
    Login {
        login: PersonName,
        password_file: PathBuf,
    },
    /// A file with a one-time token for provisioning.
    ConfigTokenFile(PathBuf),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Token(_) => "Token(…)",
            Self::TokenFile(_) => "TokenFile",
            Self::Login { .. } => "Login",
            Self::ConfigTokenFile(_) => "ConfigTokenFile",
        })
    }
}

/// What to do when another client takes our session over (`core.takeover`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Takeover {
    /// Wait, and try again without force.
    Never,
    /// Take it back by force, at most once an hour.
    Once,
    /// Take it back by force, at most 3 times in 10 minutes.
    Always,
}
