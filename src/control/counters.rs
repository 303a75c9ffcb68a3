//! What is counted since the start, for `/metrics` and the status.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::{By, Direction};
use crate::secret::PhoneNumber;

/// What is counted since the start.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Counters {
    /// Calls that have ended.
    pub calls: Vec<CallCount>,
    /// How long all calls were up that have ended, in milliseconds.
    pub call_ms: u64,
    /// Presses, by button.
    pub presses: BTreeMap<String, u64>,
    /// Codes that were wrong, typed by far ends or at readers.
    pub wrong_codes: u64,
    /// From a press to the request for its call.
    pub press_to_request: Histogram,
    /// Packets of far ends.
    pub media: MediaCounts,
}

/// How many calls have ended so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CallCount {
    pub direction: Direction,
    pub result: CallResult,
    pub count: u64,
}

/// A call that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RecentCall {
    /// When it ended, in milliseconds since the Unix epoch.
    pub ended_at_ms: u64,
    pub direction: Direction,
    /// The far end's number; empty if it is unknown.
    pub number: PhoneNumber,
    /// Who started it.
    pub by: By,
    pub result: CallResult,
    /// For how long it was up, in seconds.
    pub talk_s: u64,
}

/// How a call has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    /// Somebody has taken it.
    Answered,
    /// It was given up before anybody took it.
    Abandoned,
    /// It rang, and nobody answered.
    NoAnswer,
    /// It never rang.
    NotReachable,
    Busy,
    Declined,
    /// There is no such number.
    NotFound,
    /// The service failed.
    Failed,
}

impl CallResult {
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Abandoned,
        Self::NoAnswer,
        Self::NotReachable,
        Self::Busy,
        Self::Declined,
        Self::NotFound,
        Self::Failed,
    ];

    /// Its word in JSON and in labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Abandoned => "abandoned",
            Self::NoAnswer => "no_answer",
            Self::NotReachable => "not_reachable",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::NotFound => "not_found",
            Self::Failed => "failed",
        }
    }
}

/// Packets that came from far ends.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MediaCounts {
    pub packets_received: u64,
    /// Packets that never came, or came too late.
    pub packets_lost: u64,
    /// For how long the sound of the far end is kept back now, in milliseconds; 0 without a call.
    pub delay_ms: u32,
}

/// Times, by their length.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Histogram {
    /// How many times were at most as long as the bound of the same place in [`Histogram::BOUNDS_MS`].
    pub buckets: [u64; 8],
    /// All of them.
    pub count: u64,
    /// Their sum, in milliseconds.
    pub sum_ms: u64,
}

impl Histogram {
    /// The bounds of the buckets, in milliseconds.
    pub const BOUNDS_MS: [u64; 8] = [5, 10, 25, 50, 100, 500, 1_000, 5_000];

    pub fn add(&mut self, ms: u64) {
        self.count += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
        for (bucket, bound) in self.buckets.iter_mut().zip(Self::BOUNDS_MS) {
            *bucket += u64::from(ms <= bound);
        }
    }
}
