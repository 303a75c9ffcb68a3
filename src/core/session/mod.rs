//! The session: the connection with the server, which carries all requests and events (docs/protocol.md, "Connection"
//! and "Close codes").
//!
//! [`Session`] is a state machine. It connects by effects, gets socket events and times as inputs, and reports to the
//! calls as [`News`]. It knows calls only by their ids: what an event means for a call is decided in `calls`.
//!
//! - Connecting: `network` decides when, `servers` to which server, `backoff` computes the waits.
//! - While it is up: `messages` reads what the server sends, `requests` sends for the calls, `transactions` keeps the
//!   requests in flight and the pending hangups, `ice_servers` asks for STUN and TURN servers, and
//!   `ice_server_lease` computes when.
//! - The end of a connection: `loss` decides what follows, `takeover` what follows if another client took the session.
//! - `socket` and `timers` are the entries for events of the socket and for deadlines.

mod backoff;
mod ice_server_lease;
mod ice_servers;
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
