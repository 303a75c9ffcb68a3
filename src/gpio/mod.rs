//! Pins behind one trait: those of the Linux character device, those of a Raspberry Pi's registers, or simulated ones.
//!
//! Inputs are reported as inputs of the core, with the kernel's time stamp if there is one. A pin that cannot be used
//! is reported as a fault once, and is tried again as long as the station runs.

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

/// The start of the consumer label that the kernel shows for our lines (gpioinfo(1)). A colon and the configured name
/// follow.
const CONSUMER: &str = "callbox";

/// The pins of a station. Levels are logical: the backend applies the configured `active`.
pub trait Pins: Send + Sync {
    /// Makes the n-th `[[output]]` active or puts it to rest. Must not block.
    fn set(&self, output: usize, active: bool);

    /// Moves an input, as a finger or a door would. Returns `false` if the backend cannot do this, because its pins are
    /// real.
    fn move_input(&self, pin: Pin, active: bool) -> bool;

    /// The name of the backend, for people.
    fn backend(&self) -> &'static str;
}

/// Takes the configured pins and puts all outputs to rest. Inputs and faults go to `reports`.
pub fn take_pins(config: &Arc<Config>, reports: mpsc::Sender<PinReport>) -> Arc<dyn Pins> {
    match config.gpio.backend {
        GpioBackend::Simulated => Arc::new(SimulatedPins::new(config.outputs.len(), reports)),
        GpioBackend::Rppal => Arc::new(raspberry::RaspberryPins::take(Arc::clone(config), reports)),
        // Also on a Raspberry Pi (docs/workarounds.md, "rppal: registers do not say who holds a pin").
        GpioBackend::Auto | GpioBackend::Cdev => Arc::new(cdev::CdevPins::take(Arc::clone(config), reports)),
    }
}

/// The consumer label for the line of an input or an output.
fn consumer(name: &str) -> String {
    // docs/workarounds.md, "kernel: consumer names have 31 bytes".
    let mut consumer: String = format!("{CONSUMER}:{name}");
    while consumer.len() > 31 {
        consumer.pop();
    }
    consumer
}
