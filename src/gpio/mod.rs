//! Pins behind one trait: the Linux character device, a Raspberry Pi's registers, or simulated.
//!
//! Inputs are reported as core inputs, with the kernel's time where there is one; a pin that cannot be used
//! is reported as a fault once, and tried again for as long as the station runs.

mod board;
mod cdev;
mod find;
mod player;
mod raspberry;
mod report;
mod simulated;

use std::sync::Arc;

use tokio::sync::mpsc;

pub use board::raspberry_pi_model;
pub use cdev::inspect_input;
pub use cdev::put_outputs_to_rest;
pub use find::{ChipDescription, LineDescription, PinError, chips, inspect};
pub use player::OutputPlayer;
pub use report::PinReport;
pub use simulated::SimulatedPins;

use crate::config::{Config, GpioBackend};
use crate::core::Pin;

/// The consumer that the kernel shows for a line of ours (gpioinfo(1)), with the name behind it.
const CONSUMER: &str = "callbox";

/// The pins of a station. Levels are logical: `active` has been applied by the backend.
pub trait Pins: Send + Sync {
    /// Makes the n-th `[[output]]` active or puts it to rest. Must not wait.
    fn set(&self, output: usize, active: bool);

    /// Moves an input, as a finger or a door would; `false` where only fingers and doors can.
    fn move_input(&self, pin: Pin, active: bool) -> bool;

    /// What drives them, for people.
    fn backend(&self) -> &'static str;
}

/// Takes the pins of the configuration, all outputs at rest. Inputs and faults go to `reports`.
pub fn take_pins(config: &Arc<Config>, reports: mpsc::Sender<PinReport>) -> Arc<dyn Pins> {
    match config.gpio.backend {
        GpioBackend::Simulated => Arc::new(SimulatedPins::new(config.outputs.len(), reports)),
        GpioBackend::Rppal => Arc::new(raspberry::RaspberryPins::take(Arc::clone(config), reports)),
        GpioBackend::Auto | GpioBackend::Cdev => Arc::new(cdev::CdevPins::take(Arc::clone(config), reports)),
    }
}

/// What an output's or input's line is called at the kernel.
fn consumer(name: &str) -> String {
    // The kernel keeps 31 bytes.
    let mut consumer: String = format!("{CONSUMER}:{name}");
    while consumer.len() > 31 {
        consumer.pop();
    }
    consumer
}
