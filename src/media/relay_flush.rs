//! Relayed datagrams leave at once.
//!
//! The driver of the library empties its TURN client before it hands over what is to be relayed. So that would wait for
//! whatever wakes the driver next: 20 ms in a call, and 200 ms while DTLS shakes hands (docs/workarounds.md, "webrtc:
//! relayed datagrams wait for the next wake-up"). While something is relayed, the driver is therefore made to go round
//! again after each wake-up, before it sleeps.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::turn::carries_media;

/// A connection counts as relayed for this long after something was relayed. Its consent checks come more often.
const LATELY: Duration = Duration::from_secs(1);

/// How often the driver goes round after a wake-up: what it has received reaches the core at the end of the first round,
/// the core's answer reaches the TURN client in the second, and leaves in the third.
const ROUNDS: u8 = 3;

/// Whether the driver of one peer connection may sleep.
pub(super) struct RelayFlush {
    began: Instant,
    /// When something was relayed last, in ms since `began`; `u64::MAX` for never.
    relayed_at_ms: AtomicU64,
    /// Rounds of the driver since it was woken.
    rounds: AtomicU8,
}

impl RelayFlush {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), relayed_at_ms: AtomicU64::new(u64::MAX), rounds: AtomicU8::new(0) }
    }

    /// Sees each datagram that leaves.
    pub(super) fn sent(&self, datagram: &[u8]) {
        if carries_media(datagram) {
            self.relayed_at_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// Whether the driver may sleep now. It asks at the end of each round.
    pub(super) fn may_sleep(&self) -> bool {
        let lately_ms = u64::try_from(LATELY.as_millis()).unwrap_or(u64::MAX);
        let relays = match self.relayed_at_ms.load(Ordering::Relaxed) {
            u64::MAX => false,
            at_ms => self.now_ms().saturating_sub(at_ms) < lately_ms,
        };
        let rounds = self.rounds.load(Ordering::Relaxed) + 1;
        let may_sleep = !relays || rounds >= ROUNDS;
        // The driver is one task.
        self.rounds.store(if may_sleep { 0 } else { rounds }, Ordering::Relaxed);
        may_sleep
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_goes_round_three_times_while_something_is_relayed_and_once_otherwise() {
        let flush = RelayFlush::new();
        flush.sent(&[0x80, 111]);
        assert!(flush.may_sleep() && flush.may_sleep(), "nothing is relayed");
        flush.sent(&[0x40, 0, 0, 4]);
        let asked: Vec<bool> = (0..6).map(|_| flush.may_sleep()).collect();
        assert_eq!(asked, [false, false, true, false, false, true]);
    }
}
