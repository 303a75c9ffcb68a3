//! The black box: it keeps the inputs of the last minutes, and the state before them, in a limited part of the memory.
//!
//! The core is a function of state, input and time. So if a [`Dump`] is fed to the same version on a desk, that makes
//! the same decisions as the station at the door.

mod recorder;
mod redact;
mod redacted;
mod redactor;

pub use recorder::{Dump, Entry, Recorder};
#[cfg(feature = "daemon")]
pub use redacted::Redacted;
