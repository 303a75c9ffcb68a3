//! `[[door]]`: a contact that knows who may open it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::Trigger;
use super::index::{ButtonIndex, OutputIndex, SensorIndex};

/// A door that is watched (docs/configuration.md, "`[[door]]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoorConfig {
    /// Unique among doors.
    pub name: String,
    /// Active while the door is open.
    pub contact: SensorIndex,
    /// Relays that open the door rightfully.
    pub opened_by: Vec<OutputIndex>,
    /// Buttons that do (request to exit).
    pub exit: Vec<ButtonIndex>,
    /// So long after the relay or the button, an opening is rightful.
    pub grace: Duration,
    /// A door that is open for this long is held open.
    pub held_after: Duration,
    /// Runs when nobody with a right has opened the door.
    pub forced: Trigger,
    /// Runs when the door is held open.
    pub held: Trigger,
    /// Runs when the door is closed after either.
    pub restored: Trigger,
}
