//! The control socket and its protocol, for the commands and for other programs.
//!
//! Both directions carry one JSON object per line. A connection may carry any number of requests. After `events` or
//! `packets` it carries only events or packets.

mod client;
mod counters;
mod faults;
mod protocol;
mod server;

pub use client::{ClientError, ControlClient};
pub use counters::{CallCount, CallResult, Counters, Histogram, MediaCounts, RecentCall};
pub use faults::{Fault, faults};
pub use protocol::{
    ErrorKind, EventRecord, FullStatus, InterfaceStatus, ModeRequest, OutputRequest, Reply, ReplyError, Request,
    SoundStatus,
};
pub use server::{ControlError, ControlServer, Controlled, usual_sockets};
