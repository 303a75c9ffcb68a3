//! Forms codes from the digits that a far end types (docs/configuration.md, "`[[dtmf]]`").

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::time::Time;
use crate::secret::{DoorCode, DtmfDigit, PhoneNumber};

/// After a pause of this length, digits that do not form a code are a wrong code.
pub(super) const DIGIT_TIMEOUT: Duration = Duration::from_secs(3);
/// After this many wrong codes in a call, codes are off for the rest of it, whatever `[access]` says.
pub(super) const MAX_WRONG_CODES: u32 = 5;

/// A code that the far end has entered and may use. The station runs its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::core) struct AcceptedCode {
    /// The place of its `[[dtmf]]` in the configuration.
    pub(in crate::core) rule: usize,
    pub(in crate::core) number: PhoneNumber,
}

/// The digits of one call that do not form a code yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct CodeEntry {
    digits: DoorCode,
    last_at: Option<Time>,
    pub(super) wrong_codes: u32,
}

/// The result of a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    /// The digits may still become a code.
    Incomplete,
    /// The digits are this one of the codes, by its place.
    Matched(usize),
    /// The digits are a wrong code.
    Wrong,
}

/// The first of `codes` that is entered if somebody types `digits` without a pause, by its place.
pub fn code_of(digits: &str, codes: &[&str]) -> Option<usize> {
    let mut entry = CodeEntry::default();
    digits.chars().map(DtmfDigit).find_map(|digit| match entry.digit(digit, codes, longest(codes), Time::default()) {
        Entry::Matched(index) => Some(index),
        _ => None,
    })
}

impl CodeEntry {
    /// Whether codes are off for the rest of the call.
    pub(super) fn is_locked(&self) -> bool {
        self.wrong_codes >= MAX_WRONG_CODES
    }

    /// When the digits so far become a wrong code.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.last_at.map(|at| at + DIGIT_TIMEOUT)
    }

    /// Takes a digit. `codes` are those that this far end may use. Digits that match none of them are a wrong code when
    /// there are `longest` of them. The next digit begins a new attempt: no digit is part of two attempts.
    pub(super) fn digit(&mut self, digit: DtmfDigit, codes: &[&str], longest: usize, now: Time) -> Entry {
        self.digits.push(digit);
        self.last_at = Some(now);
        if let Some(index) = codes.iter().position(|code| *code == self.digits) {
            self.clear();
            return Entry::Matched(index);
        }
        if self.digits.len() < longest {
            return Entry::Incomplete;
        }
        self.clear();
        Entry::Wrong
    }

    /// The call ends: digits that wait for more are a wrong code.
    pub(super) fn abandon(&mut self) -> Option<Entry> {
        (!self.digits.is_empty()).then(|| {
            self.clear();
            Entry::Wrong
        })
    }

    /// Digits after which a pause was too long are a wrong code.
    pub(super) fn expire(&mut self, now: Time) -> Option<Entry> {
        self.deadline().is_some_and(|deadline| now >= deadline).then(|| {
            self.clear();
            Entry::Wrong
        })
    }

    fn clear(&mut self) {
        self.digits.clear();
        self.last_at = None;
    }
}

/// The length of the longest code.
pub(super) fn longest(codes: &[&str]) -> usize {
    codes.iter().map(|code| code.len()).max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(digits: &str, codes: &[&str]) -> Vec<Entry> {
        let mut entry = CodeEntry::default();
        digits.chars().map(|digit| entry.digit(DtmfDigit(digit), codes, longest(codes), Time(0))).collect()
    }

    #[test]
    fn the_right_code_matches_at_its_last_digit() {
        assert_eq!(enter("5#", &["9", "5#"]), [Entry::Incomplete, Entry::Matched(1)]);
        assert_eq!(enter("9", &["9", "5#"]), [Entry::Matched(0)]);
    }

    #[test]
    fn a_wrong_code_is_wrong_from_its_first_digit_to_its_length() {
        use Entry::{Incomplete, Matched, Wrong};
        // The attempts are 9123 and 4123, so 1234 is in neither of them.
        let entries = enter("91234123", &["1234"]);
        assert_eq!(entries, [Incomplete, Incomplete, Incomplete, Wrong, Incomplete, Incomplete, Incomplete, Wrong]);
        assert_eq!(enter("99991234", &["1234"]).last(), Some(&Matched(0)));
        assert_eq!(enter("55#", &["5#"]), [Incomplete, Wrong, Incomplete]);
    }

    #[test]
    fn half_a_code_is_wrong_after_three_seconds() {
        let mut entry = CodeEntry::default();
        entry.digit(DtmfDigit('5'), &["5#"], 2, Time(0));
        assert_eq!(entry.expire(Time(2_999)), None);
        assert_eq!(entry.expire(Time(3_000)), Some(Entry::Wrong));
        assert_eq!(entry.expire(Time(9_000)), None);
        assert_eq!(entry.digit(DtmfDigit('#'), &["5#"], 2, Time(9_001)), Entry::Incomplete);
    }
}
