//! Patterns of telephone numbers in `from`.

use serde::{Deserialize, Serialize};

/// A number, or the beginning of numbers (`2*`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum NumberPattern {
    /// This very number.
    Exact(String),
    /// Every number that begins so.
    Prefix(String),
}

impl NumberPattern {
    /// Reads `100`, `2*` or `*`.
    pub fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    /// Whether `number` is meant.
    pub fn matches(&self, number: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == number,
            Self::Prefix(prefix) => number.starts_with(prefix.as_str()),
        }
    }
}

impl From<String> for NumberPattern {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<NumberPattern> for String {
    fn from(pattern: NumberPattern) -> Self {
        match pattern {
            NumberPattern::Exact(exact) => exact,
            NumberPattern::Prefix(prefix) => format!("{prefix}*"),
        }
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
}
