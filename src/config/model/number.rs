//! Patterns of telephone numbers in `from`.

use crate::secret::PhoneNumber;
use serde::{Deserialize, Serialize};

/// A number, or the beginning of numbers (`2*`). It is of the account's own SIP domains, unless it names another domain
/// (`100@example.com`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "PhoneNumber")]
pub enum NumberPattern {
    /// This number only.
    Exact(String),
    /// Every number that begins with this text.
    Prefix(String),
}

impl NumberPattern {
    /// Makes a pattern from a text such as `100`, `2*` or `*`.
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
        match self {
            Self::Exact(exact) => exact == number,
            Self::Prefix(prefix) => number.starts_with(prefix.as_str()),
        }
    }
}

impl NumberPattern {
    fn names_domain(&self) -> bool {
        matches!(self, Self::Exact(text) | Self::Prefix(text) if text.contains('@'))
    }

    /// Whether this pattern matches every number that the other one matches.
    pub(in crate::config) fn covers(&self, other: &Self) -> bool {
        if self.names_domain() != other.names_domain() {
            return false;
        }
        match (self, other) {
            (Self::Exact(exact), Self::Exact(other)) => exact == other,
            (Self::Exact(_), Self::Prefix(_)) => false,
            (Self::Prefix(prefix), Self::Exact(other) | Self::Prefix(other)) => other.starts_with(prefix.as_str()),
        }
    }

    /// Whether there is a number that both patterns match.
    pub(in crate::config) fn meets(&self, other: &Self) -> bool {
        if self.names_domain() != other.names_domain() {
            return false;
        }
        match (self, other) {
            (Self::Prefix(one), Self::Prefix(other)) => {
                one.starts_with(other.as_str()) || other.starts_with(one.as_str())
            }
            (Self::Exact(number), pattern) | (pattern, Self::Exact(number)) => pattern.matches(number),
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
}
