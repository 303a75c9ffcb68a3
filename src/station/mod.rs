//! The one event loop: feeds the core and carries its outputs out.

mod clock;
mod feeder;
mod handle;
mod history;
mod identifier;
mod memory;
mod running;
mod starts;

pub use clock::local_time;
pub use handle::{StationHandle, command_of};
pub use identifier::machine_identifier;
pub use running::{RunningStation, StartError, StationOptions};
pub use starts::{forget_starts, note_start};
