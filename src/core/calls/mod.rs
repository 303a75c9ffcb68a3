//! The telephone calls of the station: lines, hunts, incoming and outgoing calls, hold, renegotiation, media liveness,
//! recovery after a reconnect, and the codes that the far end enters.
//!
//! [`Calls`] is the state; [`CallControl`] is the state together with what it needs to act. Each file adds one part of
//! the behaviour to it.

mod call;
mod code_entry;
mod codes;
mod control;
mod deadlines;
mod dialing;
mod ending;
mod established;
mod hunt;
mod hunting;
mod incoming;
mod lines;
mod liveness;
mod media_events;
mod memory;
mod recovery;
mod renegotiation;
mod repair;
mod report;
mod responses;
mod second_call;
mod server_call;
mod server_events;
mod state;
mod warm;

pub(super) use call::Hold;
pub use code_entry::code_of;
pub(super) use control::CallControl;
pub(super) use state::Calls;
