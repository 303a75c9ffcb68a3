//! What pins report to the event loop.

use std::time::Duration;

use crate::core::{AnyPin, Input, Pin};

/// An edge, a level or a fault of a pin.
#[derive(Debug, Clone, PartialEq)]
pub struct PinReport {
    pub input: Input,
    /// The time by CLOCK_MONOTONIC, if the kernel reported it.
    pub at: Option<Duration>,
}

impl PinReport {
    pub(super) fn edge(pin: Pin, active: bool, at: Option<Duration>) -> Self {
        Self { input: Input::Edge { pin, active }, at }
    }

    pub(super) fn level(pin: Pin, active: bool, debounced: bool) -> Self {
        Self { input: Input::Level { pin, active, debounced }, at: None }
    }

    pub(super) fn fault(pin: AnyPin, fault: Option<String>) -> Self {
        Self { input: Input::PinFault { pin, fault }, at: None }
    }
}
