//! What pins tell the event loop.

use std::time::Duration;

use crate::core::{AnyPin, Input, Pin};

/// One thing that a pin did.
#[derive(Debug, Clone, PartialEq)]
pub struct PinReport {
    /// For the core.
    pub input: Input,
    /// When, by CLOCK_MONOTONIC, where the kernel said so.
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
