//! `callbox outputs-off`: every relay and LED to rest, by nobody's grace but the kernel's.
//!
//! Kernels differ in what becomes of a line whose holder died: some put it back to an input, a Raspberry Pi's
//! goes on driving it. systemd runs this before the daemon and after it, however it ended.

use std::path::Path;

use super::output::{say, say_error};
use super::run::first_folder;
use super::{Exit, complain, environment};
use crate::config::{GpioBackend, GpioConfig, OutputPin, load_outputs};
use crate::gpio::put_outputs_to_rest;

/// In `$RUNTIME_DIRECTORY`, written by the daemon.
pub(super) const HELD_OUTPUTS: &str = "outputs.json";

/// The outputs that the daemon drives, whatever the configuration has become since.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct HeldOutputs {
    pub(super) gpio: GpioConfig,
    pub(super) outputs: Vec<OutputPin>,
}

pub(super) fn outputs_off(path: &Path) -> Exit {
    let mut result = Exit::Done;
    let held = first_folder("RUNTIME_DIRECTORY").and_then(|folder| read_held(&folder.join(HELD_OUTPUTS)));
    if let Some(held) = &held
        && !rest(&held.gpio, &held.outputs)
    {
        result = Exit::Failed;
    }
    let found = match load_outputs(path, &environment()) {
        Ok(found) => found,
        Err(errors) => {
            say_error!("{errors}");
            return Exit::Usage;
        }
    };
    for error in &found.errors {
        complain(error);
        result = Exit::Usage;
    }
    let same = held.is_some_and(|held| held.gpio == found.gpio && held.outputs == found.outputs);
    if !same && !rest(&found.gpio, &found.outputs) {
        result = Exit::Failed;
    }
    result
}

fn read_held(path: &Path) -> Option<HeldOutputs> {
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

/// Whether all of them are at rest.
fn rest(gpio: &GpioConfig, outputs: &[OutputPin]) -> bool {
    if gpio.backend == GpioBackend::Simulated {
        return true;
    }
    let mut all = true;
    for (name, outcome) in put_outputs_to_rest(gpio, outputs) {
        match outcome {
            Ok(()) => say!("{name}: at rest"),
            Err(error) => {
                complain(format!("the output \"{name}\": {error}"));
                all = false;
            }
        }
    }
    all
}
