//! The session with the core server: connecting, transactions, keepalive, and what to do
//! after each kind of loss (`protocol.md`, "Connection", "Close codes", "Recovery").

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Takeover;
use crate::signaling::{
    CallId, ClientMessage, CloseCause, Event, EventBody, FrameError, Registration, RegistrationStatus, Request,
    RequestBody, Response, ResponseBody, ServerMessage, StateHandshake,
};

use super::backoff::{Backoff, RESET_AFTER};
use super::fact::Fact;
use super::input::{ConnectFailure, ConnectFailureKind, SocketEvent, TokenError};
use super::output::Output;
use super::random::Random;
use super::time::Time;

/// A request without a response for so long is over (`protocol.md`, "Requests").
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The server must say `state` within this time of the upgrade.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection attempt that the adapter does not end by itself.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Wait after a fault that people must mend: jittered to between 4 and 6 minutes.
const SLOW_RETRY: (Duration, Duration) = (Duration::from_secs(240), Duration::from_secs(360));
/// Wait while another connection holds the session.
const ATTACHED_RETRY: (Duration, Duration) = (Duration::from_secs(25), Duration::from_secs(35));
/// Wait after another client took the session over.
const TAKEN_OVER_RETRY: Duration = Duration::from_secs(60);
/// Shortest time between two connection attempts that presses ask for.
const HURRY_INTERVAL: Duration = Duration::from_secs(1);
/// Requests in flight; the core has two lines and so needs far fewer.
const MAX_TRANSACTIONS: usize = 64;
/// Hangups remembered while offline.
const MAX_HANGUPS: usize = 16;
/// Names of unknown events that have been logged.
const MAX_UNKNOWN_NAMES: usize = 64;

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
    /// 4610: the request with this call named a call that is gone.
    CallGone(CallId),
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

/// A request in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) transaction: String,
    pub(super) name: &'static str,
    pub(super) line: Option<u32>,
    pub(super) call_id: Option<CallId>,
    /// An `update` of ours that carried an offer.
    pub(super) is_offer: bool,
    deadline: Time,
}

/// A hangup or decline that the server has not acknowledged: sent again first after a reconnect.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Farewell {
    line: u32,
    call_id: CallId,
    body: RequestBody,
}

#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Waiting { until: Time, hurry: bool },
    Connecting { deadline: Time },
    ObtainingToken { deadline: Time },
    AwaitingState { deadline: Time },
    Up { since: Time, keepalive_interval: Duration, last_sent: Time, keepalive: Option<(String, Time)> },
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
}

