//! callbox turns a board with a button, a microphone and a loudspeaker into an intercom station.

#[cfg(feature = "daemon")]
pub mod audio;
pub mod blackbox;
#[cfg(feature = "daemon")]
pub mod cli;
pub mod config;
#[cfg(feature = "daemon")]
pub mod control;
pub mod core;
#[cfg(feature = "daemon")]
mod files;
#[cfg(feature = "daemon")]
pub mod gpio;
#[cfg(feature = "daemon")]
pub mod media;
pub mod mutant;
#[cfg(feature = "daemon")]
pub mod network;
mod plain_text;
#[cfg(feature = "daemon")]
pub mod sandbox;
pub mod secret;
pub mod signaling;
mod sip_address;
#[cfg(feature = "daemon")]
pub mod sound;
#[cfg(feature = "daemon")]
pub mod station;
pub mod wav;
