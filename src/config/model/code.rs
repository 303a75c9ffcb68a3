//! `[[dtmf]]` and `[access]`: door codes, and the lock after wrong codes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::Trigger;
use super::number::NumberPattern;
use crate::mutant::{Mutant, mutant};
use crate::secret::DoorCode;

impl DtmfRule {
    /// Whether a far end may use this code: it matches `from`, or, without `from`, the station called it.
    pub fn admits(&self, number: &str, called_by_us: bool) -> bool {
        match &self.from {
            Some(from) => from.iter().any(|pattern| pattern.matches(number)),
            None => called_by_us || mutant(Mutant::CodesForEverybody),
        }
    }
}

/// A code of the far end (docs/configuration.md, "`[[dtmf]]`").
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct DtmfRule {
    /// The code, which is a secret.
    pub digits: DoorCode,
    /// Far ends that may use the code. `None`: any far end that the station called.
    pub from: Option<Vec<NumberPattern>>,
    pub run: Trigger,
    /// Tones in the sound count as well, if the far end has no telephone events (RFC 4733).
    #[serde(default)]
    pub in_band: bool,
}

impl std::fmt::Debug for DtmfRule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DtmfRule").field("run", &self.run).finish_non_exhaustive()
    }
}

/// After how many wrong codes the codes of a far end are locked (docs/configuration.md, "`[access]`").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessConfig {
    /// The number of wrong codes that lock the codes.
    pub wrong_codes: u32,
    /// The time within which the wrong codes are counted.
    pub window: Duration,
    /// How long the codes are locked the first time; each later lock lasts twice as long.
    pub lock: Duration,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self { wrong_codes: 5, window: Duration::from_secs(600), lock: Duration::from_secs(60) }
    }
}
