//! The server's clock, as its `state` handshake tells it (docs/protocol.md, "Messages").

use super::clock::{Clock, EARLIEST_PLAUSIBLE_S, wall_clock_ms};
use crate::signaling::{ServerMessage, SocketEvent};

/// The core is told again when the difference has changed by more than this: somebody has set our clock.
const CHANGE_MS: i64 = 30_000;

/// What is known of the server's clock.
#[derive(Debug, Default)]
pub(super) struct ServerTime {
    /// The server's time, less that of our monotonic clock.
    offset_ms: Option<i64>,
    told_ms: Option<i64>,
}

impl ServerTime {
    /// Notes the time in a `state` handshake. A server whose clock was never set says nothing about ours.
    pub(super) fn note(&mut self, event: &SocketEvent, clock: &Clock) {
        if let SocketEvent::Message(message) = event
            && let ServerMessage::State(state) = message.as_ref()
            && u64::try_from(state.timestamp).is_ok_and(|server_ms| server_ms / 1000 >= EARLIEST_PLAUSIBLE_S)
        {
            self.offset_ms = Some(state.timestamp.saturating_sub(monotonic_ms(clock)));
            self.told_ms = None;
        }
    }

    /// By how much the server's clock is ahead of ours, if the core must be told.
    pub(super) fn take_news(&mut self, clock: &Clock) -> Option<i64> {
        let ours_ms = i64::try_from(wall_clock_ms()).unwrap_or(i64::MAX);
        let ahead_ms = self.offset_ms?.saturating_add(monotonic_ms(clock)).saturating_sub(ours_ms);
        let is_old = self.told_ms.is_some_and(|told| told.abs_diff(ahead_ms) <= CHANGE_MS.unsigned_abs());
        (!is_old).then(|| {
            self.told_ms = Some(ahead_ms);
            ahead_ms
        })
    }
}

fn monotonic_ms(clock: &Clock) -> i64 {
    i64::try_from(clock.now().at.0).unwrap_or(i64::MAX)
}
