//! `[[button]]` and `[[sensor]]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::Trigger;
use super::device_class::DeviceClass;
use super::pin::InputPin;

/// A button (docs/configuration.md, "`[[button]]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Button {
    /// Unique among buttons.
    pub name: String,
    pub input: InputPin,
    pub press: Trigger,
    /// If it is set, a short press takes effect on release.
    pub long_press: Option<Trigger>,
    /// The least length of a long press (`long_ms`).
    pub long: Duration,
    /// If it is set, a single press takes effect only after `double`.
    pub double_press: Option<Trigger>,
    /// The time within which a second press makes a double press (`double_ms`).
    pub double: Duration,
    pub again: Again,
}

impl Button {
    /// Whether any gesture at this button, at any hour, calls this number.
    pub fn calls(&self, number: &str) -> bool {
        let triggers = [Some(&self.press), self.long_press.as_ref(), self.double_press.as_ref()];
        triggers.into_iter().flatten().any(|trigger| trigger.calls(number))
    }
}

/// What a press of a button does while the button's own call is up (`again`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Again {
    /// The visitor gets the sign for a press again; nothing else happens.
    Ignore,
    Hangup,
}

/// A sensor, such as a door contact (docs/configuration.md, "`[[sensor]]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensor {
    /// Unique among sensors.
    pub name: String,
    pub input: InputPin,
    /// Runs on the edge to active.
    pub opened: Trigger,
    /// Runs on the edge to inactive.
    pub closed: Trigger,
    #[serde(default)]
    pub device_class: DeviceClass,
}
