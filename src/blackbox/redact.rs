//! What is replaced in a recording, and by what.
//!
//! What is secret is known by its type ([`crate::secret`]), and replaced so that the station decides the same. Any other
//! text is kept only in a field that is known to be harmless: a new field cannot leak.

use serde_json::Value;

use crate::core::Random;
use crate::secret::{Credential, DoorCode, DtmfDigit, MessageBody, PersonName, PhoneNumber, Sdp};
use crate::signaling::UNKNOWN_MESSAGE;

/// Types whose texts are not secret: identifiers of the protocol.
const HARMLESS_TYPES: [&str; 2] = ["CallId", "TransactionId"];
/// Places whose texts are not secret: the field of a structure or of a variant, or the variant of an enumeration that has
/// a text alone. Fields of the wire, which serde flattens into maps, have no owner.
const HARMLESS: &[&str] = &[
    // The wire: kinds of messages, identifiers, and reasons of the server.
    ".content_type",
    ".event",
    ".handshake",
    ".media",
    ".mid",
    ".notify",
    ".phrase",
    ".reason",
    ".refer_id",
    ".replaces",
    ".request",
    ".response",
    ".type",
    "Candidate.sdpMid",
    "Malformed.kind",
    "Malformed.name",
    "Registration.reason",
    "Unknown.kind",
    "Unknown.name",
    // Names, files and addresses of the configuration.
    "Button.name",
    "ControlConfig.socket",
    "Hook.secret_file",
    "HttpConfig.certificate",
    "HttpConfig.listen",
    "HttpConfig.token_file",
    "MqttConfig.ca_file",
    "MqttConfig.discovery",
    "MqttConfig.password_file",
    "MqttConfig.prefix",
    "MqttConfig.url",
    "DoorConfig.name",
    "Action.Hook",
    "Prompt.name",
    "Prompt.path",
    "SoundFile.path",
    "CoreConfig.client_certificate",
    "CoreConfig.sip_domains",
    "CoreConfig.tenant",
    "CoreConfig.urls",
    "Credentials.ConfigTokenFile",
    "Credentials.TokenFile",
    "File.password_file",
    "GpioConfig.chip",
    "Holiday.Once",
    "Hours.text",
    "IceUrl.host",
    "InputPin.pin",
    "LocalTime.date",
    "LogConfig.level",
    "Login.password_file",
    "MediaConfig.bind",
    "Mode.name",
    "OutputPin.exclusive",
    "OutputPin.name",
    "OutputPin.pin",
    "PcmName.Alsa",
    "Proxy.host",
    "Moments.text",
    "Schedule.name",
    "Sensor.name",
    "ServerTrust.ca_file",
    "Tls.except",
    "UsbCard.serial",
    // Messages of the station for people.
    "AudioEvent.Fault",
    "Cause.text",
    "ConnectFailure.message",
    "IceServerLease.fault",
    "IceServerLease.reported",
    "IceServerLease.until",
    "IceServersAnswer.Failed",
    "MediaEvent.Failed",
    "Obtained.until",
    "PinFault.fault",
    "PinFault.told",
    "Refused.message",
    "SceneState.card_fault",
    "Session.reason",
    "Session.reported",
    "Session.told_causes",
    "TokenError.Failed",
    "TokenError.NotYetValid",
    "TokenError.Refused",
    // Addresses of the station itself.
    "AwaitingState.local",
    "Calls.addresses",
    "Input.Addresses",
    "Opened.local",
    "Session.addresses",
    "Up.local",
    // Who did something, and the recording itself.
    "By.button",
    "By.door",
    "By.kind",
    "By.reader",
    "By.schedule",
    "By.sensor",
    "Dump.version",
    "InputDevice.Name",
    "InputDevice.Path",
    "Code.secret_file",
    "Code.valid_until",
    "Reader.fault",
    "Reader.name",
    "ReaderState.fault",
    "RememberedAlarm.say",
    "RememberedCall.button",
    "RememberedMode.name",
    "RememberedSchedule.done_until",
    "RememberedSchedule.fault",
    "RememberedSchedule.name",
    "Runs.fault",
    "TriggerName.name",
    "WrongCodes.reader",
    // The status. serde flattens its core into a map, so the outermost fields have no owner.
    ".clock_fault",
    ".gpio_backend",
    ".server",
    ".version",
    "AudioStatus.fault",
    "AudioStatus.microphone_fault",
    "AudioStatus.playing",
    "CallStatus.call_id",
    "CardControl.name",
    "DoorStatus.name",
    "EndStatus.call_id",
    "InterfaceStatus.fault",
    "ModeStatus.hours",
    "ModeStatus.name",
    "OutputStatus.fault",
    "OutputStatus.kind",
    "OutputStatus.name",
    "PinStatus.fault",
    "PinStatus.name",
    "ReaderStatus.fault",
    "ReaderStatus.name",
    "ScheduleStatus.fault",
    "ScheduleStatus.name",
    "ScheduleStatus.next",
    "SessionStatus.reason",
    // Facts, as the journal has them.
    "Fact.button",
    "Fact.call_id",
    "Fact.command",
    "Fact.door",
    "Fact.event",
    "Fact.fault",
    "Fact.mode",
    "Fact.name",
    "Fact.output",
    "Fact.problem",
    "Fact.reader",
    "Fact.reason",
    "Fact.schedule",
    "Fact.sensor",
    "Fact.sound",
];
/// The owner of the keys of a map.
pub(super) const KEYS: &str = "(keys)";
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

    /// The rule for a value of this type; `None` if it is not a secret.
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
            (Self::All(_), Sdp::TYPE | MessageBody::TYPE | UNKNOWN_MESSAGE) => Some(Rule::Length),
            (Self::All(_), _) => None,
        }
    }

    /// A text of no particular type in a field.
    pub(super) fn plain(&self, owner: &str, field: &str, text: &str) -> String {
        let is_harmless =
            || owner == KEYS || HARMLESS.iter().any(|place| place.split_once('.') == Some((owner, field)));
        match self {
            Self::All(_) if !is_harmless() => of_length(text),
            Self::All(_) | Self::Credentials => text.to_owned(),
        }
    }
}

