//! When to connect: after changes of the network, for presses that cannot wait, and to return to the first server.

use std::net::IpAddr;
use std::time::Duration;

use super::state::{CONNECT_TIMEOUT, NEW_ADDRESS_SPREAD, News, Phase, Session};
use crate::core::api::{Effect, SessionState};
use crate::core::context::Context;
use crate::core::time::Time;
use crate::signaling::CloseCause;

/// An attempt after a change of the network comes at least this long after the last one, however often the kernel
/// reports changes.
const NEW_ADDRESS_REST: Duration = Duration::from_millis(200);
/// The shortest time between two connection attempts that presses cause.
const HURRY_INTERVAL: Duration = Duration::from_secs(1);

impl Session {
    pub(super) fn connect(&mut self, cx: &mut Context) {
        let now = cx.now.at;
        self.last_attempt = Some(now);
        self.phase = Phase::Connecting { deadline: now + CONNECT_TIMEOUT };
        // A fault stays in the status until it is over, also during an attempt.
        if matches!(self.state, SessionState::Offline | SessionState::LoggingIn) {
            let reason = self.reason.take();
            self.set_state(SessionState::Connecting, reason);
        }
        cx.push(Effect::Connect { server: self.servers.current(), force: self.force });
    }

    /// Whether the session may be up within `patience`, so that a press may wait for it.
    pub(in crate::core) fn may_be_up_within(&self, patience: Duration, now: Time) -> bool {
        match &self.phase {
            Phase::Up { .. } => self.is_registered(),
            Phase::Waiting { until, hurry } => *hurry || until.since(now) < patience,
            Phase::WaitingForTime { until, .. } => until.since(now) < patience,
            Phase::Connecting { .. } | Phase::AwaitingState { .. } | Phase::ObtainingToken { .. } => {
                self.state != SessionState::Refused
            }
        }
    }

    /// The usable addresses of the machine have changed. If the address of the socket is gone, so is the session. If it
    /// is still there, a keepalive tests the link. A wait for the next attempt is shortened.
    pub(in crate::core) fn addresses(&mut self, addresses: Vec<IpAddr>, cx: &mut Context) -> Vec<News> {
        let Some(before) = self.addresses.replace(addresses.clone()) else { return Vec::new() };
        let new = addresses.iter().any(|address| !address.is_loopback() && !before.contains(address));
        let any = addresses.iter().any(|address| !address.is_loopback());
        if new {
            // Earlier failures happened on another network.
            self.backoff.reset();
        }
        let mut news = Vec::new();
        match &self.phase {
            Phase::Up { local: Some(local), .. } | Phase::AwaitingState { local: Some(local), .. }
                if !addresses.contains(local) =>
            {
                cx.push(Effect::Disconnect { code: 1001 });
                news = self.lost(CloseCause::Standard(1006), cx);
                self.reason = Some("the network address of the session is gone".into());
                if any {
                    self.hasten(cx);
                }
            }
            Phase::Up { keepalive: None, .. } => self.send_keepalive(cx),
            // An attempt from the old address may hang for a long time.
            Phase::Connecting { .. } if new => {
                cx.push(Effect::Disconnect { code: 1000 });
                self.connect(cx);
            }
            // The route may come a moment after the address, so also a change without a new address counts.
            Phase::Waiting { .. } if any => self.hasten(cx),
            _ => {}
        }
        news
    }

    /// There may be a new way to the server: shortens the wait. A wait that the server or a fault demands is kept.
    fn hasten(&mut self, cx: &mut Context) {
        let now = cx.now.at;
        let now = self.last_attempt.map_or(now, |last| now.max(last + NEW_ADDRESS_REST));
        if let Phase::Waiting { until, hurry: true } = &mut self.phase {
            *until = (*until).min(now + cx.random.between(Duration::ZERO, NEW_ADDRESS_SPREAD));
        }
    }

    /// A person is waiting: ends the wait of a back-off.
    pub(in crate::core) fn hurry(&mut self, now: Time) {
        let rested = self.last_attempt.map_or(now, |last| now.max(last + HURRY_INTERVAL));
        if let Phase::Waiting { until, hurry: true } = &mut self.phase {
            *until = (*until).min(rested);
        }
    }

    /// Returns to the first server if that has answered for long enough. The station calls this only while there is no
    /// call.
    pub(in crate::core) fn return_to_first_server(&mut self, cx: &mut Context) {
        let now = cx.now.at;
        if self.is_up() && self.servers.may_return(now) {
            self.servers.return_to_first();
            self.transactions.void();
            cx.push(Effect::Disconnect { code: 1000 });
            let wait = cx.random.between(Duration::ZERO, NEW_ADDRESS_SPREAD);
            self.wait(wait, true, SessionState::Offline, "the first server is back", now);
        }
    }

    /// Handles the result of `Effect::Probe`.
    pub(in crate::core) fn probed(&mut self, answered: bool, now: Time) {
        self.servers.probed(answered, now);
    }
}
