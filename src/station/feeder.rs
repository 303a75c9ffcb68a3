//! What systemd is told (sd_notify(3)): the watchdog is fed while everything makes progress, and the status
//! is one line in words.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

use crate::audio::Meters;
use crate::core::{Status, Time, Watchdog};

/// Progress is looked at so often, where the watchdog allows more.
const LOOK: Duration = Duration::from_secs(2);

/// Where systemd has asked for it, in `WATCHDOG_USEC`.
pub(super) struct Feeder {
    watchdog: Watchdog,
    every: Duration,
    next: Instant,
}

impl Feeder {
    /// `None` where nobody watches.
    pub(super) fn new(now: Time) -> Option<Self> {
        let limit = sd_notify::watchdog_enabled()?;
        let every = (limit / 3).min(LOOK);
        Some(Self { watchdog: Watchdog::new(now), every, next: Instant::now() + every })
    }

    /// When to look next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Called by the event loop, which therefore runs; looks whether the audio thread does.
    pub(super) fn look(&mut self, meters: &Meters, now: Time) {
        self.next = Instant::now() + self.every;
        if self.watchdog.look(meters.frames.load(Ordering::Relaxed), now) {
            // Without systemd there is nobody to tell.
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }
}

/// The station in one line, for `systemctl status`.
pub(super) fn summary(status: &Status) -> String {
    let session = match &status.session.reason {
        Some(reason) => format!("{}: {reason}", status.session.state),
        None => status.session.state.to_string(),
    };
    let calls = status.lines.iter().filter_map(|line| Some((line.state, line.call.as_ref()?)));
    let calls = calls.map(|(state, call)| format!("{state} {}", call.number));
    let card = status.audio.fault.iter().map(|fault| format!("no sound card: {fault}"));
    let inputs = status.buttons.iter().chain(&status.sensors).map(|pin| (&pin.name, &pin.fault));
    let outputs = status.outputs.iter().map(|output| (&output.name, &output.fault));
    let pins = inputs.chain(outputs).filter_map(|(name, fault)| Some(format!("{name}: {}", fault.as_ref()?)));
    [session].into_iter().chain(calls).chain(card).chain(pins).collect::<Vec<_>>().join("; ")
}
