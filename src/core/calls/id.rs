//! What identifies hunts and alarms within a process.

use serde::{Deserialize, Serialize};

/// Identifies a [`super::hunt::Hunt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HuntId(pub(super) u32);

/// Identifies an [`super::alarms::Alarm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AlarmId(pub(super) u32);
