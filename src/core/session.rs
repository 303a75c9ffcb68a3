//! The session with the server: connecting, transactions, keepalive, and what to do
//! after each kind of loss (`protocol.md`, "Connection", "Close codes", "Recovery").

mod loss;
mod messages;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{CoreConfig, Credentials};
use crate::signaling::{
    CallId, ClientMessage, CloseCause, Event, RegistrationStatus, RequestBody, SocketEvent, StateHandshake,
};

use super::backoff::{Backoff, RESET_AFTER};
use super::effect::{Effect, ServerIndex};
use super::input::TokenError;
use super::random::Random;
use super::servers::Servers;
use super::takeover::Takeovers;
use super::time::{Now, Time};
use super::transactions::{Farewell, Pending, ServerHas, TRANSACTION_TIMEOUT, Transactions};

/// The server must say `state` within this time of the upgrade.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection attempt that the adapter does not end by itself.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// An attempt under a new address comes within this time, so that a street does not come at once.
const NEW_ADDRESS_SPREAD: Duration = Duration::from_millis(250);
/// And not sooner than this after the last one, however often the kernel rings.
const NEW_ADDRESS_REST: Duration = Duration::from_millis(200);
/// Whether the clock is set is looked at so often.
const CLOCK_POLL: Duration = Duration::from_secs(1);
/// Shortest time between two connection attempts that presses ask for.
const HURRY_INTERVAL: Duration = Duration::from_secs(1);
/// Names of unknown events that have been logged.
const MAX_TOLD_CAUSES: usize = 64;

/// Where the session stands, for people and programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Between two attempts.
    Offline,
    /// An attempt is in work.
    Connecting,
    /// A new token is being fetched.
    LoggingIn,
    /// The clock is not set yet, and no certificate can be judged before it is.
    WaitingForTime,
    /// The token, the account or the device was refused; a person must act.
    Refused,
    /// Another client uses this session.
    TakenOver,
    /// Connected, but the account is not registered.
    Unregistered,
    /// Calls can be made.
    Registered,
}

impl std::fmt::Display for SessionState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Offline => "offline",
            Self::Connecting => "connecting",
            Self::LoggingIn => "logging in",
            Self::WaitingForTime => "waiting for the time",
            Self::Refused => "refused",
            Self::TakenOver => "taken over",
            Self::Unregistered => "connected, not registered",
            Self::Registered => "registered",
        })
    }
}

/// What the rest of the core must know.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum News {
    /// The session is up; compare the lines (`protocol.md`, "Recovery").
    Up(Box<StateHandshake>),
    /// The session is lost. Calls live on.
    Down,
    /// A request was answered.
    Answered(Pending, Result<(), Rejection>),
    /// A request was not answered in time; it may have been carried out all the same.
    TimedOut(Pending),
    /// Something happened.
    Event(Box<Event>),
}

/// An `error` response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) code: i64,
    pub(super) reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Phase {
    /// `hurry`: a press may shorten the wait.
    Waiting {
        until: Time,
        hurry: bool,
    },
    /// As `Waiting`, and the attempt is made as soon as the clock is set.
    WaitingForTime {
        until: Time,
        poll: Time,
    },
    Connecting {
        deadline: Time,
    },
    ObtainingToken {
        deadline: Time,
    },
    /// `local`: our address on the socket, where it is known.
    AwaitingState {
        deadline: Time,
        local: Option<IpAddr>,
    },
    Up {
        since: Time,
        keepalive_interval: Duration,
        last_sent: Time,
        keepalive: Option<(String, Time)>,
        local: Option<IpAddr>,
    },
}

/// Counters for the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SessionCounters {
    /// Connections that reached the `state` handshake.
    pub sessions: u64,
    /// Frames that could not be taken.
    pub malformed_frames: u64,
    /// Events, handshakes and responses of unknown names.
    pub unknown_messages: u64,
    /// Responses that came after their time-out.
    pub late_responses: u64,
    /// Requests without a response.
    pub timed_out_requests: u64,
    /// How often another client took the session over.
    pub takeovers: u64,
}

/// The session as a state machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    phase: Phase,
    state: SessionState,
    reason: Option<String>,
    servers: Servers,
    takeovers: Takeovers,
    token_renewable: bool,
    tried_renewal: bool,
    force: bool,
    backoff: Backoff,
    last_attempt: Option<Time>,
    transactions: Transactions,
    told_causes: Vec<String>,
    registration: RegistrationStatus,
    server_lines: u32,
    /// When anything was last heard of the server.
    heard_at: Time,
    /// Usable addresses of the machine; `None` until they have been told.
    addresses: Option<Vec<IpAddr>>,
    pub(super) counters: SessionCounters,
}

