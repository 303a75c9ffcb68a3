//! The station, pure: a function of state, input and time.
//!
//! No tokio, no I/O, no clock, no randomness. [`Station::handle`] takes one [`Input`] with the
//! time, [`Station::poll_effect`] gives what is to be done; whoever drives the station drains the
//! outputs before the next input, and calls again at [`Station::next_deadline`].

#![deny(clippy::disallowed_methods)]

mod access;
mod actions;
mod backoff;
mod by;
mod call;
mod cause;
mod command;
mod commands;
mod contact;
mod dtmf;
mod effect;
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
mod outputs;
mod pins;
mod proof;
mod random;
mod recovery;
mod restart_backoff;
mod scene;
mod servers;
mod session;
mod setting;
mod signals;
mod station;
mod status;
mod takeover;
mod time;
mod transactions;
mod watchdog;

pub use crate::config::{Drive, LocalTime, OutputChange, Weekday};
pub use crate::signaling::{ConnectFailure, ConnectFailureKind, SocketEvent};
pub use access::WrongCodes;
pub use by::By;
pub use call::{CallState, Direction};
pub use cause::{Cause, Unanswered};
pub use command::{Command, CommandId, Done, Gesture, Refusal};
pub use dtmf::code_of;
pub use effect::{Effect, MediaCommand, MediaId, Scene, SceneCall, ServerIndex};
pub use fact::{Fact, MissingSound, RepairOutcome, RepairStep, called};
pub use input::{AnyPin, AudioEvent, Input, MediaEvent, MicrophoneFault, Pin, TokenError};
pub use memory::{Memory, RememberedCall};
pub use random::Random;
pub use restart_backoff::RestartBackoff;
pub use session::{SessionCounters, SessionState};
pub use setting::Lasting;
pub use station::Station;
pub use status::{AudioStatus, CallStatus, LineStatus, OutputStatus, PinStatus, SessionStatus, Status};
pub use time::{Now, Time};
pub use transactions::Farewell;
pub use watchdog::{AudioProgress, Watchdog};
