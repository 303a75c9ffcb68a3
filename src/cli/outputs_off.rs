//! `callbox outputs-off`: every relay and LED to rest, by nobody's grace but the kernel's.
//!
//! Kernels differ in what becomes of a line whose holder died: some put it back to an input, a Raspberry Pi's
//! goes on driving it. systemd runs this before the daemon and after it, however it ended.

use std::path::Path;

use super::{Exit, complain, environment};
use crate::config::{GpioBackend, load_outputs};
use crate::gpio::put_outputs_to_rest;

pub(super) fn outputs_off(path: &Path) -> Exit {
    let found = match load_outputs(path, &environment()) {
        Ok(found) => found,
        Err(errors) => {
            eprintln!("{errors}");
            return Exit::Usage;
        }
    };
    let mut result = Exit::Done;
    for error in &found.errors {
        complain(error);
        result = Exit::Usage;
    }
    if found.gpio.backend == GpioBackend::Simulated {
        return result;
    }
    for (name, outcome) in put_outputs_to_rest(&found.gpio, &found.outputs) {
        match outcome {
            Ok(()) => println!("{name}: at rest"),
            Err(error) => {
                complain(format!("the output \"{name}\": {error}"));
                result = Exit::Failed;
            }
        }
    }
    result
}
