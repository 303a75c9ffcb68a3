//! The deadlines of the session, and what is done when one has come.

use super::backoff::RESET_AFTER;
use super::state::{CLOCK_POLL, News, Phase, Session};
use super::transactions::TRANSACTION_TIMEOUT;
use crate::core::api::{Effect, ServerIndex};
use crate::core::context::Context;
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::{Now, Time};
use crate::mutant::{Mutant, mutant};
use crate::signaling::{ClientMessage, CloseCause};

impl Session {
    /// When [`Session::tick`] next has something to do, and what.
    pub(in crate::core) fn next_deadline(&self) -> Option<Deadline> {
        use DeadlineReason as Why;
        let (first, second) = match &self.phase {
            Phase::Waiting { until, .. } => (Deadline::new(*until, Why::Reconnect), None),
            Phase::WaitingForTime { until, poll } => {
                (Deadline::new(*until, Why::Reconnect), Some(Deadline::new(*poll, Why::ClockCheck)))
            }
            Phase::Connecting { deadline } => (Deadline::new(*deadline, Why::ConnectTimeout), None),
            Phase::ObtainingToken { deadline } => (Deadline::new(*deadline, Why::LoginTimeout), None),
            Phase::AwaitingState { deadline, .. } => (Deadline::new(*deadline, Why::StateTimeout), None),
            Phase::Up { keepalive_interval, last_sent, keepalive, since, .. } => {
                let due = match keepalive {
                    None => Deadline::new(*last_sent + *keepalive_interval, Why::Keepalive),
                    Some((_, deadline)) => Deadline::new(*deadline, Why::KeepaliveTimeout),
                };
                let has_failures = self.backoff.failures() > 0;
                (due, has_failures.then(|| Deadline::new(*since + RESET_AFTER, Why::SessionHealthy)))
            }
        };
        let response = self.transactions.deadline(self.heard_at).map(|at| Deadline::new(at, Why::ResponseTimeout));
        let probe = self.servers.deadline().map(|at| Deadline::new(at, Why::ServerProbe));
        let ice_servers = self.ice_servers_deadline().map(|at| Deadline::new(at, Why::IceServers));
        Deadline::earliest([Some(first), second, response, probe, ice_servers].into_iter().flatten())
    }

    /// Does what is due. Returns what the calls must know.
    pub(in crate::core) fn tick(&mut self, cx: &mut Context) -> Vec<News> {
        let Now { at: now, local } = cx.now;
        if self.is_up() && self.transactions.link_is_dead(self.heard_at, now) {
            cx.push(Effect::Disconnect { code: CloseCause::KeepaliveTimeout.code() });
            return self.lost(CloseCause::KeepaliveTimeout, cx);
        }
        let late = self.transactions.expire(now);
        self.counters.timed_out_requests += late.len() as u64;
        let mut news: Vec<News> = late.into_iter().map(News::TimedOut).collect();
        if self.servers.probe_due(now) {
            cx.push(Effect::Probe(ServerIndex(0)));
        }
        self.tick_ice_servers(cx);
        match &mut self.phase {
            Phase::Waiting { until, .. } if now >= *until => self.connect(cx),
            Phase::WaitingForTime { until, .. } if now >= *until || local.is_some() => self.connect(cx),
            Phase::WaitingForTime { poll, .. } if now >= *poll => *poll = now + CLOCK_POLL,
            Phase::Connecting { deadline } if now >= *deadline => {
                cx.push(Effect::Disconnect { code: 1000 });
                self.retry_later(false, "no connection within 30 s", cx);
            }
            Phase::ObtainingToken { deadline } if now >= *deadline => {
                self.retry_later(false, "no answer to the login within 30 s", cx);
            }
            Phase::AwaitingState { deadline, .. } if now >= *deadline => {
                cx.push(Effect::Disconnect { code: 1000 });
                self.retry_later(false, "the server did not send its state within 10 s", cx);
            }
            Phase::Up { since, keepalive_interval, last_sent, keepalive, .. } => match keepalive {
                Some((_, deadline)) if now >= *deadline => {
                    cx.push(Effect::Disconnect { code: CloseCause::KeepaliveTimeout.code() });
                    news.extend(self.lost(CloseCause::KeepaliveTimeout, cx));
                }
                None if now >= *last_sent + *keepalive_interval => self.send_keepalive(cx),
                _ if now.since(*since) >= RESET_AFTER => {
                    self.backoff.reset();
                    self.servers.healthy();
                }
                _ => {}
            },
            _ => {}
        }
        news
    }

    pub(super) fn send_keepalive(&mut self, cx: &mut Context) {
        let now = cx.now.at;
        let transaction = self.transactions.next_id();
        cx.push(Effect::Send(ClientMessage::Keepalive { transaction: transaction.clone() }));
        self.note_sent(now);
        let patience = if mutant(Mutant::LateKeepalive) { TRANSACTION_TIMEOUT * 60 } else { TRANSACTION_TIMEOUT };
        if let Phase::Up { keepalive, .. } = &mut self.phase {
            *keepalive = Some((transaction, now + patience));
        }
    }

    pub(super) fn note_sent(&mut self, now: Time) {
        if let Phase::Up { last_sent, .. } = &mut self.phase {
            *last_sent = now;
        }
    }
}