impl Session {
    /// A session that connects at its first tick. `transaction_seed` comes from the wall clock, so
    /// that transactions are unique across restarts.
    pub(super) fn new(config: &CoreConfig, transaction_seed: u64, now: Time) -> Self {
        Self {
            phase: Phase::Waiting { until: now, hurry: true },
            state: SessionState::Offline,
            reason: None,
            servers: Servers::new(config.urls.len()),
            takeovers: Takeovers::new(config.takeover),
            token_renewable: matches!(config.credentials, Credentials::Login { .. } | Credentials::ConfigTokenFile(_)),
            tried_renewal: false,
            force: true,
            backoff: Backoff::default(),
            last_attempt: None,
            transactions: Transactions::new(transaction_seed),
            told_causes: Vec::new(),
            registration: RegistrationStatus::Unregistered,
            server_lines: 0,
            heard_at: now,
            addresses: None,
            counters: SessionCounters::default(),
        }
    }

    pub(super) fn state(&self) -> SessionState {
        self.state
    }

    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    pub(super) fn is_registered(&self) -> bool {
        self.is_up() && self.registration == RegistrationStatus::Registered
    }

    /// Which of the servers is used or tried.
    pub(super) fn server(&self) -> ServerIndex {
        self.servers.current()
    }

    /// The session goes to and fro between us and another client.
    pub(super) fn is_ping_pong(&self, now: Time) -> bool {
        self.takeovers.is_ping_pong(now)
    }

    /// Lines of the session, 0 before the first `state`.
    pub(super) fn server_lines(&self) -> u32 {
        self.server_lines
    }

    /// Whether a press now may still be dialled within `patience`.
    pub(super) fn may_be_up_within(&self, patience: Duration, now: Time) -> bool {
        match &self.phase {
            Phase::Up { .. } => self.is_registered(),
            Phase::Waiting { until, hurry } => *hurry || until.since(now) < patience,
            Phase::WaitingForTime { until, .. } => until.since(now) < patience,
            Phase::Connecting { .. } | Phase::AwaitingState { .. } | Phase::ObtainingToken { .. } => {
                self.state != SessionState::Refused
            }
        }
    }

