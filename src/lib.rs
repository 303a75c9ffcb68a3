//! callbox turns a board with a button, a microphone and a loudspeaker into an intercom station.

pub mod audio;
pub mod cli;
pub mod config;
pub mod control;
pub mod core;
pub mod gpio;
pub mod media;
pub mod network;
pub mod sandbox;
pub mod signaling;
pub mod sound;
pub mod station;
