//! Tunnels through an HTTP proxy (RFC 9110, section 9.3.6).

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::redirect;
use super::stream::Stream;
use crate::config::{Proxy, ProxyCredentials, ProxyScope, authority};

/// The longest time until the proxy has connected.
const TUNNEL_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest head of an answer that is read.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Why a proxy makes no tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelError {
    #[error("the proxy {proxy} cannot be reached: {reason}")]
    Unreachable { proxy: String, reason: String },
    #[error("the proxy {proxy} does not answer")]
    Silent { proxy: String },
    #[error("what answers at {proxy} is not an HTTP proxy: check core.proxy, or https_proxy of the environment")]
    NotAProxy { proxy: String },
    #[error("the password for the proxy {proxy} cannot be used: {reason}; check core.proxy_password_file")]
    Password { proxy: String, reason: String },
    #[error(
        "the proxy {proxy} demands a user name and a password (HTTP 407): set core.proxy_user and \
         core.proxy_password_file"
    )]
    WantsCredentials { proxy: String },
    #[error("the proxy {proxy} refuses the user name or the password (HTTP 407): check core.proxy_user and its file")]
    RefusesCredentials { proxy: String },
    #[error(
        "the proxy {proxy} demands a kind of login that this station does not have ({schemes}): it must offer Basic, or \
         let this device through without"
    )]
    OtherScheme { proxy: String, schemes: String },
    #[error("the proxy {proxy} forbids connections to {target} (HTTP {status}): its administrator must allow them")]
    Forbidden { proxy: String, target: String, status: u16 },
    #[error("the proxy {proxy} does not reach {target} (HTTP {status})")]
    NotReached { proxy: String, target: String, status: u16 },
    #[error("the proxy {proxy}: {message}")]
    Redirect { proxy: String, message: String },
    #[error("the proxy {proxy} answered HTTP {status} in place of a connection to {target}")]
    Other { proxy: String, target: String, status: u16 },
}

impl From<TunnelError> for io::Error {
    fn from(error: TunnelError) -> Self {
        Self::other(error)
    }
}

/// Whether a connection goes through the proxy.
pub(super) fn applies(proxy: &Proxy, host: &str, port: u16, secure: bool) -> bool {
    match &proxy.scope {
        ProxyScope::Everything => true,
        ProxyScope::Tls { .. } if !secure => false,
        ProxyScope::Tls { except } => {
            let except = exceptions(except, port);
            if except == "*" {
                return false;
            }
            let matcher = Matcher::builder().https(format!("http://{proxy}")).no(except).build();
            let target = format!("https://{}/", authority(host, port)).parse::<Uri>();
            target.is_ok_and(|target| matcher.intercept(&target).is_some())
        }
    }
}

/// The exceptions that count for a port, as the library reads them. It knows neither `HOST:PORT` nor `*` for addresses,
/// which other programs know.
fn exceptions(text: &str, port: u16) -> String {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let of_port = entries.filter_map(|entry| match entry.rsplit_once(':') {
        // An IPv6 address has no port without brackets.
        Some((host, number)) if !host.contains(':') || host.ends_with(']') => {
            (number.parse() == Ok(port)).then_some(host.trim_matches(['[', ']']))
        }
        _ => Some(entry),
    });
    let entries: Vec<&str> = of_port.collect();
    if entries.contains(&"*") { "*".to_owned() } else { entries.join(",") }
}

/// Makes a tunnel over a connection to the proxy.
pub(super) async fn tunnel(
    proxy: &Proxy,
    connection: TcpStream,
    host: &str,
    port: u16,
) -> Result<Box<dyn Stream>, TunnelError> {
    let login = login(proxy).await?;
    let made = timeout(TUNNEL_TIMEOUT, connect(proxy, login, connection, &authority(host, port))).await;
    made.map_err(|_| TunnelError::Silent { proxy: proxy.to_string() })?
}

async fn connect(
    proxy: &Proxy,
    login: Option<HeaderValue>,
    connection: TcpStream,
    target: &str,
) -> Result<Box<dyn Stream>, TunnelError> {
    // docs/workarounds.md, "libraries: error texts are for programmers".
    let no_proxy = |error: hyper::Error| {
        tracing::debug!(%error, "proxy");
        TunnelError::NotAProxy { proxy: proxy.to_string() }
    };
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(connection))
        .await
        .map_err(no_proxy)?;
    let has_logged_in = login.is_some();
    let mut request = Request::connect(target).header(header::HOST, target);
    if let Some(login) = login {
        request = request.header(header::PROXY_AUTHORIZATION, login);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|_| TunnelError::NotAProxy { proxy: proxy.to_string() })?;
    // It ends with the tunnel, or when `sender` and the answer are dropped.
    tokio::spawn(connection.with_upgrades());
    let response = sender.send_request(request).await.map_err(no_proxy)?;
    if let Some(refusal) = refusal(proxy, target, response.status(), response.headers(), has_logged_in) {
        return Err(refusal);
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(no_proxy)?;
    Ok(Box::new(TokioIo::new(upgraded)))
}

