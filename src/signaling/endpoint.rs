//! Addresses of the server: the base, the tenant, and the paths below them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::url_host::bare_host;

/// Everything but the "unreserved" characters of RFC 3986 (section 2.3).
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The address of a server, below which the session API and the signaling are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    base: Url,
    tenant: Option<String>,
}

impl Endpoint {
    /// `base` must have the scheme http or https, and must not end with a slash.
    pub fn new(base: Url, tenant: Option<String>) -> Self {
        Self { base, tenant }
    }

    /// Whether connections use TLS.
    pub fn is_secure(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The host name, or the IP address without brackets.
    pub fn host(&self) -> &str {
        bare_host(&self.base)
    }

    /// The port of the address, or the default port of its scheme.
    pub fn port(&self) -> u16 {
        self.base.port_or_known_default().unwrap_or(443)
    }

    /// The server to connect to.
    pub(crate) fn target(&self) -> Target<'_> {
        Target { host: self.host(), port: self.port(), secure: self.is_secure() }
    }

    /// The value of the `Host` header.
    pub fn authority(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The address for people; it contains no secret.
    pub fn shown(&self) -> String {
        format!("{}{}", self.base.as_str().trim_end_matches('/'), self.tenant_path())
    }

    fn tenant_path(&self) -> String {
        self.tenant
            .as_ref()
            .map(|tenant| format!("/tenant/{}", utf8_percent_encode(tenant, QUERY_VALUE)))
            .unwrap_or_default()
    }

    /// The path of a session API call: `/api/v1/…` below the base and the tenant.
    pub fn api_path(&self, path: &str) -> String {
        format!("{}{}/api/v1/{path}", self.base.path().trim_end_matches('/'), self.tenant_path())
    }

    /// The address of the WebSocket. It contains the token and must never be logged.
    pub(super) fn signaling_url(&self, token: &str, force: bool) -> String {
        let scheme = if self.is_secure() { "wss" } else { "ws" };
        format!(
            "{scheme}://{}{}{}/signaling/v1?token={}&force={force}",
            self.authority(),
            self.base.path().trim_end_matches('/'),
            self.tenant_path(),
            utf8_percent_encode(token, QUERY_VALUE),
        )
    }
}

/// A server to connect to.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// A host name, or an IP address without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// Whether the connection uses TLS.
    pub(crate) secure: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signaling_url_has_base_tenant_and_an_escaped_token() {
        let endpoint = Endpoint::new(Url::parse("https://core.example.com:8443/base").unwrap(), Some("house 1".into()));
        assert_eq!(
            endpoint.signaling_url("a+b/c=&", true),
            "wss://core.example.com:8443/base/tenant/house%201/signaling/v1?token=a%2Bb%2Fc%3D%26&force=true"
        );
        assert_eq!(endpoint.api_path("session"), "/base/tenant/house%201/api/v1/session");
    }

    #[test]
    fn an_address_without_a_path_has_no_double_slash() {
        let endpoint = Endpoint::new(Url::parse("http://127.0.0.1:8642").unwrap(), None);
        assert_eq!(endpoint.signaling_url("t", false), "ws://127.0.0.1:8642/signaling/v1?token=t&force=false");
    }
}
