//! Redirects of the server. The station does not follow them, because its token is for one server only.

use crate::plain_text::shortened;

/// A message about a redirect (RFC 9110, section 15.4), or `None` if the answer is not a redirect.
pub(super) fn message(status: u16, location: Option<&[u8]>) -> Option<String> {
    if status == 511 {
        // RFC 6585, section 6.
        return Some(
            "a captive portal of the network wants a login (HTTP 511): it must let this device through".into(),
        );
    }
    if !matches!(status, 300..=303 | 307 | 308) {
        return None;
    }
    let target = location.map(|location| shown(&String::from_utf8_lossy(location))).filter(|target| !target.is_empty());
    let target = target.map_or("elsewhere".to_owned(), |target| format!("to {target}"));
    Some(format!(
        "the server sends us {target} (HTTP {status}): usually a captive portal of the network, which must let this \
         device through; if the server itself has moved, write its new address as core.url"
    ))
}

/// The address without what follows `?` or `#` and without what precedes `@`. These parts may contain our token,
/// because the redirect repeats it.
fn shown(location: &str) -> String {
    let location = location.split(['?', '#']).next().unwrap_or_default();
    let clean: String = match location.split_once("//") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            format!("{scheme}//{}{path}", authority.rsplit('@').next().unwrap_or_default())
        }
        None => location.to_owned(),
    };
    shortened(&clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_of_a_redirect_is_reported_without_the_token() {
        for status in [300, 301, 302, 303, 307, 308] {
            let message =
                message(status, Some(b"https://user:secret@portal.example/login?token=secret#secret")).unwrap();
            assert!(
                message.contains("to https://portal.example/login (HTTP") && !message.contains("secret"),
                "{message}"
            );
        }
        assert!(message(302, None).unwrap().contains("sends us elsewhere"));
        assert!(message(302, Some(b"http://portal/\xe9\x07")).unwrap().contains("to http://portal/\u{fffd} "));
        assert!(message(511, None).unwrap().contains("captive portal"));
        assert_eq!(message(200, Some(b"x")), None);
        assert_eq!(message(304, Some(b"x")), None);
    }
}
