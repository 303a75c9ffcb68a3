//! The core: the intercom station as a function of state, input and time.
//!
//! The core has no tokio, no I/O and no clock, and its random numbers come from a seed. The adapters outside of it do
//! the rest. So a test can run years of a station in virtual time, and the black box can replay what happened at a
//! door.
//!
//! # How the core is driven
//!
//! 1. Something happens: a pin changes, the server sends a message, a peer connection reports an event, somebody gives
//!    a command. The driver passes it to [`Station::handle`] as an [`Input`], together with the time ([`Now`]).
//! 2. The core changes its state and queues [`Effect`]s, which say what the adapters must do. The driver takes them
//!    from [`Station::poll_effect`] until none is left. Only then may the next input follow.
//! 3. [`Station::next_deadline`] says when the core needs [`Input::Tick`] if nothing happens before. The driver asks
//!    again after every input.
//!
//! # How the core is built
//!
//! [`Station`] owns five state machines. Each has a state of its own, and the station routes between them:
//!
//! - [`session::Session`] is the connection with the server. It sends the requests of the calls, and reports what the
//!   server does as [`session::News`].
//! - [`calls::Calls`] is the state of all telephone calls. Everything that acts on calls uses [`calls::CallControl`]:
//!   the calls with what they need to act.
//! - [`door::Door`] is the state of the pins. It reports what happens at the door as [`door::DoorEvent`]s, and drives
//!   the outputs.
//! - [`scene::SceneState`] decides what is heard where; [`announcements::Announcements`] plays prompts.
//! - [`rules::Rules`] chooses what a trigger of the configuration does; [`rules::Actions`] does it.
//! - [`readers::Readers`] takes what is typed at keypads and read from cards.
//!
//! The station lends them the [`context::Context`], called `cx`: the time, the configuration, the modes of the house,
//! randomness, and the queue of effects. [`access::Access`] counts wrong door codes. `api` holds the types that cross the border of the core.
//! [`RestartBackoff`] and [`Watchdog`] are small machines for the process itself; the station does not use them.
//!
//! # Example: a press becomes a call
//!
//! 1. [`Input::Edge`] reaches the door. When the level has lasted for the debounce time, the door reports a gesture.
//! 2. The rules choose the rule of this button, and its action starts a hunt: the wish to reach one of some numbers.
//! 3. The hunt takes its first number. The call gets the warm peer connection, whose offer is ready, so `outgoing_call`
//!    leaves at once as [`Effect::Send`].
//! 4. The server's events arrive as [`Input::Socket`] and move the call through its states.
//! 5. After every input the station derives what follows from its state: the scene, the LEDs, the facts about calls,
//!    and what must outlive the process.

#![deny(clippy::disallowed_methods)]

mod access;
mod announcements;
mod api;
mod calls;
mod context;
mod deadline;
mod door;
mod modes;
mod random;
mod readers;
mod restart_backoff;
mod rules;
mod scene;
mod schedules;
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
