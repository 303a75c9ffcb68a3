//! Decides which requests a server accepts: a web page from elsewhere must not open the strike.
//!
//! Every request must name the server by the address that its connection reached, or by a known name. This stops DNS
//! rebinding. A request that changes something must come from one of our pages, or from no page at all.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header};

use super::refused::Refused;

/// Checks the head of a request. `local` is the address that the connection reached.
pub(crate) fn check(
    method: &Method,
    headers: &HeaderMap,
    upgrade: bool,
    local: IpAddr,
    names: &[String],
    secure: bool,
) -> Result<(), Refused> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).ok_or(Refused::ForeignHost)?;
    if !is_own_host(bare_host(host), local, names) {
        return Err(Refused::ForeignHost);
    }
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) && !upgrade;
    match headers.get(header::ORIGIN) {
        Some(origin) if !safe => {
            let scheme = if secure { "https" } else { "http" };
            let own = |scheme: &str| format!("{scheme}://{host}");
            // A proxy with this name may terminate TLS in front of this server.
            let named = names.iter().any(|name| name.eq_ignore_ascii_case(bare_host(host)));
            let is_own = |origin: &str| {
                origin.eq_ignore_ascii_case(&own(scheme)) || named && origin.eq_ignore_ascii_case(&own("https"))
            };
            if origin.to_str().is_ok_and(is_own) { Ok(()) } else { Err(Refused::ForeignOrigin) }
        }
        // The request is safe, or it has no `Origin`: then a program sent it, because every browser sends one.
        _ => Ok(()),
    }
}

/// A host without its port and its brackets.
fn bare_host(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_own_host(host: &str, local: IpAddr, names: &[String]) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical() == local.to_canonical();
    }
    (local.to_canonical().is_loopback() && host.eq_ignore_ascii_case("localhost"))
        || names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(host: &str, origin: Option<&str>, method: Method) -> Result<(), Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        check(&method, &headers, false, IpAddr::from([127, 0, 0, 1]), &["door.lan".into()], false)
    }

    #[test]
    fn our_own_pages_and_programs_may_post() {
        for host in ["127.0.0.1:8642", "localhost:8642", "door.lan:8642"] {
            assert_eq!(verdict(host, Some(&format!("http://{host}")), Method::POST), Ok(()));
            assert_eq!(verdict(host, None, Method::POST), Ok(()));
        }
    }

    #[test]
    fn a_page_that_came_by_a_proxy_with_tls_may_post() {
        assert_eq!(verdict("door.lan", Some("https://door.lan"), Method::POST), Ok(()));
        assert_eq!(verdict("127.0.0.1:1", Some("https://127.0.0.1:1"), Method::POST), Err(Refused::ForeignOrigin));
    }

    #[test]
    fn a_page_elsewhere_may_not() {
        for origin in ["http://evil.example", "https://127.0.0.1:8642", "http://127.0.0.1:9999", "null"] {
            assert_eq!(verdict("127.0.0.1:8642", Some(origin), Method::POST), Err(Refused::ForeignOrigin), "{origin}");
        }
    }

    #[test]
    fn a_name_that_was_bent_to_our_address_is_refused() {
        assert_eq!(
            verdict("evil.example:8642", Some("http://evil.example:8642"), Method::POST),
            Err(Refused::ForeignHost)
        );
        assert_eq!(verdict("evil.example", None, Method::GET), Err(Refused::ForeignHost));
        assert_eq!(verdict("192.0.2.1:8642", None, Method::GET), Err(Refused::ForeignHost));
    }
}
