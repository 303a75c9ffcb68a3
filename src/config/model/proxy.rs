//! The HTTP proxy of a network that lets nothing else out.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::Url;

use super::ice_server::authority;
use crate::secret::{Credential, PersonName};

/// An HTTP proxy that makes tunnels (`CONNECT`: RFC 9110, section 9.3.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// A host name or an IP address. An IPv6 address has no brackets.
    pub host: String,
    pub port: u16,
    pub credentials: Option<ProxyCredentials>,
    pub scope: ProxyScope,
}

/// How the station logs in to a proxy (RFC 7617).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyCredentials {
    /// The file is read for each connection, so that a new password is used without a restart.
    File { user: PersonName, password_file: PathBuf },
    /// From the environment.
    Given { user: PersonName, password: Credential },
}

/// Which connections go through a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyScope {
    /// `core.proxy`: all connections over TCP.
    Everything,
    /// `https_proxy`: connections with TLS, but not to the hosts in this text (`no_proxy`).
    Tls { except: String },
}

/// The address of a proxy, as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    pub host: String,
    pub port: u16,
    /// User name and password.
    pub credentials: Option<(String, String)>,
}

/// Why a text is not the address of a proxy. The text is not repeated, because it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyAddressError {
    #[error("the address is not that of an HTTP proxy")]
    Scheme,
    #[error("the address of the proxy has no valid host or port")]
    Host,
    #[error("the address of the proxy has a path")]
    Path,
}

impl ProxyAddressError {
    pub const REMEDY: &str = "write http://HOST:PORT";
}

impl FromStr for ProxyAddress {
    type Err = ProxyAddressError;

    /// The scheme may be missing, as other programs allow it too.
    fn from_str(text: &str) -> Result<Self, ProxyAddressError> {
        let text = text.trim();
        let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        let url = url.map_err(|_| ProxyAddressError::Host)?;
        if url.scheme() != "http" {
            return Err(ProxyAddressError::Scheme);
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyAddressError::Path);
        }
        let host = url.host_str().ok_or(ProxyAddressError::Host)?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(ProxyAddressError::Host)?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let password = decoded(url.password().unwrap_or_default());
        let credentials = Some(decoded(url.username())).filter(|user| !user.is_empty()).map(|user| (user, password));
        Ok(Self { host, port, credentials })
    }
}

impl Proxy {
    /// The proxy that the environment names for connections with TLS. The lower-case names count more, as with curl.
    ///
    /// # Errors
    ///
    /// What is wrong with its address.
    pub fn of_environment(environment: &BTreeMap<String, String>) -> Result<Option<Self>, ProxyAddressError> {
        let value =
            |names: [&str; 2]| names.into_iter().filter_map(|name| environment.get(name)).find(|text| !text.is_empty());
        let Some(text) = value(["https_proxy", "HTTPS_PROXY"]) else { return Ok(None) };
        let ProxyAddress { host, port, credentials } = text.parse()?;
        let credentials = credentials
            .map(|(user, password)| ProxyCredentials::Given { user: user.into(), password: password.into() });
        let except = value(["no_proxy", "NO_PROXY"]).cloned().unwrap_or_default();
        Ok(Some(Self { host, port, credentials, scope: ProxyScope::Tls { except } }))
    }
}

/// Host and port. There is no secret in it.
impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&authority(&self.host, self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ProxyAddress, ProxyAddressError> {
        text.parse()
    }

    fn address(host: &str, port: u16, credentials: Option<(&str, &str)>) -> ProxyAddress {
        let credentials = credentials.map(|(user, password)| (user.to_owned(), password.to_owned()));
        ProxyAddress { host: host.to_owned(), port, credentials }
    }

    #[test]
    fn host_port_and_credentials_are_read() {
        assert_eq!(read("http://proxy:3128"), Ok(address("proxy", 3128, None)));
        assert_eq!(read("proxy.example:3128/"), Ok(address("proxy.example", 3128, None)));
        assert_eq!(read("http://[2001:db8::1]:8080"), Ok(address("2001:db8::1", 8080, None)));
        assert_eq!(read("192.0.2.1"), Ok(address("192.0.2.1", 80, None)));
        let with_password = read("http://Anna%20B:p%40ss%3Aword@proxy:1");
        assert_eq!(with_password, Ok(address("proxy", 1, Some(("Anna B", "p@ss:word")))));
    }

    #[test]
    fn what_is_no_http_proxy_is_refused() {
        assert_eq!(read("socks5://proxy:1080"), Err(ProxyAddressError::Scheme));
        assert_eq!(read("https://proxy:443"), Err(ProxyAddressError::Scheme));
        for text in ["", "http://", "http://proxy:0", "http://proxy:99999", "http://a b"] {
            assert_eq!(read(text), Err(ProxyAddressError::Host), "{text}");
        }
        for text in ["http://proxy:1/path", "http://proxy:1/?x", "http://proxy:1#x"] {
            assert_eq!(read(text), Err(ProxyAddressError::Path), "{text}");
        }
    }

    #[test]
    fn the_environment_names_a_proxy_by_the_usual_variables() {
        let of = |pairs: &[(&str, &str)]| {
            let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Proxy::of_environment(&environment)
        };
        assert_eq!(of(&[("http_proxy", "http://other:1"), ("https_proxy", "")]), Ok(None));
        let found = of(&[("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "u:p@lower:2"), ("NO_PROXY", "house")]);
        let Ok(Some(proxy)) = found else { panic!("{found:?}") };
        assert_eq!((proxy.to_string().as_str(), proxy.scope), ("lower:2", ProxyScope::Tls { except: "house".into() }));
        assert!(!format!("{:?}", proxy.credentials).contains("\"p\""));
        assert_eq!(of(&[("https_proxy", "socks5h://proxy")]), Err(ProxyAddressError::Scheme));
    }
}
