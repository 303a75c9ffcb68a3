//! Edges and levels of buttons and sensors.

use super::gesture::GestureTimes;
use super::{Door, DoorEvent};
use crate::config::{Button, ButtonIndex, Config, SensorIndex};
use crate::core::api::Pin;
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;

impl Door {
    /// An input pin changed its level.
    pub(in crate::core) fn edge(&mut self, pin: Pin, active: bool, now: Time) {
        match pin {
            Pin::Button(ButtonIndex(index)) => {
                if let Some(input) = self.buttons.get_mut(index) {
                    input.debounce.edge(active, now);
                }
            }
            Pin::Sensor(SensorIndex(index)) => {
                if let Some(debounce) = self.sensors.get_mut(index) {
                    debounce.edge(active, now);
                }
            }
        }
    }

    /// An input pin was opened, and this is its level. `by_kernel`: the kernel debounces the pin.
    pub(in crate::core) fn level(&mut self, pin: Pin, active: bool, by_kernel: bool, now: Time) {
        match pin {
            Pin::Button(ButtonIndex(index)) => {
                if let Some(input) = self.buttons.get_mut(index) {
                    input.found(active, by_kernel, now);
                }
            }
            Pin::Sensor(SensorIndex(index)) => {
                if let Some(debounce) = self.sensors.get_mut(index) {
                    debounce.found(active, by_kernel, now);
                }
            }
        }
    }

    /// What has happened at the door by now: sensors whose level has lasted, and gestures that are complete.
    pub(in crate::core) fn settle_inputs(&mut self, config: &Config, now: Time) -> Vec<DoorEvent> {
        let mut events = Vec::new();
        for ((index, button), input) in config.buttons.iter().enumerate().zip(&mut self.buttons) {
            let settling = input.debounce.settling(&button.input);
            let gesture = input.settle(gesture_times(button), settling, now);
            events.extend(gesture.map(|gesture| DoorEvent::Gesture(ButtonIndex(index), gesture)));
        }
        for ((index, sensor), debounce) in config.sensors.iter().enumerate().zip(&mut self.sensors) {
            let settling = debounce.settling(&sensor.input);
            let moved = debounce.settle(settling, now);
            events.extend(moved.map(|opened| DoorEvent::Sensor(SensorIndex(index), opened)));
        }
        events
    }

    pub(super) fn input_deadlines(&self, config: &Config) -> impl Iterator<Item = Deadline> {
        let buttons = config.buttons.iter().zip(&self.buttons).filter_map(|(button, input)| {
            input.deadline(gesture_times(button), input.debounce.settling(&button.input))
        });
        let sensors = config.sensors.iter().zip(&self.sensors);
        let sensors = sensors.filter_map(|(sensor, debounce)| debounce.deadline(debounce.settling(&sensor.input)));
        buttons.chain(sensors).map(|at| Deadline::new(at, DeadlineReason::Debounce))
    }
}

fn gesture_times(button: &Button) -> GestureTimes {
    GestureTimes {
        long: button.long_press.is_some().then_some(button.long),
        double: button.double_press.is_some().then_some(button.double),
    }
}
