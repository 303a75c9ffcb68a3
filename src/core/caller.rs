//! Who calls, out of what a server says.

use percent_encoding::percent_decode_str;

/// Of addresses that name somebody to call.
const SCHEMES: [&str; 3] = ["sip", "sips", "tel"];

/// The number out of a SIP or telephone address, with a name around it or without (RFC 3261, section 20.10; RFC 3966):
/// `100`, `sip:100@example.com`, `"Flat 1" <sip:100@example.com;user=phone>` and `tel:100` are all `100`.
///
/// Empty where there is none: a call from somebody unknown.
pub(crate) fn bare_number(text: &str) -> String {
    let address = address(text.trim());
    let (scheme, rest) = match address.split_once(':') {
        Some((scheme, rest)) if SCHEMES.iter().any(|known| scheme.trim().eq_ignore_ascii_case(known)) => {
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

/// What stands in the angle brackets, or the whole where there are none. A name is chosen by whoever calls: what looks
/// like an address in it is not theirs.
fn address(text: &str) -> &str {
    let unquoted = match text.strip_prefix('"').and_then(|text| Some((text, end_of_quote(text)?))) {
        Some((quoted, end)) => match quoted.get(end + 1..).unwrap_or_default().trim_start() {
            "" => return quoted.get(..end).unwrap_or_default(),
            rest => rest,
        },
        None => text,
    };
    let Some((name, rest)) = unquoted.split_once('<') else { return unquoted };
    let scheme = name.split_once(':').map(|(scheme, _)| scheme);
    let begins_as_address = scheme.is_some_and(|scheme| SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    if begins_as_address || name.contains(['@', ';']) {
        // Brackets in a parameter, or two addresses, of which none is to be believed.
        return if name.contains(char::is_whitespace) { "" } else { unquoted };
    }
    rest.split('>').next().unwrap_or_default()
}

/// Where a quoted text ends (RFC 3261, section 25.1: `quoted-string`).
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
            "\"Flat 1\" sip:100@pbx",
            "\"Flat \\\"1\\\" <2>\" <sip:100@pbx>",
            "\"100\"",
            "House: left <sip:100@pbx>",
            "sip:100@pbx;x=<999>",
            "<sip:100@pbx> <sip:999@evil>",
            "\"<sip:999@evil>\" <sip:100@pbx>",
            "<sip:100@pbx;x=\">\">",
        ] {
            assert_eq!(bare_number(text), "100", "{text}");
        }
        assert_eq!(bare_number("tel:+49-30-123;ext=4"), "+4930123");
        assert_eq!(bare_number("sip:anna.b@pbx"), "anna.b");
        assert_eq!(bare_number("sip:a%00%zz@pbx"), "a%zz");
        // Which of the two it is cannot be known.
        for text in ["sip:100@pbx <sip:999@evil>", "100@pbx <sip:999@evil>", "sip:999@evil, <sip:100@pbx>"] {
            assert_eq!(bare_number(text), "", "{text}");
        }
        for text in ["", "<>", "sip:", "sip:@pbx", "\"Flat 1\" <>"] {
            assert_eq!(bare_number(text), "", "{text}");
        }
    }
}
