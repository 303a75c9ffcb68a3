//! The restart back-off: how long a process waits first, if it is started again and again.
//!
//! A defect that ends every process early must not become a storm of connections. systemd can do this itself only from
//! version 254 on (docs/workarounds.md, "systemd: restart steps need version 254").

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::random::Random;
use super::time::Time;

/// Older starts are forgotten.
const WINDOW: Duration = Duration::from_secs(600);
/// This many starts within the window have no wait, because a call may have to be taken up again at once.
const FREE: usize = 4;
/// The longest wait.
const CAP: Duration = Duration::from_secs(30);

/// The recent starts of this boot. A process that stops because it was asked to clears them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartBackoff(Vec<Time>);

impl RestartBackoff {
    /// Adds a start. Returns how long to wait first: not at all for the first four, about a second for the fifth, and
    /// twice as long each further time, up to 30 s.
    pub fn begin(&mut self, now: Time, random: &mut Random) -> Duration {
        self.0.retain(|start| *start <= now && now.since(*start) < WINDOW);
        let others = self.0.len();
        self.0.push(now);
        let Some(steps) = others.checked_sub(FREE) else { return Duration::ZERO };
        let wait = Duration::from_secs(1_u64 << steps.min(10)).min(CAP);
        random.between(wait * 3 / 4, wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restarts_are_immediate_and_the_next_wait_longer_each_time() {
        let (mut starts, mut random) = (RestartBackoff::default(), Random::new(1));
        let mut now = Time(1_000_000);
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = starts.begin(now, &mut random);
            now = now + wait + Duration::from_secs(1);
            waits.push(wait.as_secs_f32());
        }
        assert_eq!(waits[..4], [0.0; 4]);
        for (index, wait) in waits[4..].iter().enumerate() {
            let most = (1_u32 << index).min(30) as f32;
            assert!((0.75 * most..=most).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn a_start_of_ten_minutes_ago_and_one_of_another_boot_do_not_count() {
        let (mut starts, mut random) = (RestartBackoff::default(), Random::new(1));
        for second in 0..8 {
            starts.begin(Time(second * 1_000), &mut random);
        }
        assert_eq!(starts.clone().begin(Time(700_000), &mut random), Duration::ZERO);
        let mut later = RestartBackoff(vec![Time(9_000_000); 8]);
        assert_eq!(later.begin(Time(5_000), &mut random), Duration::ZERO);
    }
}
