//! The clocks of the machine, in the form that the core needs.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

use crate::core::{LocalTime, Now, Time};

/// 2026-11-01. A clock that shows an earlier time was never set.
pub(super) const EARLIEST_PLAUSIBLE_S: u64 = 1_793_491_200;

#[derive(Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
    /// CLOCK_MONOTONIC at `start` (clock_gettime(2)). The core's time goes on when the process ends, so a restarted
    /// process knows how long a call has been up.
    start_at: Time,
}

impl Clock {
    pub(super) fn new() -> Self {
        let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(monotonic.tv_sec).unwrap_or_default();
        let milliseconds = u64::try_from(monotonic.tv_nsec / 1_000_000).unwrap_or_default();
        Self { start: Instant::now(), start_at: Time(seconds * 1000 + milliseconds) }
    }

    pub(super) fn now(&self) -> Now {
        Now { at: self.start_at + self.start.elapsed(), local: local_time() }
    }

    /// Converts a time of CLOCK_MONOTONIC.
    pub(super) fn time(&self, monotonic: std::time::Duration) -> Time {
        Time(u64::try_from(monotonic.as_millis()).unwrap_or(u64::MAX))
    }

    /// Converts a deadline of the core.
    pub(super) fn instant(&self, time: Time) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.start + time.since(self.start_at))
    }

    pub(super) fn uptime_s(&self) -> u64 {
        self.start.elapsed().as_secs()
    }
}

/// Milliseconds since the epoch.
pub(crate) fn wall_clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The local time; `None` until the clock can be trusted. It must have been set, and if systemd-timesyncd runs, it must
/// have reported that (systemd-timesyncd.service(8); docs/workarounds.md, "systemd: a set clock may still be wrong").
pub fn local_time() -> Option<LocalTime> {
    let seconds = wall_clock_ms() / 1000;
    let waits_for_timesyncd =
        Path::new("/run/systemd/timesync").exists() && !Path::new("/run/systemd/timesync/synchronized").exists();
    if seconds < EARLIEST_PLAUSIBLE_S || waits_for_timesyncd {
        return None;
    }
    let zoned = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?.to_zoned(TimeZone::system());
    Some(LocalTime {
        date: zoned.date(),
        minute_of_day: u16::try_from(i32::from(zoned.hour()) * 60 + i32::from(zoned.minute())).ok()?,
    })
}