impl Rule<'_> {
    pub(super) fn apply(&self, value: Value) -> Value {
        let text = match value {
            Value::String(text) => text,
            // A message of any form that this version does not know.
            Value::Object(_) | Value::Array(_) => value.to_string(),
            other => return other,
        };
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
    /// Replaces the digits of a number. `sip:` and the host stay as they are.
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
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_json::json;

    use super::super::redactor::Redactor;
    use super::*;

    /// What somebody adds tomorrow: secrets in fields of any name and in keys, and texts of no type in fields whose names
    /// are harmless elsewhere.
    #[derive(Serialize)]
    struct Tomorrow {
        whoever: PhoneNumber,
        opens: Vec<DoorCode>,
        note: String,
        key: Option<Credential>,
        name: String,
        reason: String,
        tries: BTreeMap<PhoneNumber, u32>,
        version: Dated,
    }

    #[derive(Serialize)]
    #[serde(rename = "Dump")]
    struct Dated {
        version: String,
    }

    fn redacted(redaction: &Redaction) -> Value {
        let tomorrow = Tomorrow {
            whoever: "2041".into(),
            opens: vec!["7391".into()],
            note: "call Anna at 2041".into(),
            key: Some("t0ken".into()),
            name: "Anna".into(),
            reason: "Anna is out".into(),
            tries: [("2041".into(), 3)].into(),
            version: Dated { version: "0.1.0".into() },
        };
        tomorrow.serialize(Redactor::new(redaction)).unwrap()
    }

    #[test]
    fn a_new_field_does_not_leak() {
        let value = redacted(&Redaction::all(7));
        let text = value.to_string();
        for secret in ["2041", "7391", "t0ken", "Anna"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(value.get("note"), Some(&json!("redacted, 17 bytes")));
        assert_eq!(value.pointer("/version/version"), Some(&json!("0.1.0")));
    }

    #[test]
    fn a_recording_that_is_not_redacted_still_has_no_credential() {
        let value = redacted(&Redaction::Credentials);
        assert_eq!(value.get("key"), Some(&json!("redacted")));
        assert_eq!(value.get("whoever"), Some(&json!("2041")));
    }
}
