//! Identifiers in inputs and effects.

use serde::{Deserialize, Serialize};

/// Identifies a command, so that its reply can be matched with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CommandId(pub u64);

/// Identifies a peer connection. No number is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MediaId(pub u32);

/// A server, by its place in `core.url`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServerIndex(pub usize);
