//! The interfaces to the systems of the house, beside the control socket.

use serde::{Deserialize, Serialize};

/// An interface to the systems of the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interface {
    /// The status page and its API.
    Http,
    /// The connection to the broker.
    Mqtt,
    /// The requests of `[[hook]]`.
    Hooks,
}

impl Interface {
    /// Its word in JSON and in labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Mqtt => "mqtt",
            Self::Hooks => "hooks",
        }
    }
}

impl std::fmt::Display for Interface {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Http => "status page",
            Self::Mqtt => "MQTT",
            Self::Hooks => "hooks",
        })
    }
}
