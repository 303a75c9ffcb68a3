//! Takes secrets out of a recording without changing what the station decides.

use serde_json::Value;

use crate::core::Random;

/// Fields that hold telephone numbers, or patterns of them.
const NUMBERS: [&str; 8] = ["number", "numbers", "from", "caller", "callee", "login", "refer_to", "referred_by"];
/// Fields that hold door codes, or digits of them.
const CODES: [&str; 4] = ["digits", "Digit", "Tone", "Dtmf"];
/// Fields that hold names of people.
const NAMES: [&str; 4] = ["display_name", "caller_display_name", "identifier", "user"];
/// Fields that hold session descriptions and candidates.
const DESCRIPTIONS: [&str; 5] = ["sdp", "offer", "candidate", "username", "content"];
/// Fields that hold what opens a session or a relay.
const TOKENS: [&str; 2] = ["credential", "Token"];
/// Digits of a number that have a substitution of their own; the rest shares the last.
const PLACES: usize = 32;

/// One substitution of digits for each place in a number: `2*` still matches what it matched.
pub(super) struct Redaction {
    numbers: Vec<[char; 10]>,
    codes: [char; 10],
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

impl Redaction {
    pub(super) fn new(random: &mut Random) -> Self {
        Self { numbers: (0..PLACES).map(|_| shuffled(random)).collect(), codes: shuffled(random) }
    }

    /// Replaces what is secret in the whole tree.
    pub(super) fn apply(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.field(name, field);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            _ => {}
        }
    }

    fn field(&self, name: &str, value: &mut Value) {
        if NUMBERS.contains(&name) {
            each_text(value, &mut |text| self.number(text));
        } else if CODES.contains(&name) {
            each_text(value, &mut |text| text.chars().map(|digit| substitute(&self.codes, digit)).collect());
        } else if NAMES.contains(&name) {
            each_text(value, &mut |_| "somebody".to_owned());
        } else if DESCRIPTIONS.contains(&name) {
            self.apply(value);
            each_text(value, &mut |text| format!("redacted, {} bytes", text.len()));
        } else {
            self.apply(value);
        }
    }

    /// A number, whatever stands around it: `sip:` and the host stay as they are.
    fn number(&self, text: &str) -> String {
        let scheme = ["<sip:", "<sips:", "sip:", "sips:"].into_iter().find(|scheme| text.starts_with(scheme));
        let (head, rest) = text.split_at(scheme.map_or(0, str::len));
        let end = rest.find(['@', ';', '>']).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let mut place = 0;
        let replaced: String = number
            .chars()
            .map(|digit| {
                let digits = self.numbers.get(place.min(PLACES - 1));
                place += 1;
                digits.map_or(digit, |digits| substitute(digits, digit))
            })
            .collect();
        format!("{head}{replaced}{tail}")
    }
}

/// Takes tokens and passwords out of the whole tree.
pub(super) fn drop_tokens(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if TOKENS.contains(&name.as_str()) && field.is_string() {
                    *field = "redacted".into();
                } else {
                    drop_tokens(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(drop_tokens),
        _ => {}
    }
}

/// Changes a text, the texts of a list, or those inside an object.
fn each_text(value: &mut Value, change: &mut impl FnMut(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(fields) => fields.iter_mut().for_each(|(_, field)| each_text(field, change)),
        _ => {}
    }
}
