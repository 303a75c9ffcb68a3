//! When to connect: changes of the network, presses that cannot wait, and the way back to the first server.

use std::net::IpAddr;
use std::time::Duration;

use super::state::{CONNECT_TIMEOUT, NEW_ADDRESS_SPREAD, News, Phase, Session};
use crate::core::api::{Effect, SessionState};
use crate::core::context::Context;
use crate::core::time::Time;
use crate::signaling::CloseCause;

/// And not sooner than this after the last one, however often the kernel rings.
const NEW_ADDRESS_REST: Duration = Duration::from_millis(200);
/// Shortest time between two connection attempts that presses ask for.
const HURRY_INTERVAL: Duration = Duration::from_secs(1);

impl Session {
    pub(super) fn connect(&mut self, cx: &mut Context) {
        let now = cx.now.at;
        self.last_attempt = Some(now);
        self.phase = Phase::Connecting { deadline: now + CONNECT_TIMEOUT };
        // A fault stays shown until it is over, not only between attempts.
        if matches!(self.state, SessionState::Offline | SessionState::LoggingIn) {
            let reason = self.reason.take();
            self.set_state(SessionState::Connecting, reason);
        }
        cx.push(Effect::Connect { server: self.servers.current(), force: self.force });
    }

    /// Whether a press now may still be dialled within `patience`.
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

    /// The machine's usable addresses changed: a socket whose own address is gone is dead, one that
    /// still has it is asked, and a wait for the network is over.
    pub(in crate::core) fn addresses(&mut self, addresses: Vec<IpAddr>, cx: &mut Context) -> Vec<News> {
        let Some(before) = self.addresses.replace(addresses.clone()) else { return Vec::new() };
        let new = addresses.iter().any(|address| !address.is_loopback() && !before.contains(address));
        let any = addresses.iter().any(|address| !address.is_loopback());
        if new {
            // What failed before failed on another network.
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
            // An attempt from the old address may hang for long.
            Phase::Connecting { .. } if new => {
                cx.push(Effect::Disconnect { code: 1000 });
                self.connect(cx);
            }
            // A route may come a moment after its address.
            Phase::Waiting { .. } if any => self.hasten(cx),
            _ => {}
        }
        news
    }

    /// There is a new way to the server. A wait that the server or a fault asked for stays.
    fn hasten(&mut self, cx: &mut Context) {
        let now = cx.now.at;
        let now = self.last_attempt.map_or(now, |last| now.max(last + NEW_ADDRESS_REST));
        if let Phase::Waiting { until, hurry: true } = &mut self.phase {
            *until = (*until).min(now + cx.random.between(Duration::ZERO, NEW_ADDRESS_SPREAD));
        }
    }

    /// A person is waiting: try now rather than at the end of a back-off.
    pub(in crate::core) fn hurry(&mut self, now: Time) {
        let rested = self.last_attempt.map_or(now, |last| now.max(last + HURRY_INTERVAL));
        if let Phase::Waiting { until, hurry: true } = &mut self.phase {
            *until = (*until).min(rested);
        }
    }

    /// Goes back to the first server where it has been healthy for a while. Only without a call.
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

    /// What came of `Effect::Probe`.
    pub(in crate::core) fn probed(&mut self, answered: bool, now: Time) {
        self.servers.probed(answered, now);
    }
}
