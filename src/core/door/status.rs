//! The status of all pins.

use super::Door;
use super::debounce::Debounce;
use crate::config::{ButtonIndex, Config, OutputIndex, SensorIndex};
use crate::core::api::{AnyPin, OutputStatus, Pin, PinStatus};

impl Door {
    pub(in crate::core) fn output_status(&self, config: &Config) -> Vec<OutputStatus> {
        let outputs = config.outputs.iter().zip(&self.outputs).enumerate();
        let outputs = outputs.map(|(index, (pin, output))| OutputStatus {
            fault: self.faults.told(AnyPin::Output(OutputIndex(index))),
            name: pin.name.clone(),
            kind: if pin.kind.is_relay() { "relay" } else { "led" }.into(),
            drive: output.drive(),
        });
        outputs.collect()
    }

    pub(in crate::core) fn button_status(&self, config: &Config) -> Vec<PinStatus> {
        let buttons = config.buttons.iter().zip(&self.buttons).enumerate();
        let buttons = buttons.map(|(index, (button, input))| {
            self.pin_status(Pin::Button(ButtonIndex(index)), &button.name, &input.debounce)
        });
        buttons.collect()
    }

    pub(in crate::core) fn sensor_status(&self, config: &Config) -> Vec<PinStatus> {
        let sensors = config.sensors.iter().zip(&self.sensors).enumerate();
        let sensors = sensors.map(|(index, (sensor, debounce))| {
            self.pin_status(Pin::Sensor(SensorIndex(index)), &sensor.name, debounce)
        });
        sensors.collect()
    }

    fn pin_status(&self, pin: Pin, name: &str, debounce: &Debounce) -> PinStatus {
        let (edges, bounces) = debounce.statistics();
        PinStatus {
            name: name.to_owned(),
            active: debounce.is_active(),
            fault: self.faults.told(AnyPin::Input(pin)),
            edges,
            bounces,
            debounced_by_kernel: debounce.is_done_by_kernel(),
        }
    }
}
