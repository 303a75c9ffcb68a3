//! `[[output]]`: relays and LEDs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pin::{Active, PinName};

/// `[[output]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputPin {
    /// Unique among outputs.
    pub name: String,
    /// Its pin.
    pub pin: PinName,
    /// Polarity.
    pub active: Active,
    /// Relay or LED.
    pub kind: OutputKind,
    /// Outputs that share this word are never on together: the two doors of a lock, a gate's open and close.
    pub exclusive: Option<String>,
}

impl OutputPin {
    /// Whether one of the two must be off while the other one is on.
    pub fn excludes(&self, other: &Self) -> bool {
        let names = |one: &Self, other: &Self| one.exclusive.as_ref().is_some_and(|word| *word == other.name);
        let share = self.exclusive.is_some() && self.exclusive == other.exclusive;
        share || names(self, other) || names(other, self)
    }
}

/// What hangs on an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OutputKind {
    /// A strike, a gate, a light.
    Relay {
        /// Never on for longer, whatever asks.
        max_on: Duration,
    },
    /// A lamp that shows the station's state.
    Led {
        /// State and pattern.
        show: Vec<(ShownState, Drive)>,
    },
}

/// States that a LED can show, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ShownState {
    /// A relay is on.
    DoorOpen,
    /// A call is established.
    Talking,
    /// A call is being set up, either way.
    Calling,
    /// No session, or no sound card.
    Fault,
    /// All is well.
    Ready,
}

/// What an output does until told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Drive {
    /// At rest.
    #[default]
    Off,
    /// Active.
    On,
    /// LEDs: 500 ms on, 500 ms off.
    Blink,
    /// LEDs: two short flashes a second.
    Double,
    /// LEDs: a short flash every two seconds.
    Heartbeat,
}

impl Drive {
    /// Steps of the pattern, each a level and how long it lasts; empty for a steady output.
    pub fn steps(self) -> &'static [(bool, Duration)] {
        const BLINK: [(bool, Duration); 2] = [(true, Duration::from_millis(500)), (false, Duration::from_millis(500))];
        const DOUBLE: [(bool, Duration); 4] = [
            (true, Duration::from_millis(100)),
            (false, Duration::from_millis(150)),
            (true, Duration::from_millis(100)),
            (false, Duration::from_millis(650)),
        ];
        const HEARTBEAT: [(bool, Duration); 2] =
            [(true, Duration::from_millis(80)), (false, Duration::from_millis(1920))];
        match self {
            Self::Off | Self::On => &[],
            Self::Blink => &BLINK,
            Self::Double => &DOUBLE,
            Self::Heartbeat => &HEARTBEAT,
        }
    }
}

/// A change of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputChange {
    /// Active; a relay not for longer than `max_on_ms`.
    On,
    /// At rest.
    Off,
    /// Active for this long.
    Pulse(Duration),
}
