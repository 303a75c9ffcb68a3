//! The door: buttons, sensors, relays and LEDs, and what is wrong with their pins.
//!
//! [`Door`] turns edges into [`DoorEvent`]s, which the rules act on, and changes of outputs into effects.

mod debounce;
mod faults;
mod gesture;
mod inputs;
mod output;
mod outputs;
mod status;

use serde::{Deserialize, Serialize};

use debounce::Debounce;
use faults::PinFaults;
use gesture::ButtonInput;
use output::OutputState;

use super::api::Gesture;
use super::deadline::Deadline;
use crate::config::{ButtonIndex, Config, SensorIndex};

/// The state of all pins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Door {
    buttons: Vec<ButtonInput>,
    sensors: Vec<Debounce>,
    outputs: Vec<OutputState>,
    faults: PinFaults,
}

/// What somebody or something has done at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoorEvent {
    /// A finger on a button.
    Gesture(ButtonIndex, Gesture),
    /// A sensor changed; `true`: opened.
    Sensor(SensorIndex, bool),
}

impl Door {
    /// All pins at rest.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            buttons: vec![ButtonInput::of(&config.gpio); config.buttons.len()],
            sensors: vec![Debounce::of(&config.gpio); config.sensors.len()],
            outputs: vec![OutputState::default(); config.outputs.len()],
            faults: PinFaults::new(config),
        }
    }

    /// When [`Self::settle_inputs`] or [`Self::settle_outputs`] has something to do.
    pub(super) fn next_deadline(&self, config: &Config) -> Option<Deadline> {
        Deadline::earliest(self.input_deadlines(config).chain(self.output_deadlines()))
    }
}
