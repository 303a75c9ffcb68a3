//! Places in the configuration: the n-th button, sensor or output.

use serde::{Deserialize, Serialize};

/// The place of a button in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ButtonIndex(pub usize);

/// The place of a sensor in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SensorIndex(pub usize);

/// The place of an output in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutputIndex(pub usize);
