//! The exchange with its connections: one lock, one queue per connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};

use super::exchange::{ConnectionId, Delivery, Exchange};
use crate::core::Time;
use crate::signaling::ServerMessage;

/// Messages that wait for a connection; one that does not take them is closed.
const QUEUE: usize = 256;
/// How often time is told to the exchange.
const TICK: Duration = Duration::from_secs(1);

/// What goes to a connection.
#[derive(Debug)]
pub(super) enum Outgoing {
    Message(Box<ServerMessage>),
    Close(u16),
}

/// The exchange, shared by all connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Hub(Arc<Mutex<State>>);

struct State {
    exchange: Exchange,
    connections: HashMap<ConnectionId, mpsc::Sender<Outgoing>>,
    next: u64,
    start: Instant,
}

impl Hub {
    /// Starts to tell the time until `stopped`.
    pub(super) fn start(accounts: impl Iterator<Item = (String, String)>, mut stopped: watch::Receiver<bool>) -> Self {
        let state =
            State { exchange: Exchange::new(accounts), connections: HashMap::new(), next: 0, start: Instant::now() };
        let hub = Self(Arc::new(Mutex::new(state)));
        let ticking = hub.clone();
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    _ = interval.tick() => ticking.with(|_| ()),
                    _ = stopped.changed() => return,
                }
            }
        });
        hub
    }

    /// A new connection of an account; `None` where there is no such account.
    pub(super) fn connect(&self, number: &str, force: bool) -> Option<(ConnectionId, mpsc::Receiver<Outgoing>)> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.with(|state| {
            let account = state.exchange.account(number)?;
            state.next += 1;
            let connection = ConnectionId(state.next);
            state.connections.insert(connection, sender);
            state.exchange.connect(connection, account, force);
            Some((connection, receiver))
        })
    }

    pub(super) fn frame(&self, connection: ConnectionId, text: &str) {
        self.with(|state| state.exchange.frame(connection, text));
    }

    pub(super) fn disconnected(&self, connection: ConnectionId) {
        self.with(|state| {
            state.connections.remove(&connection);
            state.exchange.disconnected(connection);
        });
    }

    /// The account's session is over.
    pub(super) fn log_out(&self, number: &str) {
        self.with(|state| {
            if let Some(account) = state.exchange.account(number) {
                state.exchange.log_out(account);
            }
        });
    }

    /// Tells the time, does one thing, and delivers what came of it.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Time(u64::try_from(state.start.elapsed().as_millis()).unwrap_or(u64::MAX));
        let wall_clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        state.exchange.tick(now, i64::try_from(wall_clock).unwrap_or(i64::MAX));
        let result = act(&mut state);
        for delivery in state.exchange.drain() {
            let (connection, outgoing) = match delivery {
                Delivery::Send(connection, message) => (connection, Outgoing::Message(Box::new(message))),
                Delivery::Close(connection, code) => (connection, Outgoing::Close(code)),
            };
            let delivered = state.connections.get(&connection).is_some_and(|sender| sender.try_send(outgoing).is_ok());
            if !delivered {
                // Its queue is full or it has gone: dropping the sender ends its task.
                state.connections.remove(&connection);
            }
        }
        result
    }
}
