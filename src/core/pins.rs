//! Pins: edges and levels become gestures and actions, and what is wrong with a pin is told once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::by::By;
use super::call::{Origin, Source};
use super::contact::Settling;
use super::fact::Fact;
use super::gesture::{GestureTimes, STUCK_AFTER};
use super::input::{AnyPin, Pin};
use super::station::Station;
use super::time::Time;
use crate::config::{Button, Config, OutputIndex};

/// What the adapters say of each pin, and what was told of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct PinFaults {
    buttons: Vec<PinFault>,
    sensors: Vec<PinFault>,
    outputs: Vec<PinFault>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct PinFault {
    fault: Option<String>,
    told: Option<String>,
}

impl PinFaults {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            buttons: vec![PinFault::default(); config.buttons.len()],
            sensors: vec![PinFault::default(); config.sensors.len()],
            outputs: vec![PinFault::default(); config.outputs.len()],
        }
    }

    fn of(&mut self, pin: AnyPin) -> Option<&mut PinFault> {
        match pin {
            AnyPin::Input(Pin::Button(index)) => self.buttons.get_mut(index),
            AnyPin::Input(Pin::Sensor(index)) => self.sensors.get_mut(index),
            AnyPin::Output(OutputIndex(index)) => self.outputs.get_mut(index),
        }
    }

    /// As it was told last.
    pub(super) fn told(&self, pin: AnyPin) -> Option<String> {
        let fault = match pin {
            AnyPin::Input(Pin::Button(index)) => self.buttons.get(index),
            AnyPin::Input(Pin::Sensor(index)) => self.sensors.get(index),
            AnyPin::Output(OutputIndex(index)) => self.outputs.get(index),
        };
        fault.and_then(|fault| fault.told.clone())
    }

    /// Anything is wrong.
    pub(super) fn any(&self) -> bool {
        [&self.buttons, &self.sensors, &self.outputs].into_iter().flatten().any(|fault| fault.fault.is_some())
    }
}

impl Station {
    pub(super) fn edge(&mut self, pin: Pin, active: bool) {
        let now = self.now.at;
        match pin {
            Pin::Button(index) => {
                if let Some(input) = self.buttons.get_mut(index) {
                    input.contact.edge(active, now);
                }
            }
            Pin::Sensor(index) => {
                if let Some(contact) = self.sensors.get_mut(index) {
                    contact.edge(active, now);
                }
            }
        }
        self.settle_pins();
    }

    pub(super) fn pin_found(&mut self, pin: Pin, active: bool, debounced: bool) {
        let now = self.now.at;
        match pin {
            Pin::Button(index) => {
                if let Some(input) = self.buttons.get_mut(index) {
                    input.found(active, debounced, now);
                }
            }
            Pin::Sensor(index) => {
                if let Some(contact) = self.sensors.get_mut(index) {
                    contact.found(active, debounced, now);
                }
            }
        }
        self.settle_pins();
    }

    pub(super) fn pin_fault(&mut self, pin: AnyPin, fault: Option<String>) {
        // A finger that nobody sees any more has not pressed; the level at the reopening decides anew.
        if let (AnyPin::Input(Pin::Button(index)), true) = (pin, fault.is_some())
            && let Some(input) = self.buttons.get_mut(index)
        {
            let by_kernel = input.contact.is_debounced_by_kernel();
            input.found(false, by_kernel, self.now.at);
        }
        if let Some(known) = self.pin_faults.of(pin) {
            known.fault = fault;
        }
    }

    pub(super) fn pins_deadline(&self) -> Option<Time> {
        let config = &self.config;
        let buttons =
            config.buttons.iter().zip(&self.buttons).filter_map(|(button, input)| {
                input.deadline(gesture_times(button), input.contact.settling(&button.input))
            });
        let sensors = config
            .sensors
            .iter()
            .zip(&self.sensors)
            .filter_map(|(sensor, contact)| contact.deadline(contact.settling(&sensor.input)));
        buttons.chain(sensors).min()
    }

    pub(super) fn settle_pins(&mut self) {
        let (config, now) = (Arc::clone(&self.config), self.now.at);
        for (index, button) in config.buttons.iter().enumerate() {
            let gesture = self.buttons.get_mut(index).and_then(|input| {
                let settling: Settling = input.contact.settling(&button.input);
                input.settle(gesture_times(button), settling, now)
            });
            if let Some(gesture) = gesture {
                // Refused or put off: told by then.
                let by = By::Finger { button: button.name.clone() };
                let _ = self.gesture(index, gesture, by);
            }
        }
        for (index, sensor) in config.sensors.iter().enumerate() {
            let moved = self.sensors.get_mut(index).and_then(|contact| {
                let settling = contact.settling(&sensor.input);
                contact.settle(settling, now)
            });
            if let Some(opened) = moved {
                self.fact(Fact::Sensor { sensor: sensor.name.clone(), opened });
                let origin = Origin { source: Source::Sensor(index), by: By::Sensor { sensor: sensor.name.clone() } };
                // What was to run only while the other level lasts.
                self.delayed.retain(|delayed| !(delayed.lasting && delayed.origin.source == origin.source));
                let _ = self.run_trigger(if opened { &sensor.opened } else { &sensor.closed }, &origin);
            }
        }
    }

    /// A pin that is faulty, or a button that is stuck.
    pub(super) fn has_pin_fault(&self) -> bool {
        self.pin_faults.any() || self.buttons.iter().any(super::gesture::ButtonInput::is_stuck)
    }

    /// One fact for each change.
    pub(super) fn tell_pins(&mut self) {
        let config = Arc::clone(&self.config);
        let buttons = config.buttons.iter().enumerate().map(|(index, button)| (Pin::Button(index), &button.name));
        let sensors = config.sensors.iter().enumerate().map(|(index, sensor)| (Pin::Sensor(index), &sensor.name));
        let outputs = config.outputs.iter().enumerate();
        let outputs = outputs.map(|(index, output)| (AnyPin::Output(OutputIndex(index)), &output.name));
        let inputs = buttons.chain(sensors).map(|(pin, name)| (AnyPin::Input(pin), name));
        for (pin, name) in inputs.chain(outputs) {
            let stuck = match pin {
                AnyPin::Input(Pin::Button(index)) => {
                    self.buttons.get(index).is_some_and(super::gesture::ButtonInput::is_stuck)
                }
                _ => false,
            };
            let Some(known) = self.pin_faults.of(pin) else { continue };
            if known.fault.is_none() && known.told.is_none() && !stuck {
                continue;
            }
            let seconds = STUCK_AFTER.as_secs();
            let stuck = stuck.then(|| format!("stuck: it is pressed for more than {seconds} s; it calls nobody"));
            let now = known.fault.clone().or(stuck);
            // An attempt that fails for another reason is only in the status.
            let changed = now.is_some() != known.told.is_some();
            known.told.clone_from(&now);
            if changed {
                self.fact(Fact::Pin { name: name.clone(), fault: now });
            }
        }
    }
}

fn gesture_times(button: &Button) -> GestureTimes {
    GestureTimes {
        long: button.long_press.is_some().then_some(button.long),
        double: button.double_press.is_some().then_some(button.double),
    }
}
