//! What follows a failed attempt and each kind of loss (`protocol.md`, "Close codes").

use std::time::Duration;

use super::backoff::RESET_AFTER;
use super::state::{CLOCK_POLL, CONNECT_TIMEOUT, News, Phase, Session};
use crate::core::api::{Effect, SessionState};
use crate::core::context::Context;
use crate::core::time::Time;
use crate::signaling::{CloseCause, ConnectFailure, ConnectFailureKind, RegistrationStatus};

/// Wait after a fault that people must mend: jittered to between 4 and 6 minutes.
const SLOW_RETRY: (Duration, Duration) = (Duration::from_secs(240), Duration::from_secs(360));
/// Wait while another connection holds the session.
const ATTACHED_RETRY: (Duration, Duration) = (Duration::from_secs(25), Duration::from_secs(35));
/// Those who were told to come back at one time spread over this, or over a quarter of the wait.
const RETRY_AFTER_SPREAD: Duration = Duration::from_secs(5);

impl Session {
    pub(super) fn connect_failed(&mut self, failure: ConnectFailure, clock_is_set: bool, cx: &mut Context) {
        let now = cx.now.at;
        if !matches!(self.phase, Phase::Connecting { .. }) {
            return;
        }
        let asked = self.servers.current();
        match failure.kind {
            // That there is no token says less than why the last login brought none.
            ConnectFailureKind::NoToken => {
                let words = self.reason.clone().unwrap_or(failure.words);
                self.renew_token(&words, cx);
            }
            ConnectFailureKind::Unauthorized => {
                self.renew_token(&failure.words, cx);
            }
            ConnectFailureKind::NotYetValid if !clock_is_set => {
                self.wait_for_time(cx);
            }
            ConnectFailureKind::Unavailable => self.retry_later(true, &failure.words, cx),
            ConnectFailureKind::Network
            | ConnectFailureKind::Tls
            | ConnectFailureKind::NotYetValid
            | ConnectFailureKind::Http => self.retry_later(false, &failure.words, cx),
        }
        // Another server knows nothing of this one's wish.
        let same_server = self.servers.current() == asked;
        if let (Some(retry_after), true, Phase::Waiting { until, hurry }) =
            (failure.retry_after, same_server, &mut self.phase)
        {
            let spread = RETRY_AFTER_SPREAD.max(retry_after / 4);
            // Never sooner than the back-off: a wish of no seconds must not become a storm.
            *until = (*until).max(now + retry_after + cx.random.between(Duration::ZERO, spread));
            *hurry = false;
        }
    }

    /// No certificate can be judged before the clock is set.
    pub(super) fn wait_for_time(&mut self, cx: &mut Context) {
        let now = cx.now.at;
        let until = now + self.backoff.next_wait(false, &mut cx.random).max(CLOCK_POLL);
        self.phase = Phase::WaitingForTime { until, poll: now + CLOCK_POLL };
        let words = "the clock is not set, so no certificate can be judged: waiting for NTP";
        self.set_state(SessionState::WaitingForTime, Some(words.to_owned()));
    }

    /// The connection is gone: everything in flight is void, hangups are kept.
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
        let words = format!("{} ({})", cause.words(), cause.code());
        let news = if was_up { vec![News::Down] } else { Vec::new() };
        match cause {
            CloseCause::SessionMissed | CloseCause::App(_) => self.renew_token(&words, cx),
            CloseCause::Subscriber(_) => self.refuse(&words, cx),
            CloseCause::Attached | CloseCause::NotAttached => {
                self.force = false;
                let wait = cx.random.between(ATTACHED_RETRY.0, ATTACHED_RETRY.1);
                self.wait(wait, false, SessionState::TakenOver, &words, now);
            }
            CloseCause::ForceAttached => self.taken_over(&words, cx),
            CloseCause::Controller(4402) | CloseCause::Standard(1001 | 1012) => {
                self.retry_later(true, &words, cx);
            }
            CloseCause::KeepaliveTimeout | CloseCause::Request(_) | CloseCause::CallId => {
                self.log_last_request(cause, cx);
                self.retry_at_once(&words, cx);
            }
            CloseCause::SocketMessage | CloseCause::SignalingMessage => {
                self.log_last_request(cause, cx);
                self.retry_later(false, &words, cx);
            }
            CloseCause::Standard(_)
            | CloseCause::Controller(_)
            | CloseCause::ControllerWebrtc
            | CloseCause::Other(_) => self.retry_later(false, &words, cx),
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

    /// The token is dead or missing: a new one where the configuration allows it, once per loss.
    pub(super) fn renew_token(&mut self, words: &str, cx: &mut Context) {
        let now = cx.now.at;
        if self.token_renewable && !self.tried_renewal {
            self.tried_renewal = true;
            self.phase = Phase::ObtainingToken { deadline: now + CONNECT_TIMEOUT };
            self.set_state(SessionState::LoggingIn, Some(words.to_owned()));
            cx.push(Effect::ObtainToken);
        } else {
            // Where there is another one it is used next time.
            cx.push(Effect::TokenRefused);
            self.refuse(words, cx);
        }
    }

    pub(super) fn refuse(&mut self, words: &str, cx: &mut Context) {
        let now = cx.now.at;
        self.tried_renewal = false;
        self.servers.failed(now);
        let wait = cx.random.between(SLOW_RETRY.0, SLOW_RETRY.1);
        self.wait(wait, false, SessionState::Refused, words, now);
    }

    /// Another client took over: never fight.
    pub(super) fn taken_over(&mut self, words: &str, cx: &mut Context) {
        let now = cx.now.at;
        self.counters.takeovers += 1;
        let reaction = self.takeovers.lost(words, now, &mut cx.random);
        self.force = reaction.force;
        self.wait(reaction.wait, false, SessionState::TakenOver, &reaction.words, now);
    }

    pub(super) fn retry_later(&mut self, server_restarts: bool, words: &str, cx: &mut Context) {
        let now = cx.now.at;
        self.servers.failed(now);
        let wait = self.backoff.next_wait(server_restarts, &mut cx.random);
        self.wait(wait, !server_restarts, SessionState::Offline, words, now);
    }

    pub(super) fn retry_at_once(&mut self, words: &str, cx: &mut Context) {
        let now = cx.now.at;
        self.servers.failed(now);
        let first = self.backoff.failures() == 0;
        let wait = self.backoff.next_wait(false, &mut cx.random);
        self.wait(if first { Duration::ZERO } else { wait }, true, SessionState::Offline, words, now);
    }

    pub(super) fn wait(&mut self, wait: Duration, hurry: bool, state: SessionState, words: &str, now: Time) {
        self.phase = Phase::Waiting { until: now + wait, hurry };
        self.registration = RegistrationStatus::Unregistered;
        self.set_state(state, Some(words.to_owned()));
    }

    pub(super) fn set_state(&mut self, state: SessionState, reason: Option<String>) {
        self.state = state;
        self.reason = reason;
    }
}