    /// The next moment at which [`Session::tick`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let own = match &self.phase {
            Phase::Waiting { until, .. } => Some(*until),
            Phase::WaitingForTime { until, poll } => Some(*until.min(poll)),
            Phase::Connecting { deadline }
            | Phase::ObtainingToken { deadline }
            | Phase::AwaitingState { deadline, .. } => Some(*deadline),
            Phase::Up { keepalive_interval, last_sent, keepalive, since, .. } => {
                let due = keepalive.as_ref().map_or(*last_sent + *keepalive_interval, |(_, deadline)| *deadline);
                let healthy = (self.backoff.failures() > 0).then_some(*since + RESET_AFTER);
                Some(healthy.map_or(due, |healthy| due.min(healthy)))
            }
        };
        own.into_iter().chain(self.transactions.deadline(self.heard_at)).chain(self.servers.deadline()).min()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Now, random: &mut Random, out: &mut VecDeque<Effect>) -> Vec<News> {
        let Now { at: now, local } = now;
        if self.is_up() && self.transactions.link_is_dead(self.heard_at, now) {
            out.push_back(Effect::Disconnect { code: CloseCause::KeepaliveTimeout.code() });
            return self.lost(CloseCause::KeepaliveTimeout, now, random, out);
        }
        let late = self.transactions.expire(now);
        self.counters.timed_out_requests += late.len() as u64;
        let mut news: Vec<News> = late.into_iter().map(News::TimedOut).collect();
        if self.servers.probe_due(now) {
            out.push_back(Effect::Probe(ServerIndex(0)));
        }
        match &mut self.phase {
            Phase::Waiting { until, .. } if now >= *until => self.connect(now, out),
            Phase::WaitingForTime { until, .. } if now >= *until || local.is_some() => self.connect(now, out),
            Phase::WaitingForTime { poll, .. } if now >= *poll => *poll = now + CLOCK_POLL,
            Phase::Connecting { deadline } if now >= *deadline => {
                out.push_back(Effect::Disconnect { code: 1000 });
                self.retry_later(false, "no connection within 30 s", now, random);
            }
            Phase::ObtainingToken { deadline } if now >= *deadline => {
                self.retry_later(false, "no answer to the login within 30 s", now, random);
            }
            Phase::AwaitingState { deadline, .. } if now >= *deadline => {
                out.push_back(Effect::Disconnect { code: 1000 });
                self.retry_later(false, "the server did not say state within 10 s", now, random);
            }
            Phase::Up { since, keepalive_interval, last_sent, keepalive, .. } => match keepalive {
                Some((_, deadline)) if now >= *deadline => {
                    out.push_back(Effect::Disconnect { code: CloseCause::KeepaliveTimeout.code() });
                    news.extend(self.lost(CloseCause::KeepaliveTimeout, now, random, out));
                }
                None if now >= *last_sent + *keepalive_interval => self.send_keepalive(now, out),
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

    /// Goes back to the first server where it has been healthy for a while. Only without a call.
    pub(super) fn return_to_first_server(&mut self, now: Time, random: &mut Random, out: &mut VecDeque<Effect>) {
        if self.is_up() && self.servers.may_return(now) {
            self.servers.return_to_first();
            self.transactions.void();
            out.push_back(Effect::Disconnect { code: 1000 });
            let wait = random.between(Duration::ZERO, NEW_ADDRESS_SPREAD);
            self.wait(wait, true, SessionState::Offline, "the first server is back", now);
        }
    }

    /// What came of `Effect::Probe`.
    pub(super) fn probed(&mut self, answered: bool, now: Time) {
        self.servers.probed(answered, now);
    }

    /// The machine's usable addresses changed: a socket whose own address is gone is dead, one that
    /// still has it is asked, and a wait for the network is over.
    pub(super) fn addresses(
        &mut self,
        addresses: Vec<IpAddr>,
        now: Time,
        random: &mut Random,
        out: &mut VecDeque<Effect>,
    ) -> Vec<News> {
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
                out.push_back(Effect::Disconnect { code: 1001 });
                news = self.lost(CloseCause::Standard(1006), now, random, out);
                self.reason = Some("the network address of the session is gone".into());
                if any {
                    self.hasten(now, random);
                }
            }
            Phase::Up { keepalive: None, .. } => self.send_keepalive(now, out),
            // An attempt from the old address may hang for long.
            Phase::Connecting { .. } if new => {
                out.push_back(Effect::Disconnect { code: 1000 });
                self.connect(now, out);
            }
            // A route may come a moment after its address.
            Phase::Waiting { .. } if any => self.hasten(now, random),
            _ => {}
        }
        news
    }

    /// There is a new way to the server. A wait that the server or a fault asked for stays.
    fn hasten(&mut self, now: Time, random: &mut Random) {
        let now = self.last_attempt.map_or(now, |last| now.max(last + NEW_ADDRESS_REST));
        if let Phase::Waiting { until, hurry: true } = &mut self.phase {
            *until = (*until).min(now + random.between(Duration::ZERO, NEW_ADDRESS_SPREAD));
        }
    }

    /// A person is waiting: try now rather than at the end of a back-off.
    pub(super) fn hurry(&mut self, now: Time) {
        let rested = self.last_attempt.map_or(now, |last| now.max(last + HURRY_INTERVAL));
        if let Phase::Waiting { until, hurry: true } = &mut self.phase {
            *until = (*until).min(rested);
        }
    }

    /// Sends a request. Without a session only hangups and declines are remembered, for later.
    /// Gives the transaction where it was sent.
    pub(super) fn request(
        &mut self,
        line: Option<u32>,
        call_id: Option<CallId>,
        body: RequestBody,
        now: Time,
        out: &mut VecDeque<Effect>,
    ) -> Option<String> {
        if let (RequestBody::Hangup {} | RequestBody::Decline { refer_id: None }, Some(line), Some(call_id)) =
            (&body, line, &call_id)
        {
            let decline = matches!(body, RequestBody::Decline { .. });
            self.transactions.remember_farewell(Farewell { line, call_id: call_id.clone(), decline });
        }
        if !self.is_up() || !self.transactions.has_room_for(&body) {
            return None;
        }
        let request = self.transactions.open(line, call_id, body, now);
        let transaction = request.transaction.clone();
        out.push_back(Effect::Send(ClientMessage::Request(request)));
        self.note_sent(now);
        Some(transaction)
    }

    /// The call is over on both sides: nothing more is sent for it.
    pub(super) fn forget_call(&mut self, call_id: &CallId) {
        self.transactions.forget_call(call_id);
    }

    /// Whether a hangup or decline of this call still waits for its `ack`.
    pub(super) fn has_farewell(&self, call_id: &CallId) -> bool {
        self.transactions.has_farewell(call_id)
    }

    /// Goodbyes that the server has not taken yet.
    pub(super) fn farewells(&self) -> &[Farewell] {
        self.transactions.farewells()
    }

    /// A goodbye of a former life of this process.
    pub(super) fn remember_farewell(&mut self, farewell: Farewell) {
        self.transactions.remember_farewell(farewell);
    }

    /// Rule 3: sends unacknowledged hangups again, of those calls that the server still has.
    pub(super) fn resend_farewells(&mut self, server_has: &[ServerHas], now: Time, out: &mut VecDeque<Effect>) {
        for (farewell, body) in self.transactions.take_farewells(server_has) {
            self.request(Some(farewell.line), Some(farewell.call_id), body, now, out);
        }
    }

    /// Requests in flight and goodbyes kept, for those who watch the bounds.
    pub(super) fn queued(&self) -> usize {
        self.transactions.len()
    }

    /// Takes in what the socket did.
    pub(super) fn handle(
        &mut self,
        event: SocketEvent,
        now: Now,
        random: &mut Random,
        out: &mut VecDeque<Effect>,
    ) -> Vec<News> {
        let Now { at: now, local: clock } = now;
        match event {
            SocketEvent::Opened { local } => {
                if matches!(self.phase, Phase::Connecting { .. }) {
                    self.phase = Phase::AwaitingState { deadline: now + STATE_TIMEOUT, local };
                }
                Vec::new()
            }
            SocketEvent::Failed(failure) => {
                self.connect_failed(failure, clock.is_some(), now, random, out);
                Vec::new()
            }
            SocketEvent::Closed(cause) => self.lost(cause, now, random, out),
            SocketEvent::BadFrame(error) => {
                self.heard_at = now;
                self.count_bad_frame(&error, out);
                Vec::new()
            }
            SocketEvent::Message(message) => {
                self.heard_at = now;
                self.message(*message, now, out)
            }
        }
    }

    /// Takes in the session API's answer.
    pub(super) fn token(
        &mut self,
        result: Result<(), TokenError>,
        now: Now,
        random: &mut Random,
        out: &mut VecDeque<Effect>,
    ) {
        let Now { at: now, local: clock } = now;
        if !matches!(self.phase, Phase::ObtainingToken { .. }) {
            return;
        }
        match result {
            Ok(()) => self.connect(now, out),
            Err(TokenError::NotConfigured) => self.refuse("there is no token, and nothing to log in with", now, random),
            Err(TokenError::Refused(words)) => self.refuse(&format!("login refused: {words}"), now, random),
            Err(TokenError::NotYetValid(_)) if clock.is_none() => {
                self.tried_renewal = false;
                self.wait_for_time(now, random);
            }
            Err(TokenError::Failed(words) | TokenError::NotYetValid(words)) => {
                // The next attempt has no token either, and logs in again.
                self.tried_renewal = false;
                self.retry_later(false, &format!("login failed: {words}"), now, random);
            }
        }
    }

    fn connect(&mut self, now: Time, out: &mut VecDeque<Effect>) {
        self.last_attempt = Some(now);
        self.phase = Phase::Connecting { deadline: now + CONNECT_TIMEOUT };
        // A fault stays shown until it is over, not only between attempts.
        if matches!(self.state, SessionState::Offline | SessionState::LoggingIn) {
            let reason = self.reason.take();
            self.set_state(SessionState::Connecting, reason);
        }
        out.push_back(Effect::Connect { server: self.servers.current(), force: self.force });
    }

    fn send_keepalive(&mut self, now: Time, out: &mut VecDeque<Effect>) {
        let transaction = self.transactions.number();
        out.push_back(Effect::Send(ClientMessage::Keepalive { transaction: transaction.clone() }));
        self.note_sent(now);
        if let Phase::Up { keepalive, .. } = &mut self.phase {
            *keepalive = Some((transaction, now + TRANSACTION_TIMEOUT));
        }
    }

    fn note_sent(&mut self, now: Time) {
        if let Phase::Up { last_sent, .. } = &mut self.phase {
            *last_sent = now;
        }
    }
}
