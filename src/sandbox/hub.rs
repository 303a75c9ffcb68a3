//! The exchange and its connections, behind one lock, with one queue per connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};

use super::exchange::{ConnectionId, Delivery, Exchange};
use crate::core::Time;
use crate::signaling::ServerMessage;

/// Messages that can wait for a connection. A connection with a full queue is closed.
const QUEUE: usize = 256;
/// The exchange learns the time at least this often.
const TICK: Duration = Duration::from_secs(1);

/// What is sent to a connection.
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
    /// Makes a hub that tells the exchange the time until `stopped`.
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

    /// Adds a connection of an account; `None` if there is no such account.
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

    /// Ends the session of an account, with its connection and its calls.
    pub(super) fn log_out(&self, number: &str) {
        self.with(|state| {
            if let Some(account) = state.exchange.account(number) {
                state.exchange.log_out(account);
            }
        });
    }

    /// Tells the exchange the time, runs `act`, and delivers the resulting messages.
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
                // The queue is full, or the connection is gone. Dropping the sender ends the connection's task.
                state.connections.remove(&connection);
            }
        }
        result
    }
}
