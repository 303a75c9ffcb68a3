//! Who or what caused a press, an opened door, a mute or a call.

use crate::secret::{PersonName, PhoneNumber};
use serde::{Deserialize, Serialize};

/// Who or what caused it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum By {
    /// A finger on a button at the door.
    Finger { button: String },
    /// The rule of a sensor.
    Sensor { sensor: String },
    /// The rule of a door that was forced, held open, or closed again.
    Door { door: String },
    /// A schedule.
    Schedule { schedule: String },
    /// A command.
    User {
        /// The user of the machine, or the account at the panel, that gave it.
        user: PersonName,
    },
    /// A request over HTTP.
    Http {
        /// The name of its token.
        token: PersonName,
    },
    /// A message of the MQTT broker.
    Mqtt,
    /// A door code.
    Code {
        /// The number of the far end that typed it.
        number: PhoneNumber,
    },
    /// Somebody with a PIN or a card.
    Holder {
        /// Whose code it is.
        code: PersonName,
        /// Where it was typed or shown.
        reader: String,
    },
    /// Somebody who typed at a keypad, and is not known.
    Typist { reader: String },
    /// The far end, which called the station.
    Caller { number: PhoneNumber },
    /// The hours of a mode.
    Hours,
    /// The station itself: a limit was reached, a time is over, or a call was taken up again.
    #[default]
    Station,
}

impl std::fmt::Display for By {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Finger { button } => write!(formatter, "by a finger on {button}"),
            Self::Sensor { sensor } => write!(formatter, "by the rule of sensor {sensor}"),
            Self::Door { door } => write!(formatter, "by the rule of door {door}"),
            Self::Schedule { schedule } => write!(formatter, "by schedule {schedule}"),
            Self::User { user } => write!(formatter, "by user {user}"),
            Self::Http { token } => write!(formatter, "over HTTP by {token}"),
            Self::Mqtt => formatter.write_str("over MQTT"),
            Self::Code { number } => write!(formatter, "by a code from {}", called(number)),
            Self::Holder { code, reader } => write!(formatter, "by {code} at {reader}"),
            Self::Typist { reader } => write!(formatter, "by somebody at {reader}"),
            Self::Caller { number } => write!(formatter, "by {}", called(number)),
            Self::Hours => formatter.write_str("by its hours"),
            Self::Station => formatter.write_str("by the station itself"),
        }
    }
}

/// The number as people read it. An empty one is "an unknown number".
pub fn called(number: &str) -> &str {
    if number.is_empty() { "an unknown number" } else { number }
}
