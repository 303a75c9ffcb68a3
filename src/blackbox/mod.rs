//! The black box: the inputs of the last minutes and the state before them, bounded, in memory.
//!
//! The core is a function of state, input and time, so that a [`Dump`] fed to the same version does
//! on a desk what it did at the door, decision by decision.

mod recorder;
mod redact;
mod redactor;

pub use recorder::{Dump, Entry, Recorder};
