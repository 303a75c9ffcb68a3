//! Values of any type without their secrets, for a report.
#![cfg(feature = "daemon")]

use serde::Serialize;
use serde_json::Value;

use super::redact::Redaction;
use super::redactor::Redactor;

/// Replaces secrets as a recording does: equal numbers by equal ones.
pub struct Redacted(Redaction);

impl Redacted {
    /// With a substitution that nobody knows.
    ///
    /// # Errors
    ///
    /// The system provides no random numbers.
    pub fn with_random_seed() -> Result<Self, getrandom::Error> {
        let mut seed = [0_u8; 8];
        getrandom::fill(&mut seed)?;
        Ok(Self(Redaction::all(u64::from_ne_bytes(seed))))
    }

    /// The value as JSON.
    ///
    /// # Errors
    ///
    /// An error of serde_json. No value of this program is known to cause one.
    pub fn value<T: Serialize>(&self, value: &T) -> Result<Value, serde_json::Error> {
        value.serialize(Redactor::new(&self.0))
    }
}
