//! The typed configuration: it is checked once, when it is read, and valid from then on.
//!
//! [`load()`] merges the file and the environment (docs/configuration.md), reports all errors together, each with its
//! place, and returns a [`Config`] whose values are valid. `model` contains the types, and `reading` makes them from
//! tables.

mod error;
mod load;
mod model;
mod reading;
mod reload;
mod review;

pub use error::{ConfigError, ConfigErrors, ConfigWarning, Place};
pub use load::{OutputsOnly, load, load_outputs, load_reviewed, parse, parse_without_core};
#[cfg(feature = "daemon")]
pub(crate) use model::authority;
pub use model::*;
pub(crate) use reading::is_number;
pub use reading::resolve_secret_file;
pub use reload::reload;
