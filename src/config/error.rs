//! Configuration errors: all of them are reported together, each with its place, value and remedy.

use crate::plain_text::marked;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At a line of the file.
    Line {
        /// The file, as it was named on the command line.
        file: String,
        /// Counted from 1.
        line: usize,
    },
    /// The file as a whole, for example because a table is missing.
    File(String),
    /// The environment variable of this name.
    Environment(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line { file, line } => write!(formatter, "{file}:{line}"),
            Self::File(file) => formatter.write_str(file),
            Self::Environment(variable) => write!(formatter, "environment variable {variable}"),
        }
    }
}

/// One error of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub place: Place,
    /// The full key, such as `core.url`; empty if the error concerns the file as a whole.
    pub key: String,
    /// What is wrong, with the value.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) };
        // A text of the file may be in it.
        formatter.write_str(&marked(&format!("{}: {key}{}; {}", self.place, self.problem, self.remedy)))
    }
}

/// Something that is allowed, but probably not intended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    pub place: Place,
    /// The full key, such as `core.url`.
    pub key: String,
    /// What the value leads to, and what may be intended.
    pub text: String,
}

impl std::fmt::Display for ConfigWarning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&marked(&format!("{}: {}: warning: {}", self.place, self.key, self.text)))
    }
}

/// All errors of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for error in &self.0 {
            writeln!(formatter, "{error}")?;
        }
        let count = self.0.len();
        write!(formatter, "{count} error{} in the configuration", if count == 1 { "" } else { "s" })
    }
}
