//! What is replaced in a recording, and by what.
//!
//! What is secret is known by its type ([`crate::secret`]), and replaced so that the station decides the same. Any other
//! text is kept only in a field that is known to be harmless: a new field cannot leak.

use serde_json::Value;

use crate::core::Random;
use crate::secret::{Credential, DoorCode, DtmfDigit, MessageBody, PersonName, PhoneNumber, Sdp};

/// Types whose texts are not secret: identifiers of the protocol.
const HARMLESS_TYPES: [&str; 2] = ["CallId", "TransactionId"];
/// Fields and variants whose texts are not secret.
const HARMLESS: &[&str] = &[
    // The kind of a message, and of whatever is behind a fact.
    "event",
    "handshake",
    "kind",
    "media",
    "notify",
    "request",
    "response",
    "type",
    // Names and files in the configuration.
    "Alsa",
    "ConfigTokenFile",
    "Name",
    "TokenFile",
    "Usb",
    "button",
    "ca_file",
    "chip",
    "client_certificate",
    "exclusive",
    "level",
    "name",
    "output",
    "password_file",
    "pin",
    "sensor",
    "serial",
    "sip_domains",
    "socket",
    "sounds",
    "tenant",
    "urls",
    // Messages of the station and of the server.
    "Failed",
    "Fault",
    "NotYetValid",
    "Refused",
    "card_fault",
    "fault",
    "message",
    "phrase",
    "reason",
    "reported",
    "text",
    "told",
    "told_causes",
    // Addresses of the station itself.
    "Addresses",
    "addresses",
    "bind",
    "local",
    // Identifiers, and values of the protocol.
    "call_id",
    "content_type",
    "mid",
    "refer_id",
    "replace_call_id",
    "replaces",
    "sdpMid",
    "sdp_mid",
    "status",
    "version",
];
/// Digits of a number that have a substitution of their own; the rest shares the last one.
const PLACES: usize = 32;

/// How much is replaced.
pub(super) enum Redaction {
    /// Only what nobody needs: tokens and passwords.
    Credentials,
    /// Everything that is secret.
    All(Substitution),
}

/// One substitution of digits for each place in a number: `2*` still matches what it matched.
pub(super) struct Substitution {
    numbers: Vec<[char; 10]>,
    codes: [char; 10],
}

/// What is done with the text of a secret.
pub(super) enum Rule<'a> {
    Keep,
    Drop,
    Number(&'a Substitution),
    Code(&'a Substitution),
    Name,
    Length,
}

impl Redaction {
    /// `seed` decides which digit stands for which, and must be forgotten.
    pub(super) fn all(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let numbers = (0..PLACES).map(|_| shuffled(&mut random)).collect();
        Self::All(Substitution { numbers, codes: shuffled(&mut random) })
    }

    /// What is done with a value of this type; `None` where it is no secret.
    pub(super) fn rule(&self, type_name: &str) -> Option<Rule<'_>> {
        if HARMLESS_TYPES.contains(&type_name) {
            return Some(Rule::Keep);
        }
        match (self, type_name) {
            (_, Credential::TYPE) => Some(Rule::Drop),
            (Self::Credentials, _) => None,
            (Self::All(substitution), PhoneNumber::TYPE) => Some(Rule::Number(substitution)),
            (Self::All(substitution), DoorCode::TYPE | DtmfDigit::TYPE) => Some(Rule::Code(substitution)),
            (Self::All(_), PersonName::TYPE) => Some(Rule::Name),
            (Self::All(_), Sdp::TYPE | MessageBody::TYPE) => Some(Rule::Length),
            (Self::All(_), _) => None,
        }
    }

    /// A text of no particular type in a field.
    pub(super) fn plain(&self, field: &str, text: &str) -> String {
        match self {
            Self::All(_) if !HARMLESS.contains(&field) => of_length(text),
            Self::All(_) | Self::Credentials => text.to_owned(),
        }
    }
}

impl Rule<'_> {
    pub(super) fn apply(&self, value: Value) -> Value {
        let Value::String(text) = value else { return value };
        Value::String(match self {
            Self::Keep => text,
            Self::Drop => "redacted".to_owned(),
            Self::Number(substitution) => substitution.number(&text),
            Self::Code(substitution) => text.chars().map(|digit| substitute(&substitution.codes, digit)).collect(),
            Self::Name => "somebody".to_owned(),
            Self::Length => of_length(&text),
        })
    }
}

impl Substitution {
    /// A number, whatever stands around it: `sip:` and the host stay as they are.
    fn number(&self, text: &str) -> String {
        let scheme = ["<sip:", "<sips:", "sip:", "sips:"].into_iter().find(|scheme| text.starts_with(scheme));
        let (head, rest) = text.split_at(scheme.map_or(0, str::len));
        let end = rest.find(['@', ';', '>']).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let places = self.numbers.iter().chain(std::iter::repeat(self.numbers.last().unwrap_or(&self.codes)));
        let replaced: String = number.chars().zip(places).map(|(digit, digits)| substitute(digits, digit)).collect();
        format!("{head}{replaced}{tail}")
    }
}

fn of_length(text: &str) -> String {
    format!("redacted, {} bytes", text.len())
}

fn shuffled(random: &mut Random) -> [char; 10] {
    let mut digits = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];
    for place in (1..digits.len()).rev() {
        let other = usize::try_from(random.below(place as u64 + 1)).unwrap_or(0);
        digits.swap(place, other);
    }
    digits
}

fn substitute(digits: &[char; 10], digit: char) -> char {
    let place = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
    place.and_then(|place| digits.get(place)).copied().unwrap_or(digit)
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::json;

    use super::super::redactor::Redactor;
    use super::*;

    /// What somebody adds tomorrow: secrets in fields of any name, and a text of no type.
    #[derive(Serialize)]
    struct Tomorrow {
        whoever: PhoneNumber,
        opens: Vec<DoorCode>,
        note: String,
        key: Option<Credential>,
        reason: String,
    }

    fn redacted(redaction: &Redaction) -> Value {
        let tomorrow = Tomorrow {
            whoever: "2041".into(),
            opens: vec!["7391".into()],
            note: "call Anna at 2041".into(),
            key: Some("t0ken".into()),
            reason: "Busy Here".into(),
        };
        tomorrow.serialize(Redactor { redaction, field: "" }).unwrap()
    }

    #[test]
    fn a_new_field_does_not_leak() {
        let value = redacted(&Redaction::all(7));
        let text = value.to_string();
        for secret in ["2041", "7391", "t0ken", "Anna"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(value.get("note"), Some(&json!("redacted, 17 bytes")));
        assert_eq!(value.get("reason"), Some(&json!("Busy Here")));
    }

    #[test]
    fn a_recording_that_is_not_redacted_still_has_no_credential() {
        let value = redacted(&Redaction::Credentials);
        assert_eq!(value.get("key"), Some(&json!("redacted")));
        assert_eq!(value.get("whoever"), Some(&json!("2041")));
    }
}
