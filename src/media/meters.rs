//! What the calls of a station receive, counted by their audio threads.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::receive::ReceiveCounters;

/// What all calls have received since the start.
#[derive(Debug, Default)]
pub struct MediaMeters {
    pub received: AtomicU64,
    pub lost: AtomicU64,
    /// For how long the sound of the newest call is kept back, in milliseconds; 0 without a call.
    pub delay_ms: AtomicU32,
}

impl MediaMeters {
    /// Adds what has come since `before`.
    pub(super) fn add(&self, before: ReceiveCounters, now: ReceiveCounters, delay_ms: f64) {
        self.received.fetch_add(now.received.saturating_sub(before.received), Ordering::Relaxed);
        self.lost.fetch_add(now.lost.saturating_sub(before.lost), Ordering::Relaxed);
        self.delay_ms.store(delay_ms.max(0.0) as u32, Ordering::Relaxed);
    }
}
