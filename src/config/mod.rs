//! The typed configuration: parsed once, valid ever after.
//!
//! Source: `interface.md`, "Configuration". [`load`] merges file and environment, reports
//! every error at once, each with its place, and gives a [`Config`] whose values cannot be wrong.

mod action;
mod call_tables;
mod core_table;
mod error;
mod file;
mod hours;
mod media_table;
mod number;
mod pcm_name;
mod pin_tables;
mod read;
mod reload;
mod review;
mod source;
mod station;
mod trigger;

pub use action::{Action, CallAction, HangupTarget, LineChoice, Order, Rule, Step, Trigger};
pub use error::{ConfigError, ConfigErrors, ConfigWarning, Place};
pub use file::{OutputsOnly, load, load_outputs, load_reviewed, parse, parse_without_core, resolve_secret_file};
pub use hours::{Hours, HoursError};
pub use number::NumberPattern;
pub use pcm_name::{PcmName, PcmNameError, UsbCard};
pub use reload::reload;
pub use station::*;
#[cfg(feature = "daemon")]
pub(crate) use trigger::is_number;
