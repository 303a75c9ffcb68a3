//! Randomness as an input: the seed determines the whole sequence.

use serde::{Deserialize, Serialize};

use std::time::Duration;

use crate::signaling::CallId;

/// SplitMix64 (Steele, Lea, Flood 2014). Jitter and call ids must be well distributed, but need not be secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Random(u64);

const CALL_ID_ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Random {
    /// Creates a sequence that depends only on `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// Returns a number below `bound`, or 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// Returns a duration from `low` to `high`, in whole milliseconds.
    pub fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let span = u64::try_from(high.saturating_sub(low).as_millis()).unwrap_or(u64::MAX);
        low + Duration::from_millis(self.below(span.saturating_add(1)))
    }

    /// Returns a new call id of 24 letters and digits.
    pub fn call_id(&mut self) -> CallId {
        CallId(
            (0..24)
                .map(|_| {
                    let index = usize::try_from(self.below(62)).unwrap_or(0);
                    char::from(CALL_ID_ALPHABET.get(index).copied().unwrap_or(b'0'))
                })
                .collect(),
        )
    }
}
