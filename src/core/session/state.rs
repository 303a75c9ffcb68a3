//! The state of the session, and what the rest of the core reads of it.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use super::ice_server_lease::IceServerLease;
use super::servers::Servers;
use super::takeover::Takeovers;
use super::transactions::{Pending, Transactions};
use crate::config::{CoreConfig, Credentials};
use crate::core::api::{Fact, ServerIndex, SessionCounters, SessionState};
use crate::core::context::Context;
use crate::core::time::Time;
use crate::signaling::{Event, RegistrationStatus, StateHandshake, TransactionId};

/// While the session waits for the clock to be set, it checks the clock this often.
pub(super) const CLOCK_POLL: Duration = Duration::from_secs(1);
/// A connection attempt is ended after this time, if the adapter has not ended it before.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// An attempt with a new address is made within this time, at random, so that the stations of a whole street do not
/// connect in the same moment.
pub(super) const NEW_ADDRESS_SPREAD: Duration = Duration::from_millis(250);

/// What the session reports to the calls.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::core) enum News {
    /// The session is up. The calls must be compared with those of the server (docs/protocol.md, "Recovery after a
    /// reconnect").
    Up(Box<StateHandshake>),
    /// The session is lost. Calls that are up continue without it.
    Down,
    /// A request was answered.
    Answered(Pending, Result<(), Rejection>),
    /// A request was not answered in time. The server may have carried it out nevertheless.
    TimedOut(Pending),
    /// The server sent an event.
    Event(Box<Event>),
}

/// An `error` response of the server to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::core) struct Rejection {
    pub(in crate::core) code: i64,
    pub(in crate::core) reason: String,
}

/// Where the session stands. Each phase has a deadline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// The session waits for its next attempt. `hurry`: a press may shorten the wait.
    Waiting {
        until: Time,
        hurry: bool,
    },
    /// As `Waiting`, but the attempt is made earlier if the clock is set.
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
    /// The socket is open, and the server has not sent `state` yet. `local`: our address on the socket, if it is known.
    AwaitingState {
        deadline: Time,
        local: Option<IpAddr>,
    },
    Up {
        since: Time,
        keepalive_interval: Duration,
        last_sent: Time,
        keepalive: Option<(TransactionId, Time)>,
        local: Option<IpAddr>,
    },
}

/// The session with the server, as a state machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::core) struct Session {
    pub(super) phase: Phase,
    pub(super) state: SessionState,
    pub(super) reason: Option<String>,
    pub(super) servers: Servers,
    pub(super) takeovers: Takeovers,
    pub(super) token_renewable: bool,
    pub(super) tried_renewal: bool,
    pub(super) force: bool,
    pub(super) backoff: Backoff,
    pub(super) last_attempt: Option<Time>,
    pub(super) transactions: Transactions,
    pub(super) told_causes: Vec<String>,
    pub(super) registration: RegistrationStatus,
    pub(super) server_lines: u32,
    /// When something last arrived from the server.
    pub(super) heard_at: Time,
    /// The usable addresses of the machine; `None` until they are known.
    pub(super) addresses: Option<Vec<IpAddr>>,
    pub(super) ice_servers: IceServerLease,
    pub(super) counters: SessionCounters,
    /// What was reported last.
    pub(super) reported: Option<(SessionState, Option<String>)>,
}

impl Session {
    /// Creates a session, which connects at its first tick. `transaction_seed` comes from the wall clock, so that
    /// transactions are unique across restarts.
    pub(in crate::core) fn new(config: &CoreConfig, transaction_seed: u64, now: Time) -> Self {
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
            ice_servers: IceServerLease::default(),
            counters: SessionCounters::default(),
            reported: None,
        }
    }

    pub(in crate::core) fn state(&self) -> SessionState {
        self.state
    }

    pub(in crate::core) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    pub(in crate::core) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    pub(in crate::core) fn is_registered(&self) -> bool {
        self.is_up() && self.registration == RegistrationStatus::Registered
    }

    /// The server that is used or tried.
    pub(in crate::core) fn server(&self) -> ServerIndex {
        self.servers.current()
    }

    /// Whether another client and we keep taking the session from each other.
    pub(in crate::core) fn is_ping_pong(&self, now: Time) -> bool {
        self.takeovers.is_ping_pong(now)
    }

    pub(in crate::core) fn counters(&self) -> SessionCounters {
        self.counters
    }

    /// Reports the session, once for each change. Attempts that fail for the same reason are one fact.
    pub(in crate::core) fn report(&mut self, cx: &mut Context) {
        let now = (self.state, self.reason.clone());
        let trying = matches!(now.0, SessionState::Connecting | SessionState::LoggingIn);
        let same = self.reported.as_ref().is_some_and(|reported| {
            let retries = trying && reported.0 == SessionState::Offline;
            (reported.0 == now.0 || retries) && (trying || *reported == now)
        });
        if !same {
            cx.fact(Fact::Session { state: now.0, reason: now.1.clone() });
            self.reported = Some(now);
        }
    }

    /// The number of lines that the server has; 0 before the first `state`.
    pub(in crate::core) fn server_lines(&self) -> u32 {
        self.server_lines
    }
}
