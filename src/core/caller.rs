//! Who calls, out of what a server says.

use percent_encoding::percent_decode_str;

/// The number out of a SIP or telephone address, with a name around it or without (RFC 3261, section 20.10; RFC 3966):
/// `100`, `sip:100@example.com`, `"Flat 1" <sip:100@example.com;user=phone>` and `tel:100` are all `100`.
///
/// Empty where there is none: a call from somebody unknown.
pub(super) fn bare_number(text: &str) -> String {
    let text = text.trim();
    // Behind a name there are angle brackets, which a quoted name may hold as well.
    let address = match (text.rfind('<'), text.rfind('>')) {
        (Some(begin), Some(end)) if begin < end => text.get(begin + 1..end).unwrap_or_default(),
        (Some(begin), _) => text.get(begin + 1..).unwrap_or_default(),
        _ => text,
    };
    let (scheme, rest) = match address.split_once(':') {
        Some((scheme, rest))
            if ["sip", "sips", "tel"].iter().any(|known| scheme.trim().eq_ignore_ascii_case(known)) =>
        {
            (scheme.trim().to_ascii_lowercase(), rest)
        }
        _ => (String::new(), address),
    };
    let user = rest.split(['@', ';', '?']).next().unwrap_or_default().trim();
    // A password has no place here any more, but its syntax has.
    let user = if scheme.is_empty() { user } else { user.split(':').next().unwrap_or_default() };
    // `%31` is `1` (RFC 3261, section 19.1.2).
    let user = percent_decode_str(user).decode_utf8_lossy();
    let user: String = user.chars().filter(|character| !character.is_control()).collect();
    let number = if scheme == "tel" {
        // Visual separators (RFC 3966, section 5.1.1).
        user.chars().filter(|character| !"-.() ".contains(*character)).collect()
    } else {
        user
    };
    crate::signaling::shortened(&number)
}

#[cfg(test)]
mod tests {
    use super::bare_number;

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
            "sip:100;phone-context=x@pbx",
            "100@pbx",
        ] {
            assert_eq!(bare_number(text), "100", "{text}");
        }
        assert_eq!(bare_number("tel:+49-30-123;ext=4"), "+4930123");
        assert_eq!(bare_number("sip:anna.b@pbx"), "anna.b");
        assert_eq!(bare_number("sip:a%00%zz@pbx"), "a%zz");
        for text in ["", "<>", "sip:", "sip:@pbx", "\"Flat 1\" <>"] {
            assert_eq!(bare_number(text), "", "{text}");
        }
    }
}
