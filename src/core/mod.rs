//! The station, pure: a function of state, input and time.
//!
//! No tokio, no I/O, no clock, no randomness. [`Station::handle`] takes one [`Input`] with the
//! time, [`Station::poll_output`] gives what is to be done; whoever drives the station drains the
//! outputs before the next input, and calls again at [`Station::next_deadline`].

#![deny(clippy::disallowed_methods)]

mod access;
mod actions;
mod backoff;
mod by;
mod call;
mod caller;
mod cause;
mod command;
mod commands;
mod contact;
mod dtmf;
mod established;
mod fact;
mod gesture;
mod hunt;
mod incoming;
mod input;
mod lines;
mod media;
mod memory;
mod outgoing;
mod output;
mod outputs;
mod pins;
mod proof;
mod random;
mod recovery;
mod scene;
mod servers;
mod session;
mod setting;
mod signals;
mod starts;
mod station;
mod status;
mod takeover;
mod time;
mod transactions;
mod watchdog;

pub use access::WrongCodes;
pub use by::By;
pub use call::{CallState, Direction};
#[cfg(feature = "daemon")]
pub(crate) use caller::caller;
pub(crate) use caller::{bare_number, canonical};
pub use cause::{Cause, Unanswered};
pub use command::{Command, CommandId, Done, Gesture, OutputChange, Refusal};
pub use dtmf::code_of;
pub use fact::{Fact, MissingSound, RepairOutcome, RepairStep, called};
pub use input::{
    AnyPin, AudioEvent, ConnectFailure, ConnectFailureKind, Input, MediaEvent, MicrophoneFault, Pin, SocketEvent,
    TokenError,
};
pub use memory::{Memory, RememberedCall};
pub use output::{Drive, MediaCommand, MediaId, Output, Scene, SceneCall, ServerIndex};
pub use random::Random;
pub use session::{SessionCounters, SessionState};
pub use setting::Lasting;
pub use starts::Starts;
pub use station::Station;
pub use status::{AudioStatus, CallStatus, LineStatus, OutputStatus, PinStatus, SessionStatus, Status};
pub use time::{LocalTime, Now, Time, Weekday};
pub use transactions::Farewell;
pub use watchdog::{AudioProgress, Watchdog};
