//! `[[dtmf]]` and `[access]`: door codes and what wrong ones cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::Trigger;
use super::number::NumberPattern;

impl DtmfRule {
    /// Whether a far end may use this code: one of `from`, else any that the station called.
    pub fn admits(&self, number: &str, called_by_us: bool) -> bool {
        match &self.from {
            Some(from) => from.iter().any(|pattern| pattern.matches(number)),
            None => called_by_us,
        }
    }
}

/// `[[dtmf]]`
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct DtmfRule {
    /// The code.
    pub digits: String,
    /// Far ends that may use it; any far end that we called where absent.
    pub from: Option<Vec<NumberPattern>>,
    /// What it does.
    pub run: Trigger,
    /// Tones in the sound count as well, where the far end has no telephone events.
    #[serde(default)]
    pub in_band: bool,
}

impl std::fmt::Debug for DtmfRule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DtmfRule").field("run", &self.run).finish_non_exhaustive()
    }
}

/// `[access]`: wrong codes, and what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessConfig {
    /// So many wrong codes …
    pub wrong_codes: u32,
    /// … within this time …
    pub window: Duration,
    /// … turn codes off for this long, and for twice as long each time after that.
    pub lock: Duration,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self { wrong_codes: 5, window: Duration::from_secs(600), lock: Duration::from_secs(60) }
    }
}
