//! The session with the server: connecting, transactions, keepalive, and what follows each kind of loss
//! (docs/protocol.md, "Connection", "Close codes", "Recovery after a reconnect").

mod backoff;
mod loss;
mod messages;
mod network;
mod requests;
mod servers;
mod socket;
mod state;
mod takeover;
mod timers;
mod transactions;

pub(super) use state::{News, Rejection, Session};
pub(super) use transactions::{Pending, ServerHas, TRANSACTION_TIMEOUT};
