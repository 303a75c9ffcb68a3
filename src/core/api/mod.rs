//! What crosses the border of the core: inputs, effects, facts, commands, identifiers, status, and what outlives the
//! process.

mod by;
mod call_state;
mod cause;
mod command;
mod effect;
mod fact;
mod input;
mod lasting;
mod memory;
mod origin;
mod repair;
mod session_state;
mod status;

pub use by::{By, called};
pub use call_state::{CallState, Direction};
pub use cause::{Cause, Unanswered};
pub use command::{Command, CommandId, Done, Gesture, Refusal};
pub use effect::{Effect, MediaCommand, MediaId, Scene, SceneCall, ServerIndex};
pub use fact::Fact;
pub use input::{AnyPin, AudioEvent, Input, MediaEvent, MicrophoneFault, Pin, TokenError};
pub use lasting::Lasting;
pub use memory::{Memory, PendingHangup, RememberedCall, WrongCodes};
pub(super) use origin::{Origin, Source};
pub use repair::{MissingSound, RepairOutcome, RepairStep};
pub use session_state::{SessionCounters, SessionState};
pub use status::{AudioStatus, CallStatus, EndStatus, LineStatus, OutputStatus, PinStatus, SessionStatus, Status};