/// Why the proxy makes no tunnel, if it does not.
fn refusal(
    proxy: &Proxy,
    target: &str,
    status: StatusCode,
    headers: &HeaderMap,
    has_logged_in: bool,
) -> Option<TunnelError> {
    let (proxy, target) = (proxy.to_string(), target.to_owned());
    let location = headers.get(header::LOCATION).map(HeaderValue::as_bytes);
    if let Some(message) = redirect::message(status.as_u16(), location) {
        return Some(TunnelError::Redirect { proxy, message });
    }
    Some(match status.as_u16() {
        200..=299 => return None,
        407 => match offered_schemes(headers) {
            schemes if !schemes.is_empty() && !schemes.iter().any(|scheme| scheme == "basic") => {
                TunnelError::OtherScheme { proxy, schemes: crate::plain_text::shortened(&schemes.join(", ")) }
            }
            _ if has_logged_in => TunnelError::RefusesCredentials { proxy },
            _ => TunnelError::WantsCredentials { proxy },
        },
        status @ (401 | 403 | 405) => TunnelError::Forbidden { proxy, target, status },
        status @ (500..=599) => TunnelError::NotReached { proxy, target, status },
        status => TunnelError::Other { proxy, target, status },
    })
}

/// The names of the schemes in `Proxy-Authenticate` (RFC 9110, section 11.7.1), in lower case.
fn offered_schemes(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(header::PROXY_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    // A challenge begins with its scheme. What follows a comma may be a parameter, which has an equals sign.
    let words = texts.flat_map(|text| text.split(',')).filter_map(|part| part.split_whitespace().next());
    words.filter(|word| !word.contains('=')).map(str::to_ascii_lowercase).collect()
}

/// The value of `Proxy-Authorization` (RFC 7617, section 2).
async fn login(proxy: &Proxy) -> Result<Option<HeaderValue>, TunnelError> {
    let failed = |reason: String| TunnelError::Password { proxy: proxy.to_string(), reason };
    let (user, password) = match &proxy.credentials {
        None => return Ok(None),
        Some(ProxyCredentials::Given { user, password }) => (user, password.as_str().to_owned()),
        Some(ProxyCredentials::File { user, password_file }) => {
            let text = tokio::fs::read_to_string(password_file).await;
            let text = text.map_err(|error| failed(format!("{}: {error}", password_file.display())))?;
            (user, text.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    let encoded = STANDARD.encode(format!("{}:{password}", user.as_str()));
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).map_err(|error| failed(error.to_string()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(scope: ProxyScope) -> Proxy {
        Proxy { host: "proxy.example".into(), port: 3128, credentials: None, scope }
    }

    #[test]
    fn a_proxy_of_the_environment_is_for_tls_and_has_exceptions() {
        let all = proxy(ProxyScope::Everything);
        assert!(applies(&all, "core.example", 80, false) && applies(&all, "127.0.0.1", 443, true));
        let tls = proxy(ProxyScope::Tls { except: "house.example,10.0.0.0/8, 2001:db8::1".into() });
        assert!(applies(&tls, "core.example", 443, true) && applies(&tls, "::1", 443, true));
        assert!(!applies(&tls, "core.example", 443, false), "it is not encrypted");
        for host in ["house.example", "core.house.example", "10.1.2.3", "2001:db8::1"] {
            assert!(!applies(&tls, host, 443, true), "{host}");
        }
        for everything in ["*", "other.example, *"] {
            for host in ["core.example", "127.0.0.1", "::1"] {
                assert!(!applies(&proxy(ProxyScope::Tls { except: everything.into() }), host, 443, true), "{host}");
            }
        }
        let of_a_port = proxy(ProxyScope::Tls { except: "127.0.0.1:8443,core.example:443,[::1]:1".into() });
        assert!(!applies(&of_a_port, "127.0.0.1", 8443, true) && applies(&of_a_port, "127.0.0.1", 443, true));
        assert!(!applies(&of_a_port, "core.example", 443, true) && applies(&of_a_port, "core.example", 8443, true));
        assert!(!applies(&of_a_port, "::1", 1, true) && applies(&of_a_port, "::1", 2, true));
    }

    fn told(status: u16, challenges: &[&'static str], has_logged_in: bool) -> String {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(header::PROXY_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        let status = StatusCode::from_u16(status).unwrap();
        let refused = refusal(&proxy(ProxyScope::Everything), "core:443", status, &headers, has_logged_in);
        refused.map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn each_refusal_says_who_must_do_what() {
        assert_eq!(told(200, &[], false), "");
        assert!(told(407, &["Basic realm=\"a, b\""], false).contains("set core.proxy_user"));
        assert!(told(407, &["Basic realm=\"x\""], true).contains("refuses the user name"));
        assert!(told(407, &["Negotiate, Basic realm=x"], false).contains("set core.proxy_user"));
        assert!(told(407, &["Negotiate", "NTLM"], true).contains("(negotiate, ntlm)"));
        assert!(told(407, &[], false).contains("set core.proxy_user"));
        assert!(told(403, &[], false).contains("forbids connections to core:443"));
        assert!(told(503, &[], false).contains("does not reach core:443 (HTTP 503)"));
        assert!(told(302, &[], false).contains("captive portal"));
        assert!(told(404, &[], false).contains("HTTP 404 in place of a connection"));
    }
}
