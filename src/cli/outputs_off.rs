//! `callbox outputs-off`: every relay and LED to rest, by nobody's grace but the kernel's.
//!
//! Kernels differ in what becomes of a line whose holder died: some put it back to an input, a Raspberry Pi's
//! goes on driving it. systemd runs this before the daemon and after it, however it ended.

use std::path::Path;

use super::{Exit, complain, load};
use crate::config::GpioBackend;
use crate::gpio::put_outputs_to_rest;

pub(super) fn outputs_off(path: &Path) -> Exit {
    let config = match load(path) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if config.gpio.backend == GpioBackend::Simulated {
        return Exit::Done;
    }
    let mut result = Exit::Done;
    for (name, outcome) in put_outputs_to_rest(&config) {
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