/// The session as a state machine.
#[derive(Debug, Clone)]
pub(super) struct Session {
    phase: Phase,
    state: SessionState,
    reason: Option<String>,
    takeover: Takeover,
    token_renewable: bool,
    tried_renewal: bool,
    force: bool,
    forced_at: VecDeque<Time>,
    backoff: Backoff,
    last_attempt: Option<Time>,
    next_transaction: u64,
    transactions: BTreeMap<String, Pending>,
    farewells: Vec<Farewell>,
    last_request: Option<(&'static str, Option<CallId>)>,
    unknown_names: Vec<String>,
    registration: RegistrationStatus,
    server_lines: u32,
    pub(super) counters: SessionCounters,
}

impl Session {
    /// A session that connects at its first tick. `transaction_seed` comes from the wall clock, so
    /// that transactions are unique across restarts.
    pub(super) fn new(takeover: Takeover, token_renewable: bool, transaction_seed: u64, now: Time) -> Self {
        Self {
            phase: Phase::Waiting { until: now, hurry: true },
            state: SessionState::Offline,
            reason: None,
            takeover,
            token_renewable,
            tried_renewal: false,
            force: true,
            forced_at: VecDeque::new(),
            backoff: Backoff::default(),
            last_attempt: None,
            next_transaction: transaction_seed,
            transactions: BTreeMap::new(),
            farewells: Vec::new(),
            last_request: None,
            unknown_names: Vec::new(),
            registration: RegistrationStatus::Unregistered,
            server_lines: 0,
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

    /// Lines of the session, 0 before the first `state`.
    pub(super) fn server_lines(&self) -> u32 {
        self.server_lines
    }

    /// Whether a press now may still be dialled within `patience`.
    pub(super) fn may_be_up_within(&self, patience: Duration, now: Time) -> bool {
        match &self.phase {
            Phase::Up { .. } => self.is_registered(),
            Phase::Waiting { until, hurry } => *hurry || until.since(now) < patience,
            Phase::Connecting { .. } | Phase::AwaitingState { .. } | Phase::ObtainingToken { .. } => {
                self.state != SessionState::Refused
            }
        }
    }

    /// The next moment at which [`Session::tick`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let own = match &self.phase {
            Phase::Waiting { until, .. } => Some(*until),
            Phase::Connecting { deadline } | Phase::ObtainingToken { deadline } | Phase::AwaitingState { deadline } => {
                Some(*deadline)
            }
            Phase::Up { keepalive_interval, last_sent, keepalive, since } => {
                let due = keepalive.as_ref().map_or(*last_sent + *keepalive_interval, |(_, deadline)| *deadline);
                let healthy = (self.backoff.failures() > 0).then_some(*since + RESET_AFTER);
                Some(healthy.map_or(due, |healthy| due.min(healthy)))
            }
        };
        own.into_iter().chain(self.transactions.values().map(|pending| pending.deadline)).min()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Time, random: &mut Random, out: &mut VecDeque<Output>) -> Vec<News> {
        let mut news = self.expire_transactions(now);
        match self.phase.clone() {
            Phase::Waiting { until, .. } if now >= until => self.connect(now, out),
            Phase::Connecting { deadline } if now >= deadline => {
                out.push_back(Output::Disconnect { code: 1000 });
                self.retry_later(false, "no connection within 30 s", now, random);
            }
            Phase::ObtainingToken { deadline } if now >= deadline => {
                self.retry_later(false, "no answer to the login within 30 s", now, random);
            }
            Phase::AwaitingState { deadline } if now >= deadline => {
                out.push_back(Output::Disconnect { code: 1000 });
                self.retry_later(false, "the server did not say state within 10 s", now, random);
            }
            Phase::Up { since, keepalive_interval, last_sent, keepalive } => match keepalive {
                Some((_, deadline)) if now >= deadline => {
                    out.push_back(Output::Disconnect { code: CloseCause::KeepaliveTimeout.code() });
                    news.extend(self.lost(CloseCause::KeepaliveTimeout, now, random, out));
                }
                None if now >= last_sent + keepalive_interval => self.send_keepalive(now, out),
                _ if now.since(since) >= RESET_AFTER => self.backoff.reset(),
                _ => {}
            },
            _ => {}
        }
        news
    }

