//! `callbox outputs-off`: switches every relay and LED to rest, without help from a running daemon.
//!
//! Kernels differ in what happens to a GPIO line whose holder died: some make it an input again, and a Raspberry Pi's
//! keeps driving it (docs/workarounds.md, "kernel: a released line may keep its level"). So systemd runs this command
//! before the daemon starts and after it has stopped for any reason.

use std::path::Path;

use super::held_outputs::{HELD_OUTPUTS, HeldOutputs, first_folder};
use super::output::{say, say_error};
use super::{Exit, complain, environment};
use crate::config::{GpioBackend, GpioConfig, OutputPin, load_outputs};
use crate::gpio::put_outputs_to_rest;

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

/// Switches outputs to rest, and returns whether all of them are at rest now.
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
