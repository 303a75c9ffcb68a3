//! What the daemon leaves in `$RUNTIME_DIRECTORY` for `callbox outputs-off`: the outputs that it drives.

use std::path::PathBuf;

use crate::config::{GpioConfig, OutputPin};

/// A file in `$RUNTIME_DIRECTORY` that the daemon writes.
pub(super) const HELD_OUTPUTS: &str = "outputs.json";

/// The outputs that the daemon drives. The configuration file may have changed since the daemon read it.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct HeldOutputs {
    pub(super) gpio: GpioConfig,
    pub(super) outputs: Vec<OutputPin>,
}

pub(super) fn first_folder(name: &str) -> Option<PathBuf> {
    let value = std::env::var(name).ok()?;
    value.split(':').next().filter(|first| !first.is_empty()).map(PathBuf::from)
}
