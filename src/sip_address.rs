//! Finds out who calls from the address that a server reports.

use crate::secret::PhoneNumber;
use percent_encoding::percent_decode_str;

/// The longest number, in octets.
const MAX_NUMBER: usize = 64;
/// The longest domain, in octets (RFC 1035, section 2.3.4).
const MAX_DOMAIN: usize = 255;
/// The schemes of addresses that can be called.
const SCHEMES: [&str; 3] = ["sip", "sips", "tel"];

/// The caller: the number alone if it belongs to one of these domains, which are those of the account
/// (`core.sip_domains`), otherwise the number with its domain. Examples: `100`, `100@elsewhere.example`.
///
/// Empty if the address names nobody. Then the caller is unknown.
pub(crate) fn caller(text: &str, domains: &[String]) -> PhoneNumber {
    let Some(Address { number, host, context }) = Address::read(text) else { return PhoneNumber::default() };
    let is_ours = |domain: &String| domains.iter().any(|ours| canonical(ours) == *domain);
    // A caller from elsewhere may claim any context, so the host counts first.
    match [host, context].into_iter().flatten().find(|domain| !is_ours(domain)) {
        Some(domain) => format!("{number}@{domain}").into(),
        None => number.into(),
    }
}

/// The number in a SIP or telephone address, whatever its domain is: `100`, `sip:100@example.com`,
/// `"Flat 1" <sip:100@example.com;user=phone>` and `tel:100` are all `100`. This does not identify a caller.
pub(crate) fn bare_number(text: &str) -> String {
    Address::read(text).map(|address| address.number).unwrap_or_default()
}

/// A number, and the domain that it belongs to.
struct Address {
    number: String,
    /// The host in the form of [`canonical`]; absent for a number alone.
    host: Option<String>,
    /// The `phone-context`, in which the number is valid (RFC 3966, section 5.1.5).
    context: Option<String>,
}

impl Address {
    /// Reads a SIP or telephone address, with or without a display name (RFC 3261, sections 19.1 and 20.10; RFC 3966).
    /// `None` if it names nobody.
    fn read(text: &str) -> Option<Self> {
        let address = address(text.trim());
        let (scheme, rest) = match address.split_once(':') {
            Some((scheme, rest)) if SCHEMES.iter().any(|known| scheme.trim().eq_ignore_ascii_case(known)) => {
                (scheme.trim().to_ascii_lowercase(), rest)
            }
            _ => (String::new(), address),
        };
        let (user, host) = match rest.split_once('@') {
            // It is unclear which of the two is the host.
            Some((_, host)) if host.contains('@') => return None,
            Some((user, host)) => (user, Some(host_alone(host.split([';', '?', '/']).next().unwrap_or_default())?)),
            None => (rest.split('?').next().unwrap_or_default(), None),
        };
        let mut parameters = user.split(';');
        let user = parameters.next().unwrap_or_default().trim();
        // A password (`user:password`) is no longer used here, but its syntax is still valid.
        let user = if scheme.is_empty() { user } else { user.split(':').next().unwrap_or_default() };
        let context = parameters.find_map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let name = percent_decode_str(name.trim()).decode_utf8_lossy();
            name.eq_ignore_ascii_case("phone-context").then(|| canonical(value))
        });
        let number = unescaped(user);
        let number = if scheme == "tel" {
            // Visual separators (RFC 3966, section 5.1.1).
            number.chars().filter(|character| !"-.() ".contains(*character)).collect()
        } else {
            number
        };
        // A number or a domain that is too long is not cut: such an address names nobody.
        let too_long = |text: &String, most: usize| text.len() > most;
        let nobody = number.is_empty()
            || too_long(&number, MAX_NUMBER)
            || host.iter().chain(&context).any(|domain| domain.is_empty() || too_long(domain, MAX_DOMAIN))
            || is_disguised(address)
            || number.eq_ignore_ascii_case("anonymous")
            || host.as_ref().is_some_and(|host| host == "invalid" || host.ends_with(".invalid"));
        (!nobody).then_some(Self { number, host, context })
    }
}

/// Decodes escapes: `%31` is `1` (RFC 3261, section 19.1.2). The text stays as it is if a decoded character would have
/// a special meaning or would be invisible.
fn unescaped(user: &str) -> String {
    let plain = percent_decode_str(user).decode_utf8_lossy();
    if plain.contains(|character| "@;<>\"?".contains(character)) || is_disguised(&plain) {
        return user.to_owned();
    }
    plain.into_owned()
}

