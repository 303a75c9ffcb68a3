//! Patterns of telephone numbers in `from`.

use crate::secret::PhoneNumber;
use serde::{Deserialize, Serialize};

/// A number, or the beginning of numbers (`2*`), in which `?` stands for any one character. It is of the account's own SIP
/// domains, unless it names another domain (`100@example.com`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "PhoneNumber")]
pub enum NumberPattern {
    /// These characters only.
    Exact(String),
    /// Every number that begins with these characters.
    Prefix(String),
}

impl NumberPattern {
    /// Makes a pattern from a text such as `100`, `1??`, `2*` or `*`.
    pub fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    /// Whether the pattern matches `number`. Only a pattern that names a domain matches a number of another domain
    /// (`100@elsewhere.example`), because such a number does not belong to the account.
    pub fn matches(&self, number: &str) -> bool {
        if number.contains('@') && !self.names_domain() {
            return false;
        }
        self.covers(&Self::Exact(number.to_owned()))
    }

    fn characters(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
        }
    }

    fn names_domain(&self) -> bool {
        self.characters().contains('@')
    }

    /// Whether this pattern matches every number that the other one matches.
    pub(in crate::config) fn covers(&self, other: &Self) -> bool {
        if self.names_domain() != other.names_domain() {
            return false;
        }
        let (ours, theirs) = (self.characters(), other.characters());
        let covered = ours.chars().zip(theirs.chars()).all(|(ours, theirs)| covers_character(ours, theirs));
        let (our_length, their_length) = (ours.chars().count(), theirs.chars().count());
        match (self, other) {
            (Self::Exact(_), Self::Exact(_)) => covered && our_length == their_length,
            (Self::Exact(_), Self::Prefix(_)) => false,
            (Self::Prefix(_), Self::Exact(_) | Self::Prefix(_)) => covered && our_length <= their_length,
        }
    }

    /// Whether there is a number that both patterns match.
    pub(in crate::config) fn meets(&self, other: &Self) -> bool {
        if self.names_domain() != other.names_domain() {
            return false;
        }
        let (one, two) = (self.characters(), other.characters());
        let meet = |(one, two)| covers_character(one, two) || covers_character(two, one);
        let met = one.chars().zip(two.chars()).all(meet);
        let (one_length, two_length) = (one.chars().count(), two.chars().count());
        met && match (self, other) {
            (Self::Exact(_), Self::Exact(_)) => one_length == two_length,
            (Self::Exact(_), Self::Prefix(_)) => one_length >= two_length,
            (Self::Prefix(_), Self::Exact(_)) => two_length >= one_length,
            (Self::Prefix(_), Self::Prefix(_)) => true,
        }
    }

    /// The pattern as it is written in the configuration.
    pub fn text(&self) -> String {
        match self {
            Self::Exact(exact) => exact.clone(),
            Self::Prefix(prefix) => format!("{prefix}*"),
        }
    }
}

/// Whether a character of a pattern stands for all that another one stands for. None stands for the `@` before a domain.
fn covers_character(ours: char, theirs: char) -> bool {
    ours == theirs || ours == '?' && theirs != '@'
}

impl From<String> for NumberPattern {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<NumberPattern> for PhoneNumber {
    fn from(pattern: NumberPattern) -> Self {
        pattern.text().into()
    }
}

#[cfg(test)]
mod tests {
    use super::NumberPattern;

    #[test]
    fn a_star_at_the_end_stands_for_any_rest() {
        assert!(NumberPattern::new("2*").matches("2"));
        assert!(NumberPattern::new("2*").matches("231"));
        assert!(!NumberPattern::new("2*").matches("123"));
        assert!(NumberPattern::new("*").matches(""));
        assert!(!NumberPattern::new("100").matches("1000"));
    }

    #[test]
    fn a_number_of_another_domain_is_meant_by_its_domain_alone() {
        let foreign = "100@elsewhere.example";
        for pattern in ["100", "1*", "*", "100*"] {
            assert!(!NumberPattern::new(pattern).matches(foreign), "{pattern}");
        }
        for pattern in ["100@elsewhere.example", "100@*", "100@else*"] {
            assert!(NumberPattern::new(pattern).matches(foreign), "{pattern}");
            assert!(!NumberPattern::new(pattern).matches("100"), "{pattern}");
            assert!(!NumberPattern::new("*").covers(&NumberPattern::new(pattern)), "{pattern}");
        }
    }

    #[test]
    fn a_question_mark_stands_for_one_character() {
        let flats = NumberPattern::new("1??");
        assert!(flats.matches("100") && flats.matches("1ab") && flats.matches("1??"));
        assert!(!flats.matches("10") && !flats.matches("1000") && !flats.matches("200"));
        let longer = NumberPattern::new("1?3*");
        assert!(longer.matches("123") && longer.matches("12345") && !longer.matches("12"));
        assert!(!NumberPattern::new("1??").matches("1@x"), "it does not reach into a domain");
        assert!(NumberPattern::new("1??@x.example").matches("123@x.example"));
        assert!(!NumberPattern::new("???@x.example").matches("1@@x.example"));
    }

    #[test]
    fn what_one_pattern_takes_from_another_is_known() {
        let new = NumberPattern::new;
        assert!(new("1??").covers(&new("12?")) && !new("12?").covers(&new("1??")));
        assert!(new("1*").covers(&new("1??")) && !new("1??").covers(&new("1*")));
        assert!(new("?*").covers(&new("2*")) && !new("?*").covers(&new("*")));
        assert!(new("1?").meets(&new("?2")) && !new("1?").meets(&new("2?")) && !new("1?").meets(&new("???")));
        assert!(new("1*").meets(&new("?23")) && !new("1??*").meets(&new("12")));
    }
}
