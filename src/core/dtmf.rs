//! Codes that the far end enters (`interface.md`, `[[dtmf]]`).

use serde::{Deserialize, Serialize};

use std::time::Duration;

use super::time::Time;

/// Digits are forgotten after a pause of this length.
pub(super) const DIGIT_TIMEOUT: Duration = Duration::from_secs(3);
/// So many wrong codes, and codes are off for the rest of the call.
pub(super) const MAX_WRONG_CODES: u32 = 5;

/// Digits of one call so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct CodeEntry {
    digits: String,
    last_at: Option<Time>,
    pub(super) wrong_codes: u32,
}

/// What a digit led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    /// A code may still come.
    Incomplete,
    /// The n-th of the codes.
    Matched(usize),
    /// No code begins so.
    Wrong {
        /// That was one too many.
        locked: bool,
    },
    /// Codes are off for this call.
    Locked,
}

/// The first of the codes that somebody enters who types these digits without a pause.
pub fn code_of(digits: &str, codes: &[&str]) -> Option<usize> {
    let mut entry = CodeEntry::default();
    digits.chars().find_map(|digit| match entry.digit(digit, codes, Time::default()) {
        Entry::Matched(index) => Some(index),
        _ => None,
    })
}

impl CodeEntry {
    pub(super) fn is_locked(&self) -> bool {
        self.wrong_codes >= MAX_WRONG_CODES
    }

    /// When the digits so far become a wrong code.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.last_at.map(|at| at + DIGIT_TIMEOUT)
    }

    /// Takes a digit; `codes` are those that this far end may use.
    pub(super) fn digit(&mut self, digit: char, codes: &[&str], now: Time) -> Entry {
        if self.is_locked() {
            return Entry::Locked;
        }
        self.digits.push(digit);
        self.last_at = Some(now);
        if let Some(index) = codes.iter().position(|code| *code == self.digits) {
            self.clear();
            return Entry::Matched(index);
        }
        if codes.iter().any(|code| code.starts_with(&self.digits)) {
            return Entry::Incomplete;
        }
        let entry = self.wrong();
        // The digit that did not fit may be the first of the right code.
        if !self.is_locked() && codes.iter().any(|code| code.starts_with(digit) && code.len() > 1) {
            self.digits.push(digit);
            self.last_at = Some(now);
        }
        entry
    }

    /// Forgets digits that nobody completed.
    pub(super) fn expire(&mut self, now: Time) -> Option<Entry> {
        self.deadline().is_some_and(|deadline| now >= deadline).then(|| self.wrong())
    }

    fn wrong(&mut self) -> Entry {
        self.clear();
        self.wrong_codes += 1;
        Entry::Wrong { locked: self.is_locked() }
    }

    fn clear(&mut self) {
        self.digits.clear();
        self.last_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(entry: &mut CodeEntry, digits: &str, codes: &[&str]) -> Vec<Entry> {
        digits.chars().map(|digit| entry.digit(digit, codes, Time(0))).collect()
    }

    #[test]
    fn the_right_code_matches_at_its_last_digit() {
        let mut entry = CodeEntry::default();
        assert_eq!(enter(&mut entry, "5#", &["9", "5#"]), [Entry::Incomplete, Entry::Matched(1)]);
    }

    #[test]
    fn a_slip_before_the_right_code_does_not_spoil_it() {
        let mut entry = CodeEntry::default();
        assert_eq!(enter(&mut entry, "55#", &["5#"]).last(), Some(&Entry::Matched(0)));
    }

    #[test]
    fn the_fifth_wrong_code_locks() {
        let mut entry = CodeEntry::default();
        let entries = enter(&mut entry, "11111", &["5#"]);
        assert_eq!(entries.last(), Some(&Entry::Wrong { locked: true }));
        assert_eq!(enter(&mut entry, "5#", &["5#"]), [Entry::Locked, Entry::Locked]);
    }

    #[test]
    fn half_a_code_is_wrong_after_three_seconds() {
        let mut entry = CodeEntry::default();
        entry.digit('5', &["5#"], Time(0));
        assert_eq!(entry.expire(Time(2_999)), None);
        assert_eq!(entry.expire(Time(3_000)), Some(Entry::Wrong { locked: false }));
        assert_eq!(entry.digit('#', &["5#"], Time(3_001)), Entry::Wrong { locked: false });
    }
}