/// Whether a text has invisible characters, or marks in place of characters that were taken out. Its owner is not who
/// it seems to be.
fn is_disguised(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER) || crate::plain_text::plain(text) != text
}

/// A host without its port, with or without brackets; `None` if the text is not a host.
fn host_alone(host: &str) -> Option<String> {
    let host = host.trim();
    let end = match host.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(at) => at + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (name, port) = host.split_at_checked(end)?;
    let is_port =
        |port: &str| port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let allowed = |character: char| character.is_alphanumeric() || "-._[]:".contains(character);
    let name = canonical(name);
    (is_port(port) && !name.is_empty() && name.chars().all(allowed)).then_some(name)
}

/// A domain in the form in which it is compared: a name in lower case and without a dot at its end, or an IP address in
/// its only form.
pub(crate) fn canonical(domain: &str) -> String {
    let domain = domain.trim().trim_end_matches('.');
    let bare = domain.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => domain.to_ascii_lowercase(),
    }
}

/// The text in the angle brackets, or the whole text if there are none. Callers choose their display names, so
/// something in a name that looks like an address is not trusted.
fn address(text: &str) -> &str {
    let unquoted = match text.strip_prefix('"').and_then(|text| Some((text, end_of_quote(text)?))) {
        Some((quoted, end)) => match quoted.get(end + 1..).unwrap_or_default().trim_start() {
            "" => return quoted.get(..end).unwrap_or_default(),
            rest => rest,
        },
        // If a quoted name has no end, it is unclear where the address starts.
        None if text.starts_with('"') => return "",
        None => text,
    };
    let Some((name, rest)) = unquoted.split_once('<') else { return unquoted };
    let scheme = name.split_once(':').map(|(scheme, _)| scheme);
    let begins_as_address = scheme.is_some_and(|scheme| SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    if begins_as_address || name.contains(['@', ';']) {
        // These are brackets in a parameter, or two addresses. With two addresses, neither is trusted.
        return if name.contains(char::is_whitespace) { "" } else { unquoted };
    }
    let (address, behind) = rest.split_once('>').unwrap_or((rest, ""));
    // With two addresses it is unclear which one is meant: the first may be part of a name without quotes.
    if behind.contains('<') || address.contains('<') { "" } else { address }
}

/// The position at which a quoted text ends (RFC 3261, section 25.1: `quoted-string`).
fn end_of_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, character)| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::{bare_number, caller};

    #[test]
    fn a_caller_is_known_by_the_number_whatever_stands_around_it() {
        for text in [
            "100",
            " 100 ",
            "sip:100@example.com",
            "SIP:100@example.com",
            "sips:100",
            "<sip:100@example.com;user=phone>",
            "\"Flat 1\" <sip:100@pbx>",
            "Flat 1 <sip:100@pbx>;tag=7",
            "\"a <b> c\" <sip:100@pbx>",
            "<sip:100@pbx",
            "tel:100",
            "tel:1-0.(0)",
            "sip:%3100@pbx",
            "sip:100:secret@pbx",
            "sip:100;isub=7@pbx",
            "100@pbx",
            "\"Flat 1\" sip:100@pbx",
            "\"Flat \\\"1\\\" <2>\" <sip:100@pbx>",
            "\"100\"",
            "House: left <sip:100@pbx>",
            "sip:100@pbx;x=<999>",
            "sip:100@PBX.:5060?Subject=x",
            "\"<sip:999@evil>\" <sip:100@pbx>",
            "<sip:100@pbx;x=\">\">",
        ] {
            assert_eq!(bare_number(text), "100", "{text}");
        }
        assert_eq!(bare_number("tel:+49-30-123;ext=4"), "+4930123");
        assert_eq!(bare_number("sip:anna.b@pbx"), "anna.b");
        assert_eq!(bare_number("sip:a%00%zz@pbx"), "a%00%zz");
        // It is unclear which of the two addresses is meant.
        for text in [
            "<sip:100@pbx> <sip:999@evil>",
            "\"Anna <sip:100@pbx> <sip:999@evil>",
            "sip:100@pbx <sip:999@evil>",
            "100@pbx <sip:999@evil>",
            "sip:999@evil, <sip:100@pbx>",
        ] {
            assert_eq!(bare_number(text), "", "{text}");
        }
        for text in ["", "<>", "sip:", "sip:@pbx", "\"Flat 1\" <>"] {
            assert_eq!(bare_number(text), "", "{text}");
        }
    }

    fn our_domains() -> [String; 3] {
        ["Core.example.com".to_owned(), "203.0.113.1".to_owned(), "[2001:db8::1]".to_owned()]
    }

    #[test]
    fn a_number_is_bare_in_its_own_domain_alone() {
        let ours = our_domains();
        for text in [
            "100",
            "tel:100",
            "sip:100",
            "100@core.example.com",
            "SIP:100@CORE.EXAMPLE.COM.",
            "\"Name\" <sips:%31%30%30@core.example.com:5061;transport=tls>",
            "<sip:100@203.0.113.1;user=phone>",
            "<sip:100@[2001:DB8:0::1]:5060>",
            "tel:100;phone-context=core.example.com",
            "sip:100;phone-context=core.example.com@203.0.113.1",
        ] {
            assert_eq!(caller(text, &ours), "100", "{text}");
        }
        assert_eq!(caller("sip:100@core.example.com", &[]), "100@core.example.com");
    }

    #[test]
    fn a_number_of_another_domain_is_written_with_it() {
        let ours = our_domains();
        for (text, whom) in [
            ("sip:100@elsewhere.example", "100@elsewhere.example"),
            ("<sip:100@203.0.113.9;user=phone>", "100@203.0.113.9"),
            ("100;phone-context=x", "100@x"),
            ("sip:100;phone-context=X@core.example.com", "100@x"),
            ("sip:100;phone-context=core.example.com@evil", "100@evil"),
            ("tel:100;ext=7;phone-context=+49", "100@+49"),
            ("\"100\" <sip:100@Elsewhere.example:5060>", "100@elsewhere.example"),
            ("\"<sip:100@core.example.com>\" <sip:999@evil>", "999@evil"),
            ("sip:100@core.example.com.evil", "100@core.example.com.evil"),
            ("sip:100@evil/core.example.com", "100@evil"),
            ("sip:100@evil;x=core.example.com", "100@evil"),
            ("sip:100%40core.example.com@evil", "100%40core.example.com@evil"),
            ("sip:100%3bx@core.example.com", "100%3bx"),
            ("sip:1%E2%80%8E00@core.example.com", "1%E2%80%8E00"),
            ("tel:100;phone%2Dcontext=x", "100@x"),
        ] {
            assert_eq!(caller(text, &ours), whom, "{text}");
        }
    }

    #[test]
    fn an_address_that_can_be_read_in_two_ways_is_nobody() {
        let ours = our_domains();
        for text in [
            "sip:100@core.example.com@evil",
            "sip:100@evil;x=@core.example.com",
            "\"Anna\" <sip:100@core.example.com> <sip:9@evil>",
            "sip:100@",
            "sip:100@:5060",
            "sip:100@/evil",
            "sip:100@?evil",
            "sip:100@.",
            "sip:100@>evil",
            "sip:100@;x=evil",
            "100@",
            "sip:100@core.example.com evil.example",
            "sip:100@core.example.com>x",
            "sip:100@core.exa\u{202E}mple.com",
            "sip:1\u{200E}00@core.example.com",
            "sip:1\u{FFFD}00@core.example.com",
            "sip:100@core.example.com:x",
            "tel:100;phone-context",
            "tel:100;phone-context=",
            "Anonymous",
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
            "sip:Anonymous@core.example.com",
            "sip:100@anonymous.INVALID",
            "\"100\" <sip:anonymous@elsewhere.example>",
        ] {
            assert_eq!(caller(text, &ours), "", "{text}");
        }
    }

    /// Cutting must not remove the part that makes a caller a stranger.
    #[test]
    fn a_name_longer_than_any_is_nobody() {
        let ours = ["core.example.com".to_owned()];
        for number in ["2".repeat(211), "2".to_owned() + &"%30".repeat(199)] {
            assert_eq!(caller(&format!("sip:{number}@evil.example"), &ours), "");
        }
        assert_eq!(caller(&format!("sip:100@{}.example", "x".repeat(300)), &ours), "");
    }
}
