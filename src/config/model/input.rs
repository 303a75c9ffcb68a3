//! `[[button]]` and `[[sensor]]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::{Action, Trigger};
use super::pin::InputPin;

/// `[[button]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Button {
    /// Unique among buttons.
    pub name: String,
    /// Its pin.
    pub input: InputPin,
    /// `press`
    pub press: Trigger,
    /// `long_press`; a press counts on release where it is set.
    pub long_press: Option<Trigger>,
    /// `long_ms`
    pub long: Duration,
    /// `double_press`; a press counts after `double_ms` where it is set.
    pub double_press: Option<Trigger>,
    /// `double_ms`
    pub double: Duration,
    /// A press while its own call is up.
    pub again: Again,
}

impl Button {
    /// Whether any gesture at it, at any hour, calls this number.
    pub fn calls(&self, number: &str) -> bool {
        let triggers = [Some(&self.press), self.long_press.as_ref(), self.double_press.as_ref()];
        let mut steps = triggers.into_iter().flatten().flat_map(|trigger| &trigger.rules).flat_map(|rule| &rule.steps);
        steps.any(
            |step| matches!(&step.action, Action::Call(call) if call.numbers.iter().any(|called| called == number)),
        )
    }
}

/// `again`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Again {
    /// Give the sign again.
    Ignore,
    /// Hang up.
    Hangup,
}

/// `[[sensor]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensor {
    /// Unique among sensors.
    pub name: String,
    /// Its pin.
    pub input: InputPin,
    /// On the edge to active.
    pub opened: Trigger,
    /// On the edge back.
    pub closed: Trigger,
}
