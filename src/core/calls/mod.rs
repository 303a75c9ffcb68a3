//! The telephone calls of the station.
//!
//! [`Calls`] is the state: the lines with their calls ([`call::Call`]), the hunts ([`hunt::Hunt`]) and the warm peer
//! connection ([`warm_peer::WarmPeer`]). [`CallControl`] is the calls with what they need to act. Most files add one
//! part of the behaviour to [`CallControl`]:
//!
//! - Outgoing calls: `hunting` chooses whom to call and when, `dialing` sends the request; `alarming` hunts until
//!   somebody has taken a call.
//! - Incoming calls: `incoming` decides whether to take one, and answers it.
//! - Calls that are up: `established` (the answer tone, the talk time), `second_call` (hold, and more than one call),
//!   `codes` (door codes).
//! - The end: `ending`.
//! - What arrives: `server_events` and `responses` from the server, `media_events` from the peer connections,
//!   `deadlines` from the clock, `recovery` after a reconnect.
//! - The media of a call: `renegotiation` changes them, `liveness` decides how to repair them, `repair` does it.
//! - What others read: `report` (facts and status), `memory` (what outlives the process).

mod alarming;
mod alarms;
mod call;
mod candidate_queue;
mod code_entry;
mod codes;
mod control;
mod deadlines;
mod dialing;
mod ending;
mod established;
mod far_end_digits;
mod hunt;
mod hunting;
mod hunts;
mod id;
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
mod warm_peer;

pub(super) use call::Hold;
pub use code_entry::code_of;
pub(super) use control::CallControl;
pub(super) use state::Calls;
