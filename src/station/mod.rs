//! The daemon's station: the one event loop, which feeds the core and carries its effects out.

mod clock;
mod counters;
mod effects;
mod event_loop;
mod fact_log;
mod handle;
mod history;
mod ice_servers;
mod identifier;
mod login;
mod memory;
mod restart_backoff;
mod server_time;
mod start;
mod status;
mod watchdog;

pub use clock::local_time;
pub(crate) use clock::wall_clock_ms;
pub use handle::{StationHandle, command_of};
pub use identifier::machine_identifier;
pub(crate) use login::log_in;
pub use restart_backoff::{forget_restarts, note_restart};
pub use start::{RunningStation, StartError, StationOptions};
