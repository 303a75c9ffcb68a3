//! `[gpio]` and the electrical side of a pin.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[gpio]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpioConfig {
    /// Where the pins are.
    pub backend: GpioBackend,
    /// `chip`: name, label or path; `gpiochip0` where absent.
    pub chip: Option<String>,
}

/// `gpio.backend`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GpioBackend {
    /// The character device, and on a Raspberry Pi the chip behind its header, whatever its number.
    Auto,
    /// The Linux GPIO character device.
    Cdev,
    /// A Raspberry Pi's registers.
    Rppal,
    /// Pins in memory, driven by commands and the front panel.
    Simulated,
}

/// A pin by offset or by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PinName {
    /// Offset on the chip, the BCM number on a Raspberry Pi.
    Offset(u32),
    /// Line name.
    Name(String),
}

/// `active`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Active {
    /// Pressed, or on, when the pin is low.
    Low,
    /// Pressed, or on, when the pin is high.
    High,
}

/// `pull`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pull {
    /// To the supply.
    Up,
    /// To ground.
    Down,
    /// None.
    Off,
}

/// Electrical side of an input pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPin {
    /// Which.
    pub pin: PinName,
    /// Polarity.
    pub active: Active,
    /// Bias.
    pub pull: Pull,
    /// A level counts once it has lasted so long.
    pub debounce: Duration,
    /// `min_pulse_ms`: a press, or an opening, that is shorter is a spike on the wire.
    pub min_pulse: Duration,
}
