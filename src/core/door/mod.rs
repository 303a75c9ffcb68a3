//! The door: buttons, sensors, relays and LEDs, and the faults of their pins.
//!
//! [`Door`] is the state of all pins. It turns the edges of inputs into [`DoorEvent`]s, for which the station runs
//! rules, and it drives the outputs by effects.
//!
//! - Inputs: `inputs` routes edges to `debounce`, which decides when a level counts. For buttons, `gesture` makes
//!   presses, long presses and double presses of the levels.
//! - Outputs: `outputs` decides who may drive them; `output` has the times of one output.
//! - Doors: `watches` knows who may open them, and `watch` judges the openings of one door.
//! - `faults` reports pins that do not work, `status` describes all pins.

mod debounce;
mod faults;
mod gesture;
mod inputs;
mod output;
mod outputs;
mod status;
mod watch;
mod watches;

use serde::{Deserialize, Serialize};

use debounce::Debounce;
use faults::PinFaults;
use gesture::ButtonInput;
use output::OutputState;
use watch::DoorWatch;

use super::api::Gesture;
use super::deadline::Deadline;
use crate::config::{ButtonIndex, Config, SensorIndex};

/// The state of all pins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Door {
    buttons: Vec<ButtonInput>,
    sensors: Vec<Debounce>,
    outputs: Vec<OutputState>,
    #[serde(default)]
    watches: Vec<DoorWatch>,
    faults: PinFaults,
}

/// What has happened at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoorEvent {
    /// Somebody pressed a button.
    Gesture(ButtonIndex, Gesture),
    /// A sensor changed. `true`: it opened.
    Sensor(SensorIndex, bool),
}

impl Door {
    /// The door with all pins at rest.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            buttons: vec![ButtonInput::of(&config.gpio); config.buttons.len()],
            sensors: vec![Debounce::of(&config.gpio); config.sensors.len()],
            outputs: vec![OutputState::default(); config.outputs.len()],
            watches: vec![DoorWatch::default(); config.doors.len()],
            faults: PinFaults::new(config),
        }
    }

    /// When [`Self::settle_inputs`], [`Self::run_deadlines`] or [`Self::settle_watches`] has something to do.
    pub(super) fn next_deadline(&self, config: &Config) -> Option<Deadline> {
        Deadline::earliest(
            self.input_deadlines(config).chain(self.output_deadlines()).chain(self.watch_deadlines(config)),
        )
    }
}
