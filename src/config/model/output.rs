//! `[[output]]`: relays and LEDs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pin::{Active, PinName};

/// A relay or LED pin (docs/configuration.md, "`[[output]]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputPin {
    /// Unique among outputs.
    pub name: String,
    pub pin: PinName,
    pub active: Active,
    pub kind: OutputKind,
    /// The name of another output, or a word that several outputs share. Such outputs are never on together: the two
    /// doors of a lock, or a gate's open and close.
    pub exclusive: Option<String>,
    /// The length of a pulse that somebody asks for without naming one (`pulse_ms`).
    #[serde(default = "default_pulse")]
    pub pulse: Duration,
    /// Systems of the house show it as a button that pulses it, and not as a switch.
    #[serde(default = "default_momentary")]
    pub momentary: bool,
}

/// The default of `pulse_ms`.
pub const DEFAULT_PULSE: Duration = Duration::from_secs(3);

fn default_pulse() -> Duration {
    DEFAULT_PULSE
}

fn default_momentary() -> bool {
    true
}

impl OutputPin {
    /// Whether one of the two outputs must be off while the other one is on.
    pub fn excludes(&self, other: &Self) -> bool {
        let names = |one: &Self, other: &Self| one.exclusive.as_ref().is_some_and(|word| *word == other.name);
        let share = self.exclusive.is_some() && self.exclusive == other.exclusive;
        share || names(self, other) || names(other, self)
    }
}

/// What is connected to an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OutputKind {
    /// For example a strike, a gate or a light.
    Relay {
        /// The relay is never on for longer than this, whatever asks for it.
        max_on: Duration,
    },
    /// A lamp that shows the station's state.
    Led {
        /// The pattern for each state.
        show: Vec<(ShownState, Drive)>,
    },
}

impl OutputKind {
    pub fn is_relay(&self) -> bool {
        matches!(self, Self::Relay { .. })
    }
}

/// The states that an LED can show, the most urgent one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ShownState {
    /// An alarm tries to reach somebody.
    Alarm,
    /// Somebody has taken an alarm, which is not over.
    AlarmAnswered,
    /// A watched door was forced.
    DoorForced,
    /// A watched door is held open.
    DoorHeld,
    /// A relay is on.
    DoorOpen,
    /// A call is established.
    Talking,
    /// A call is being set up, in either direction.
    Calling,
    /// There is no session, or no sound card.
    Fault,
    /// There is no fault and no call.
    Ready,
}

impl ShownState {
    /// All of them, with the keys of `show` (docs/configuration.md, "`[[output]]`").
    pub const KEYS: [(&'static str, Self); 9] = [
        ("alarm", Self::Alarm),
        ("alarm_answered", Self::AlarmAnswered),
        ("ready", Self::Ready),
        ("calling", Self::Calling),
        ("talking", Self::Talking),
        ("door_open", Self::DoorOpen),
        ("door_forced", Self::DoorForced),
        ("door_held", Self::DoorHeld),
        ("fault", Self::Fault),
    ];

    /// Its key in `show`.
    pub fn key(self) -> &'static str {
        Self::KEYS.iter().find(|(_, state)| *state == self).map_or("", |(key, _)| key)
    }
}

/// What an output does until it is driven again.
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
    /// All of them, with their words in `show`.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("off", Self::Off),
        ("on", Self::On),
        ("blink", Self::Blink),
        ("double", Self::Double),
        ("heartbeat", Self::Heartbeat),
    ];

    /// Its word in `show`.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, drive)| *drive == self).map_or("", |(word, _)| word)
    }

    /// The steps of the pattern: whether the output is on, and for how long. Empty for a steady output.
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

/// A change of an output that an action asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputChange {
    /// A relay goes off again after `max_on_ms` at the latest.
    On,
    Off,
    /// On for this time.
    Pulse(Duration),
}
