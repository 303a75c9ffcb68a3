//! `[core]`: the telephony server and how the station logs in to it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

/// The session with the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoreConfig {
    /// Base addresses, scheme http or https, in order of preference; at least one.
    pub urls: Vec<Url>,
    /// Adds `/tenant/NAME`.
    pub tenant: Option<String>,
    /// Where the token comes from.
    pub credentials: Credentials,
    /// A private CA in place of the platform's roots.
    pub ca_file: Option<PathBuf>,
    /// SIP domains of the account: callers of these are known by their number alone. As they are compared.
    pub sip_domains: Vec<String>,
    /// Mutual TLS: certificate chain and key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// What to do when another client takes our session over.
    pub takeover: Takeover,
    /// Stable device id; made from the machine where absent.
    pub identifier: Option<String>,
    /// How many of the session's lines to use.
    pub lines: u32,
}

/// Where the session token comes from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credentials {
    /// In the configuration (lab).
    Token(String),
    /// In a file.
    TokenFile(PathBuf),
    /// Log in by name and password.
    Login {
        /// User name.
        login: String,
        /// File with the password.
        password_file: PathBuf,
    },
    /// Provisioned by a one-time token in a file.
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

/// `core.takeover`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Takeover {
    /// Wait, and try without force.
    Never,
    /// Force once an hour.
    Once,
    /// Force at most 3 times in 10 minutes.
    Always,
}
