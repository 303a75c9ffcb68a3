//! The typed configuration: parsed once, valid from then on.
//!
//! [`load`] merges file and environment (docs/configuration.md), reports every error at once with its place, and
//! returns a [`Config`] whose values are valid. `model` holds the types, `reading` turns tables into them.

mod error;
mod load;
mod model;
mod reading;
mod reload;
mod review;

pub use error::{ConfigError, ConfigErrors, ConfigWarning, Place};
pub use load::{OutputsOnly, load, load_outputs, load_reviewed, parse, parse_without_core};
pub use model::*;
#[cfg(feature = "daemon")]
pub(crate) use reading::is_number;
pub use reading::resolve_secret_file;
pub use reload::reload;
