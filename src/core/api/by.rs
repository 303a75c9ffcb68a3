//! Who or what is behind a press, an opening, a mute or a call.

use serde::{Deserialize, Serialize};

/// Who or what did it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum By {
    /// A finger at the door.
    Finger {
        /// On this button.
        button: String,
    },
    /// A contact, by the rule of its sensor.
    Sensor {
        /// Which.
        sensor: String,
    },
    /// A command.
    User {
        /// Of this user of the machine, or of this account at the panel.
        user: String,
    },
    /// A code.
    Code {
        /// It was typed at this number.
        number: String,
    },
    /// The far end.
    Caller {
        /// Its number.
        number: String,
    },
    /// The station itself: a limit, a time that is over, a call that was taken up again.
    #[default]
    Station,
}

impl std::fmt::Display for By {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Finger { button } => write!(formatter, "by a finger on {button}"),
            Self::Sensor { sensor } => write!(formatter, "by the rule of sensor {sensor}"),
            Self::User { user } => write!(formatter, "by user {user}"),
            Self::Code { number } => write!(formatter, "by a code of {}", called(number)),
            Self::Caller { number } => write!(formatter, "by {}", called(number)),
            Self::Station => formatter.write_str("by the station itself"),
        }
    }
}

/// A number for people.
pub fn called(number: &str) -> &str {
    if number.is_empty() { "an unknown number" } else { number }
}