    /// A person is waiting: try now rather than at the end of a back-off.
    pub(super) fn hurry(&mut self, now: Time) {
        let rested = self.last_attempt.is_none_or(|last| now.since(last) >= HURRY_INTERVAL);
        if let Phase::Waiting { until, hurry: true } = &mut self.phase
            && rested
        {
            *until = now;
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
        out: &mut VecDeque<Output>,
    ) -> Option<String> {
        if let (RequestBody::Hangup {} | RequestBody::Decline { refer_id: None }, Some(line), Some(call_id)) =
            (&body, line, &call_id)
        {
            self.remember_farewell(line, call_id.clone(), body.clone());
        }
        let room = match body {
            // Candidates must not keep a goodbye from going out.
            RequestBody::Hangup {} | RequestBody::Decline { .. } => MAX_TRANSACTIONS + MAX_HANGUPS,
            RequestBody::IceTrickle { .. } => MAX_TRANSACTIONS / 2,
            _ => MAX_TRANSACTIONS,
        };
        if !self.is_up() || self.transactions.len() >= room {
            return None;
        }
        let transaction = self.new_transaction();
        let pending = Pending {
            transaction: transaction.clone(),
            name: body.name(),
            line,
            call_id: call_id.clone(),
            is_offer: is_offer(&body),
            deadline: now + TRANSACTION_TIMEOUT,
        };
        self.last_request = Some((pending.name, call_id.clone()));
        self.transactions.insert(transaction.clone(), pending);
        out.push_back(Output::Send(ClientMessage::Request(Request {
            transaction: transaction.clone(),
            line,
            call_id,
            body,
        })));
        self.note_sent(now);
        Some(transaction)
    }

    /// The call is over on both sides: nothing more is sent for it.
    pub(super) fn forget_call(&mut self, call_id: &CallId) {
        self.farewells.retain(|farewell| farewell.call_id != *call_id);
    }

    /// Whether a hangup or decline of this call still waits for its `ack`.
    pub(super) fn has_farewell(&self, call_id: &CallId) -> bool {
        self.farewells.iter().any(|farewell| farewell.call_id == *call_id)
    }

    /// Rule 3: sends unacknowledged hangups again, of those calls that the server still has.
    pub(super) fn resend_farewells(&mut self, server_has: &[CallId], now: Time, out: &mut VecDeque<Output>) {
        let farewells = std::mem::take(&mut self.farewells);
        for Farewell { line, call_id, body } in farewells {
            if server_has.contains(&call_id) {
                self.request(Some(line), Some(call_id), body, now, out);
            }
        }
    }

    /// Takes in what the socket did.
    pub(super) fn handle(
        &mut self,
        event: SocketEvent,
        now: Time,
        random: &mut Random,
        out: &mut VecDeque<Output>,
    ) -> Vec<News> {
        match event {
            SocketEvent::Opened => {
                if matches!(self.phase, Phase::Connecting { .. }) {
                    self.phase = Phase::AwaitingState { deadline: now + STATE_TIMEOUT };
                }
                Vec::new()
            }
            SocketEvent::Failed(failure) => {
                self.connect_failed(failure, now, random, out);
                Vec::new()
            }
            SocketEvent::Closed(cause) => self.lost(cause, now, random, out),
            SocketEvent::BadFrame(error) => {
                self.count_bad_frame(&error, out);
                Vec::new()
            }
            SocketEvent::Message(message) => self.message(*message, now, out),
        }
    }

    /// Takes in the session API's answer.
    pub(super) fn token(
        &mut self,
        result: Result<(), TokenError>,
        now: Time,
        random: &mut Random,
        out: &mut VecDeque<Output>,
    ) {
        if !matches!(self.phase, Phase::ObtainingToken { .. }) {
            return;
        }
        match result {
            Ok(()) => self.connect(now, out),
            Err(TokenError::NotConfigured) => self.refuse("there is no token, and nothing to log in with", now, random),
            Err(TokenError::Refused(words)) => self.refuse(&format!("login refused: {words}"), now, random),
            Err(TokenError::Failed(words)) => {
                // The next attempt has no token either, and logs in again.
                self.tried_renewal = false;
                self.retry_later(false, &format!("login failed: {words}"), now, random);
            }
        }
    }

    fn message(&mut self, message: ServerMessage, now: Time, out: &mut VecDeque<Output>) -> Vec<News> {
        match message {
            ServerMessage::State(state) => self.state_handshake(*state, now),
            ServerMessage::Keepalive { transaction } => {
                if let Phase::Up { keepalive, .. } = &mut self.phase
                    && keepalive.as_ref().is_some_and(|(sent, _)| transaction.as_ref().is_none_or(|t| t == sent))
                {
                    *keepalive = None;
                }
                Vec::new()
            }
            ServerMessage::Response(response) => self.response(response, out),
            ServerMessage::Event(event) => {
                self.note_registration(&event);
                vec![News::Event(event)]
            }
        }
    }

    fn state_handshake(&mut self, state: StateHandshake, now: Time) -> Vec<News> {
        if matches!(self.phase, Phase::Waiting { .. } | Phase::ObtainingToken { .. }) {
            return Vec::new();
        }
        self.phase = Phase::Up {
            since: now,
            // A server that asks for nonsense must not make us flood it or fall silent.
            keepalive_interval: Duration::from_millis(state.keepalive_interval.clamp(1_000, 3_600_000)),
            last_sent: now,
            keepalive: None,
        };
        self.counters.sessions += 1;
        self.tried_renewal = false;
        self.force = true;
        self.server_lines = u32::try_from(state.lines.len()).unwrap_or(u32::MAX);
        self.set_registration(state.registration.clone());
        vec![News::Up(Box::new(state))]
    }

    fn set_registration(&mut self, registration: Registration) {
        self.registration = registration.status;
        if registration.status == RegistrationStatus::Registered {
            self.set_state(SessionState::Registered, None);
        } else {
            let words = match (registration.code, registration.reason) {
                (Some(code), Some(reason)) => format!("{code} {reason}"),
                (Some(code), None) => code.to_string(),
                (None, Some(reason)) => reason,
                (None, None) => format!("{:?}", registration.status).to_lowercase(),
            };
            self.set_state(SessionState::Unregistered, Some(words));
        }
    }

    fn note_registration(&mut self, event: &Event) {
        let registration = |status, code, reason| Registration { status, code, reason };
        let change = match &event.body {
            EventBody::Registering {} => registration(RegistrationStatus::Registering, None, None),
            EventBody::Registered { phrase } if phrase.as_deref() == Some("authorization_failure") => {
                registration(RegistrationStatus::RegistrationFailed, None, phrase.clone())
            }
            EventBody::Registered { .. } => registration(RegistrationStatus::Registered, None, None),
            EventBody::RegistrationFailed { code, reason } => {
                registration(RegistrationStatus::RegistrationFailed, Some(*code), Some(reason.clone()))
            }
            EventBody::Unregistering {} => registration(RegistrationStatus::Unregistering, None, None),
            EventBody::Unregistered {} => registration(RegistrationStatus::Unregistered, None, None),
            _ => return,
        };
        // A registration that is being refreshed still takes calls.
        if change.status == RegistrationStatus::Registering && self.registration == RegistrationStatus::Registered {
            return;
        }
        if self.is_up() {
            self.set_registration(change);
        }
    }

    fn response(&mut self, response: Response, out: &mut VecDeque<Output>) -> Vec<News> {
        let Some(pending) = response.transaction.as_ref().and_then(|t| self.transactions.remove(t)) else {
            self.counters.late_responses += 1;
            let problem = "a response without its request: it came after the time-out".to_owned();
            out.push_back(Output::Fact(Fact::Protocol { problem }));
            return Vec::new();
        };
        if matches!(pending.name, "hangup" | "decline")
            && let Some(call_id) = &pending.call_id
        {
            self.farewells.retain(|farewell| farewell.call_id != *call_id);
        }
        let result = match response.body {
            ResponseBody::Ack => Ok(()),
            ResponseBody::Error { code, reason } => Err(Rejection { code, reason }),
        };
        vec![News::Answered(pending, result)]
    }

    fn expire_transactions(&mut self, now: Time) -> Vec<News> {
        let late: Vec<String> = self
            .transactions
            .values()
            .filter(|pending| now >= pending.deadline)
            .map(|pending| pending.transaction.clone())
            .collect();
        self.counters.timed_out_requests += late.len() as u64;
        late.iter().filter_map(|transaction| self.transactions.remove(transaction)).map(News::TimedOut).collect()
    }

    fn count_bad_frame(&mut self, error: &FrameError, out: &mut VecDeque<Output>) {
        let name = match error {
            FrameError::Unknown { name, .. } => {
                self.counters.unknown_messages += 1;
                name.clone()
            }
            other => {
                self.counters.malformed_frames += 1;
                other.to_string()
            }
        };
        if !self.unknown_names.contains(&name) && self.unknown_names.len() < MAX_UNKNOWN_NAMES {
            self.unknown_names.push(name);
            out.push_back(Output::Fact(Fact::Protocol { problem: error.to_string() }));
        }
    }

    fn connect(&mut self, now: Time, out: &mut VecDeque<Output>) {
        self.last_attempt = Some(now);
        self.phase = Phase::Connecting { deadline: now + CONNECT_TIMEOUT };
        // A fault stays shown until it is over, not only between attempts.
        if matches!(self.state, SessionState::Offline | SessionState::LoggingIn) {
            let reason = self.reason.take();
            self.set_state(SessionState::Connecting, reason);
        }
        out.push_back(Output::Connect { force: self.force });
    }

    fn connect_failed(&mut self, failure: ConnectFailure, now: Time, random: &mut Random, out: &mut VecDeque<Output>) {
        if !matches!(self.phase, Phase::Connecting { .. }) {
            return;
        }
        match failure.kind {
            ConnectFailureKind::NoToken | ConnectFailureKind::Unauthorized => {
                self.renew_token(&failure.words, now, random, out);
            }
            ConnectFailureKind::Unavailable => self.retry_later(true, &failure.words, now, random),
            ConnectFailureKind::Network | ConnectFailureKind::Tls | ConnectFailureKind::Http => {
                self.retry_later(false, &failure.words, now, random);
            }
        }
        if let (Some(retry_after), Phase::Waiting { until, hurry }) = (failure.retry_after, &mut self.phase) {
            *until = now + retry_after + random.between(Duration::ZERO, Duration::from_secs(1));
            *hurry = false;
        }
    }

    /// The connection is gone: everything in flight is void, hangups are kept.
    fn lost(&mut self, cause: CloseCause, now: Time, random: &mut Random, out: &mut VecDeque<Output>) -> Vec<News> {
        if matches!(self.phase, Phase::Waiting { .. } | Phase::ObtainingToken { .. }) {
            return Vec::new();
        }
        if let Phase::Up { since, .. } = self.phase
            && now.since(since) >= RESET_AFTER
        {
            self.backoff.reset();
        }
        let was_up = self.is_up();
        self.transactions.clear();
        let words = format!("{} ({})", cause.words(), cause.code());
        let mut news = if was_up { vec![News::Down] } else { Vec::new() };
        match cause {
            CloseCause::SessionMissed | CloseCause::App(_) => self.renew_token(&words, now, random, out),
            CloseCause::Subscriber(_) => self.refuse(&words, now, random),
            CloseCause::Attached | CloseCause::NotAttached => {
                self.force = false;
                let wait = random.between(ATTACHED_RETRY.0, ATTACHED_RETRY.1);
                self.wait(wait, false, SessionState::TakenOver, &words, now);
            }
            CloseCause::ForceAttached => self.taken_over(&words, now, random),
            CloseCause::Controller(4402) | CloseCause::Standard(1001 | 1012) => {
                self.retry_later(true, &words, now, random);
            }
            CloseCause::KeepaliveTimeout | CloseCause::Request(_) | CloseCause::CallId => {
                if let (CloseCause::CallId, Some((_, Some(call_id)))) = (cause, &self.last_request) {
                    news.push(News::CallGone(call_id.clone()));
                }
                self.log_last_request(cause, out);
                self.retry_at_once(&words, now, random);
            }
            CloseCause::SocketMessage | CloseCause::SignalingMessage => {
                self.log_last_request(cause, out);
                self.retry_later(false, &words, now, random);
            }
            CloseCause::Standard(_)
            | CloseCause::Controller(_)
            | CloseCause::ControllerWebrtc
            | CloseCause::Other(_) => self.retry_later(false, &words, now, random),
        }
        news
    }

    fn log_last_request(&self, cause: CloseCause, out: &mut VecDeque<Output>) {
        if matches!(cause, CloseCause::KeepaliveTimeout | CloseCause::CallId) {
            return;
        }
        let request = self.last_request.as_ref().map_or("none", |(name, _)| *name);
        let problem = format!("closed with {} after our last request, {request}", cause.code());
        out.push_back(Output::Fact(Fact::Protocol { problem }));
    }

    /// The token is dead or missing: a new one where the configuration allows it, once per loss.
    fn renew_token(&mut self, words: &str, now: Time, random: &mut Random, out: &mut VecDeque<Output>) {
        if self.token_renewable && !self.tried_renewal {
            self.tried_renewal = true;
            self.phase = Phase::ObtainingToken { deadline: now + CONNECT_TIMEOUT };
            self.set_state(SessionState::LoggingIn, Some(words.to_owned()));
            out.push_back(Output::ObtainToken);
        } else {
            self.refuse(words, now, random);
        }
    }

    fn refuse(&mut self, words: &str, now: Time, random: &mut Random) {
        self.tried_renewal = false;
        let wait = random.between(SLOW_RETRY.0, SLOW_RETRY.1);
        self.wait(wait, false, SessionState::Refused, words, now);
    }

    /// Another client took over: never fight (`protocol.md`, 4441).
    fn taken_over(&mut self, words: &str, now: Time, random: &mut Random) {
        let (most, period) = match self.takeover {
            Takeover::Never => (0, Duration::ZERO),
            Takeover::Once => (1, Duration::from_secs(3600)),
            Takeover::Always => (3, Duration::from_secs(600)),
        };
        self.forced_at.retain(|at| now.since(*at) < period);
        self.force = self.forced_at.len() < most;
        let wait = if self.force {
            self.forced_at.push_back(now);
            random.between(Duration::from_millis(500), Duration::from_secs(2))
        } else {
            TAKEN_OVER_RETRY
        };
        self.wait(wait, false, SessionState::TakenOver, words, now);
    }

    fn retry_later(&mut self, server_restarts: bool, words: &str, now: Time, random: &mut Random) {
        let wait = self.backoff.next_wait(server_restarts, random);
        self.wait(wait, !server_restarts, SessionState::Offline, words, now);
    }

    fn retry_at_once(&mut self, words: &str, now: Time, random: &mut Random) {
        let first = self.backoff.failures() == 0;
        let wait = self.backoff.next_wait(false, random);
        self.wait(if first { Duration::ZERO } else { wait }, true, SessionState::Offline, words, now);
    }

    fn wait(&mut self, wait: Duration, hurry: bool, state: SessionState, words: &str, now: Time) {
        self.phase = Phase::Waiting { until: now + wait, hurry };
        self.registration = RegistrationStatus::Unregistered;
        self.set_state(state, Some(words.to_owned()));
    }

    fn set_state(&mut self, state: SessionState, reason: Option<String>) {
        self.state = state;
        self.reason = reason;
    }

    fn send_keepalive(&mut self, now: Time, out: &mut VecDeque<Output>) {
        let transaction = self.new_transaction();
        out.push_back(Output::Send(ClientMessage::Keepalive { transaction: transaction.clone() }));
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

    fn new_transaction(&mut self) -> String {
        self.next_transaction = self.next_transaction.wrapping_add(1);
        format!("transaction-{}", self.next_transaction)
    }

    fn remember_farewell(&mut self, line: u32, call_id: CallId, body: RequestBody) {
        if !self.has_farewell(&call_id) {
            if self.farewells.len() >= MAX_HANGUPS {
                self.farewells.remove(0);
            }
            self.farewells.push(Farewell { line, call_id, body });
        }
    }
}

fn is_offer(body: &RequestBody) -> bool {
    use crate::signaling::JsepKind;
    matches!(body, RequestBody::Update { jsep } if jsep.kind == JsepKind::Offer)
}
