//! The types that cross the border of the core.
//!
//! - [`Input`] is something that happens outside the core. One kind of input is a [`Command`] of people or programs;
//!   [`Done`] or [`Refusal`] answers it.
//! - [`Effect`] is what the core asks the adapters to do.
//! - [`Fact`] is what the station reports to people and programs. [`By`] says who caused it, and [`Cause`] why a call
//!   ended.
//! - [`Status`] is a snapshot of the station.
//! - [`Memory`] is what the next process must know.

mod alarm;
mod by;
mod call_state;
mod cause;
mod command;
mod door_state;
mod effect;
mod fact;
mod fact_message;
mod ice_servers;
mod id;
mod input;
mod interface;
mod lasting;
mod memory;
mod microphone_fault;
mod origin;
mod repair;
mod session_state;
mod status;

pub use alarm::AlarmState;
pub use by::{By, called};
pub use call_state::{CallState, Direction};
pub use cause::{Cause, Unanswered};
pub use command::{Command, Done, Gesture, Refusal};
pub use door_state::DoorState;
pub use effect::{Effect, MediaCommand, Scene, SceneCall};
pub use fact::Fact;
pub use ice_servers::{IceServerCounts, IceServerSource, IceServersAnswer, IceServersStatus};
pub use id::{CommandId, MediaId, ServerIndex};
pub use input::{AnyPin, AudioEvent, Input, MediaEvent, Pin, ReaderKey, TokenError};
pub use interface::Interface;
pub use lasting::Lasting;
pub use memory::{
    Memory, PendingHangup, RememberedAlarm, RememberedCall, RememberedMode, RememberedSchedule, TriggerKind,
    TriggerName, WrongCodes,
};
pub use microphone_fault::MicrophoneFault;
pub(super) use origin::{Origin, Source};
pub use repair::{MissingSound, RepairOutcome, RepairStep};
pub use session_state::{SessionCounters, SessionState};
pub use status::{
    AlarmStatus, AudioStatus, CallStatus, DoorStatus, EndStatus, LineStatus, ModeStatus, OutputStatus, PinStatus,
    ReaderStatus, ScheduleStatus, SessionStatus, Status,
};
