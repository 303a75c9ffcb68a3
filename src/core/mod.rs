//! The core: the station as a function of state, input and time.
//!
//! No tokio, no I/O, no clock, no randomness. [`Station::handle`] takes one [`Input`] with the time, and
//! [`Station::poll_effect`] returns what is to be done. Whoever drives the station drains the effects before the next
//! input, and calls again at [`Station::next_deadline`].
//!
//! `session`, `calls`, `door`, `scene` and `rules` are machines with a state of their own; the station routes between
//! them. `api` is what crosses the border.

#![deny(clippy::disallowed_methods)]

mod access;
mod api;
mod calls;
mod context;
mod deadline;
mod door;
mod random;
mod restart_backoff;
mod rules;
mod scene;
mod session;
mod station;
mod time;
mod watchdog;

pub use api::*;
pub use calls::code_of;
pub use deadline::{Deadline, DeadlineReason};
pub use random::Random;
pub use restart_backoff::RestartBackoff;
pub use station::Station;
pub use time::{Now, Time};
pub use watchdog::{AudioProgress, Watchdog};

pub use crate::config::{ButtonIndex, Drive, Line, LocalTime, OutputChange, SensorIndex, Weekday};
pub use crate::signaling::{ConnectFailure, ConnectFailureKind, SocketEvent};
