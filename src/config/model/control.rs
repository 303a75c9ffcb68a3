//! `[control]`: how people and the systems of the house reach the station.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::secret::{Credential, PersonName};
use crate::url_host::bare_host;

/// The table `[control]` (docs/configuration.md, "`[control]`").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlConfig {
    /// Path of the control socket. `None`: the usual place.
    pub socket: Option<PathBuf>,
    #[serde(default)]
    pub http: Option<HttpConfig>,
    #[serde(default)]
    pub mqtt: Option<MqttConfig>,
}

/// The status page and its API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpConfig {
    pub listen: SocketAddr,
    /// Without tokens, everything can be read and nothing commanded. That is possible on loopback alone.
    pub token_file: Option<PathBuf>,
    /// The files of the certificate chain and of the key. `None` off loopback: a certificate is made.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl HttpConfig {
    pub fn is_on_loopback(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }
}

/// The connection to an MQTT broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttConfig {
    /// `mqtt://HOST:PORT` or `mqtts://HOST:PORT`.
    pub url: Url,
    pub user: Option<PersonName>,
    pub password_file: Option<PathBuf>,
    /// Certificates to trust in place of the platform's roots.
    pub ca_file: Option<PathBuf>,
    /// The beginning of all topics.
    pub prefix: String,
    /// The beginning of Home Assistant's discovery topics. `None`: nothing is announced.
    pub discovery: Option<String>,
}

impl MqttConfig {
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "mqtts"
    }

    /// The host name, or the IP address without brackets.
    pub fn host(&self) -> &str {
        bare_host(&self.url)
    }

    /// The port of the address, or the default port of its scheme.
    pub fn port(&self) -> u16 {
        self.url.port().unwrap_or(if self.is_secure() { 8883 } else { 1883 })
    }
}

/// A bearer token of the HTTP API (RFC 6750), with the name under which its commands are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpToken {
    pub name: PersonName,
    pub token: Credential,
}

impl HttpToken {
    /// The name of a token that has none.
    const NAMELESS: &str = "http";

    /// Reads a token file: a token a line, with a name before it if there are several. Empty lines, and lines that begin
    /// with `#`, have no meaning.
    ///
    /// # Errors
    ///
    /// What is wrong with the file.
    pub fn parse(text: &str) -> Result<Vec<Self>, HttpTokenError> {
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let tokens: Vec<Self> = lines.map(|(index, line)| Self::of_line(line, index + 1)).collect::<Result<_, _>>()?;
        if tokens.is_empty() {
            return Err(HttpTokenError::Empty);
        }
        Ok(tokens)
    }

    fn of_line(line: &str, number: usize) -> Result<Self, HttpTokenError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, token) = match words.as_slice() {
            [token] => (Self::NAMELESS, *token),
            [name, token] => (*name, *token),
            _ => return Err(HttpTokenError::Words(number)),
        };
        // RFC 6750, section 2.1.
        let is_token = token.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._~+/=".contains(letter));
        if !is_token {
            return Err(HttpTokenError::Characters(number));
        }
        Ok(Self { name: crate::plain_text::shortened(name).into(), token: token.into() })
    }
}

/// What is wrong with a token file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpTokenError {
    #[error("has no token")]
    Empty,
    #[error("has more than a name and a token in line {0}")]
    Words(usize),
    #[error("has a token with characters that a token cannot have, in line {0}")]
    Characters(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_has_one_token_or_several_with_names() {
        let tokens = |text| HttpToken::parse(text);
        let named = |name: &str, token: &str| HttpToken { name: name.into(), token: token.into() };
        assert_eq!(tokens("s3cret\n"), Ok(vec![named("http", "s3cret")]));
        let two = "# of the house\nhome-assistant abc\n\nprometheus d/e+f==\n";
        assert_eq!(tokens(two), Ok(vec![named("home-assistant", "abc"), named("prometheus", "d/e+f==")]));
        assert_eq!(tokens("\n# none\n"), Err(HttpTokenError::Empty));
        assert_eq!(tokens("a b c"), Err(HttpTokenError::Words(1)));
        assert_eq!(tokens("a\nb \u{fc}"), Err(HttpTokenError::Characters(2)));
    }
}
