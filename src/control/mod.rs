//! What people and programs touch: the control socket and its protocol.
//!
//! One JSON object per line, both ways. A connection may carry any number of requests; after
//! `events` it only carries events.

mod client;
mod protocol;
mod server;

pub use client::{ClientError, ControlClient};
pub use protocol::{ErrorKind, EventRecord, FullStatus, OutputRequest, Reply, ReplyError, Request, SoundStatus};
pub use server::{ControlError, ControlServer, Controlled, usual_sockets};
