//! `[gpio]`, and the electrical properties of a pin.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The table `[gpio]` (docs/configuration.md, "`[gpio]`").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpioConfig {
    pub backend: GpioBackend,
    /// Name, label or path of the chip. `None`: `gpiochip0`.
    pub chip: Option<String>,
}

/// Where the pins are (`gpio.backend`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GpioBackend {
    /// The Linux GPIO character device; on a Raspberry Pi the chip behind its header, whatever number that chip has.
    Auto,
    /// The Linux GPIO character device.
    Cdev,
    /// The registers of a Raspberry Pi.
    Rppal,
    /// Pins in memory, driven by commands and the front panel.
    Simulated,
}

/// A pin by its offset or by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PinName {
    /// The offset on the chip, which is the BCM number on a Raspberry Pi.
    Offset(u32),
    /// The name of the GPIO line.
    Name(String),
}

/// The level at which a pin is active (`active`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Active {
    /// Pressed, open or on when the pin is low.
    Low,
    /// Pressed, open or on when the pin is high.
    High,
}

/// The pull resistor of an input (`pull`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pull {
    /// To the supply.
    Up,
    /// To ground.
    Down,
    /// No resistor.
    Off,
}

/// The electrical properties of an input pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPin {
    pub pin: PinName,
    pub active: Active,
    pub pull: Pull,
    /// A level counts only after it has lasted for this time.
    pub debounce: Duration,
    /// A press or an opening that is shorter than this counts as interference on the wire.
    pub min_pulse: Duration,
}
