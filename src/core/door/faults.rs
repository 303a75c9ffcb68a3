//! The faults of pins. Each change is reported once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Door;
use super::gesture::{ButtonInput, STUCK_AFTER};
use crate::config::{ButtonIndex, Config, OutputIndex, SensorIndex};
use crate::core::api::{AnyPin, Fact, Pin};
use crate::core::context::Context;
use crate::core::time::Time;

/// The fault of each pin, as the adapter reported it to us and as we reported it to people.
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
            AnyPin::Input(Pin::Button(ButtonIndex(index))) => self.buttons.get_mut(index),
            AnyPin::Input(Pin::Sensor(SensorIndex(index))) => self.sensors.get_mut(index),
            AnyPin::Output(OutputIndex(index)) => self.outputs.get_mut(index),
        }
    }

    /// The fault of a pin, as it was reported last.
    pub(super) fn told(&self, pin: AnyPin) -> Option<String> {
        let fault = match pin {
            AnyPin::Input(Pin::Button(ButtonIndex(index))) => self.buttons.get(index),
            AnyPin::Input(Pin::Sensor(SensorIndex(index))) => self.sensors.get(index),
            AnyPin::Output(OutputIndex(index)) => self.outputs.get(index),
        };
        fault.and_then(|fault| fault.told.clone())
    }

    /// Whether any pin has a fault.
    pub(super) fn any(&self) -> bool {
        [&self.buttons, &self.sensors, &self.outputs].into_iter().flatten().any(|fault| fault.fault.is_some())
    }
}

impl Door {
    /// An adapter cannot use a pin, or can use it again.
    pub(in crate::core) fn pin_fault(&mut self, pin: AnyPin, fault: Option<String>, now: Time) {
        // A button that cannot be read is not pressed. When the pin is opened again, its level counts anew.
        if let (AnyPin::Input(Pin::Button(ButtonIndex(index))), true) = (pin, fault.is_some())
            && let Some(input) = self.buttons.get_mut(index)
        {
            let by_kernel = input.debounce.is_done_by_kernel();
            input.found(false, by_kernel, now);
        }
        if let Some(known) = self.faults.of(pin) {
            known.fault = fault;
        }
    }

    /// Whether a pin has a fault or a button is stuck.
    pub(in crate::core) fn has_fault(&self) -> bool {
        self.faults.any() || self.buttons.iter().any(ButtonInput::is_stuck)
    }

    /// Reports every pin that has become faulty, or works again.
    pub(in crate::core) fn report_faults(&mut self, cx: &mut Context) {
        let config = Arc::clone(&cx.config);
        let buttons = config.buttons.iter().enumerate();
        let buttons = buttons.map(|(index, button)| (Pin::Button(ButtonIndex(index)), &button.name));
        let sensors = config.sensors.iter().enumerate();
        let sensors = sensors.map(|(index, sensor)| (Pin::Sensor(SensorIndex(index)), &sensor.name));
        let inputs = buttons.chain(sensors).map(|(pin, name)| (AnyPin::Input(pin), name));
        let outputs = config.outputs.iter().enumerate();
        let outputs = outputs.map(|(index, output)| (AnyPin::Output(OutputIndex(index)), &output.name));
        for (pin, name) in inputs.chain(outputs) {
            let stuck = match pin {
                AnyPin::Input(Pin::Button(ButtonIndex(index))) => {
                    self.buttons.get(index).is_some_and(ButtonInput::is_stuck)
                }
                AnyPin::Input(Pin::Sensor(_)) | AnyPin::Output(_) => false,
            };
            let Some(known) = self.faults.of(pin) else { continue };
            if let Some(change) = known.change(stuck) {
                cx.fact(Fact::Pin { name: name.clone(), fault: change });
            }
        }
    }
}

impl PinFault {
    /// The fault that must be reported now, or that it is over; `None` if nothing has changed.
    fn change(&mut self, stuck: bool) -> Option<Option<String>> {
        if self.fault.is_none() && self.told.is_none() && !stuck {
            return None;
        }
        let seconds = STUCK_AFTER.as_secs();
        let stuck = stuck.then(|| format!("stuck: it has been pressed for more than {seconds} s; it calls nobody"));
        let now = self.fault.clone().or(stuck);
        // A fault that only changes its reason is shown in the status, but not reported again.
        let changed = now.is_some() != self.told.is_some();
        self.told.clone_from(&now);
        changed.then_some(now)
    }
}
