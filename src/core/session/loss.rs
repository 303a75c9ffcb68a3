//! What follows a failed attempt, and each kind of loss (docs/protocol.md, "Close codes").

use std::time::Duration;

use super::backoff::RESET_AFTER;
use super::state::{CLOCK_POLL, CONNECT_TIMEOUT, News, Phase, Session};
use crate::core::api::{Effect, SessionState};
use crate::core::context::Context;
use crate::core::time::Time;
use crate::signaling::{CloseCause, ConnectFailure, ConnectFailureKind, RegistrationStatus};

/// The slow retry: the wait after a fault that a person must repair, at random between these two.
const SLOW_RETRY: (Duration, Duration) = (Duration::from_secs(240), Duration::from_secs(360));
/// The wait while another connection holds the session, at random between these two.
const ATTACHED_RETRY: (Duration, Duration) = (Duration::from_secs(25), Duration::from_secs(35));
/// A server may tell many clients to come back at the same time. They spread over this time, or over a quarter of the
/// wait if that is longer.
const RETRY_AFTER_SPREAD: Duration = Duration::from_secs(5);

impl Session {
    pub(super) fn connect_failed(&mut self, failure: ConnectFailure, clock_is_set: bool, cx: &mut Context) {
        let now = cx.now.at;
        if !matches!(self.phase, Phase::Connecting { .. }) {
            return;
        }
        let asked = self.servers.current();
        match failure.kind {
            // The reason why the last login failed says more than the fact that there is no token.
            ConnectFailureKind::NoToken => {
                let message = self.reason.clone().unwrap_or(failure.message);
                self.renew_token(&message, cx);
            }
            ConnectFailureKind::Unauthorized => {
                self.renew_token(&failure.message, cx);
            }
            ConnectFailureKind::NotYetValid if !clock_is_set => {
                self.wait_for_time(cx);
            }
            ConnectFailureKind::Unavailable => self.retry_later(true, &failure.message, cx),
            ConnectFailureKind::Network
            | ConnectFailureKind::Tls
            | ConnectFailureKind::NotYetValid
            | ConnectFailureKind::Http => self.retry_later(false, &failure.message, cx),
        }
        // The wait that a server asked for does not apply to another server.
        let same_server = self.servers.current() == asked;
        if let (Some(retry_after), true, Phase::Waiting { until, hurry }) =
            (failure.retry_after, same_server, &mut self.phase)
        {
            let spread = RETRY_AFTER_SPREAD.max(retry_after / 4);
            // The back-off is the least wait: a requested wait of 0 s must not become a storm of attempts.
            *until = (*until).max(now + retry_after + cx.random.between(Duration::ZERO, spread));
            *hurry = false;
        }
    }

    /// The clock is not set, so no certificate can be checked: waits for the clock.
    pub(super) fn wait_for_time(&mut self, cx: &mut Context) {
        let now = cx.now.at;
        let until = now + self.backoff.next_wait(false, &mut cx.random).max(CLOCK_POLL);
        self.phase = Phase::WaitingForTime { until, poll: now + CLOCK_POLL };
        let message = "the clock is not set, so no certificate can be checked: waiting for NTP";
        self.set_state(SessionState::WaitingForTime, Some(message.to_owned()));
    }

