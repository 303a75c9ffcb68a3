//! Notifies systemd (sd_notify(3)): the watchdog is fed while everything makes progress, and the status is one
//! line.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use sd_notify::NotifyState;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::audio::Meters;
use crate::core::{AudioProgress, Status, Time, Watchdog};

/// How often progress is checked, where the watchdog allows more.
const LOOK: Duration = Duration::from_millis(2500);

/// Feeds systemd's watchdog, where systemd has asked for it in `WATCHDOG_USEC`.
pub(super) struct WatchdogTimer {
    watchdog: Watchdog,
    timer: Timer,
}

impl WatchdogTimer {
    /// The watchdog is fed at half its limit, as sd_watchdog_enabled(3) recommends. `None` where nobody watches.
    pub(super) fn new(now: Time) -> Option<Self> {
        let every = (sd_notify::watchdog_enabled()? / 2).min(LOOK);
        match Timer::new(every) {
            Ok(timer) => Some(Self { watchdog: Watchdog::new(now), timer }),
            Err(error) => {
                tracing::error!(%error, "no timer for the watchdog: systemd will start this process again");
                None
            }
        }
    }

    /// Returns when it is time to check.
    pub(super) async fn due(&self) {
        self.timer.tick().await;
    }

    /// Called by the event loop, which therefore runs; checks whether the audio thread and the session run too.
    pub(super) fn check(&mut self, meters: &Meters, session_due: Option<Time>, now: Time) {
        let audio = AudioProgress {
            beats: meters.beats.load(Ordering::Relaxed),
            opening: meters.opening.load(Ordering::Relaxed),
        };
        if self.watchdog.look(audio, session_due, now) {
            // Without systemd, nobody receives this.
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
    }
}

/// A repeating timer of the kernel (timerfd_create(2)). It wakes the process once a period; a wait of seconds in the
/// timer wheel of the runtime takes two or three wake-ups (docs/workarounds.md, "tokio: waits of seconds wake the
/// process several times").
struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    #[allow(unsafe_code, reason = "the owner of the descriptor must vouch for it")]
    fn new(every: Duration) -> std::io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let every = Timespec::try_from(every).map_err(std::io::Error::other)?;
        timerfd_settime(&fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: every, it_value: every })?;
        // docs/workarounds.md, "tokio: registering a descriptor is unsafe".
        // SAFETY: an `OwnedFd` is its own descriptor for as long as it lives, and it lives in the `AsyncFd`.
        Ok(Self(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?))
    }

    async fn tick(&self) {
        let read = |fd: &OwnedFd| Ok(rustix::io::read(fd, &mut [0; 8])?);
        // A broken timer never ticks, so the watchdog is not fed.
        if self.0.async_io(Interest::READABLE, read).await.is_err() {
            std::future::pending::<()>().await;
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