    /// The connection is gone. Returns what the calls must know.
    pub(super) fn lost(&mut self, cause: CloseCause, cx: &mut Context) -> Vec<News> {
        let now = cx.now.at;
        if matches!(self.phase, Phase::Waiting { .. } | Phase::WaitingForTime { .. } | Phase::ObtainingToken { .. }) {
            return Vec::new();
        }
        if let Phase::Up { since, .. } = self.phase
            && now.since(since) >= RESET_AFTER
        {
            self.backoff.reset();
            self.servers.healthy();
        }
        let was_up = self.is_up();
        self.transactions.void();
        let message = format!("{} ({})", cause.message(), cause.code());
        let news = if was_up { vec![News::Down] } else { Vec::new() };
        match cause {
            CloseCause::SessionMissed | CloseCause::App(_) => self.renew_token(&message, cx),
            CloseCause::Subscriber(_) => self.refuse(&message, cx),
            CloseCause::Attached | CloseCause::NotAttached => {
                self.force = false;
                let wait = cx.random.between(ATTACHED_RETRY.0, ATTACHED_RETRY.1);
                self.wait(wait, false, SessionState::TakenOver, &message, now);
            }
            CloseCause::ForceAttached => self.taken_over(&message, cx),
            CloseCause::Controller(4402) | CloseCause::Standard(1001 | 1012) => {
                self.retry_later(true, &message, cx);
            }
            CloseCause::KeepaliveTimeout | CloseCause::Request(_) | CloseCause::CallId => {
                self.log_last_request(cause, cx);
                self.retry_at_once(&message, cx);
            }
            CloseCause::SocketMessage | CloseCause::SignalingMessage => {
                self.log_last_request(cause, cx);
                self.retry_later(false, &message, cx);
            }
            CloseCause::Standard(_)
            | CloseCause::Controller(_)
            | CloseCause::ControllerWebrtc
            | CloseCause::Other(_) => self.retry_later(false, &message, cx),
        }
        news
    }

    pub(super) fn log_last_request(&self, cause: CloseCause, cx: &mut Context) {
        if matches!(cause, CloseCause::KeepaliveTimeout | CloseCause::CallId) {
            return;
        }
        let request = self.transactions.last.as_ref().map_or("none", |kind| kind.name());
        let problem = format!("closed with {} after our last request, {request}", cause.code());
        cx.protocol_problem(problem);
    }

    /// The token is dead or missing. Gets a new one, once for each loss, if the configuration allows that. Otherwise a
    /// person must act.
    pub(super) fn renew_token(&mut self, message: &str, cx: &mut Context) {
        let now = cx.now.at;
        if self.token_renewable && !self.tried_renewal {
            self.tried_renewal = true;
            self.phase = Phase::ObtainingToken { deadline: now + CONNECT_TIMEOUT };
            self.set_state(SessionState::LoggingIn, Some(message.to_owned()));
            cx.push(Effect::ObtainToken);
        } else {
            // If there is another token, the adapter uses it next time.
            cx.push(Effect::TokenRefused);
            self.refuse(message, cx);
        }
    }

    pub(super) fn refuse(&mut self, message: &str, cx: &mut Context) {
        let now = cx.now.at;
        self.tried_renewal = false;
        self.servers.failed(now);
        let wait = cx.random.between(SLOW_RETRY.0, SLOW_RETRY.1);
        self.wait(wait, false, SessionState::Refused, message, now);
    }

    /// Another client took the session over.
    pub(super) fn taken_over(&mut self, message: &str, cx: &mut Context) {
        let now = cx.now.at;
        self.counters.takeovers += 1;
        let reaction = self.takeovers.lost(message, now, &mut cx.random);
        self.force = reaction.force;
        self.wait(reaction.wait, false, SessionState::TakenOver, &reaction.message, now);
    }

    pub(super) fn retry_later(&mut self, server_restarts: bool, message: &str, cx: &mut Context) {
        let now = cx.now.at;
        self.servers.failed(now);
        let wait = self.backoff.next_wait(server_restarts, &mut cx.random);
        self.wait(wait, !server_restarts, SessionState::Offline, message, now);
    }

    pub(super) fn retry_at_once(&mut self, message: &str, cx: &mut Context) {
        let now = cx.now.at;
        self.servers.failed(now);
        let first = self.backoff.failures() == 0;
        let wait = self.backoff.next_wait(false, &mut cx.random);
        self.wait(if first { Duration::ZERO } else { wait }, true, SessionState::Offline, message, now);
    }

    pub(super) fn wait(&mut self, wait: Duration, hurry: bool, state: SessionState, message: &str, now: Time) {
        self.phase = Phase::Waiting { until: now + wait, hurry };
        self.registration = RegistrationStatus::Unregistered;
        self.set_state(state, Some(message.to_owned()));
    }

    pub(super) fn set_state(&mut self, state: SessionState, reason: Option<String>) {
        self.state = state;
        self.reason = reason;
    }
}
