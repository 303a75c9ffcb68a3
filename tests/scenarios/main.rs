//! Scenarios: what happens at the door. The real core runs in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod alarms;
mod black_box;
mod buttons;
mod door;
mod doors;
mod example;
mod examples;
mod ice_servers;
mod incoming;
mod media_liveness;
mod modes;
mod network;
mod outcomes;
mod outgoing;
mod outputs;
mod pins;
mod prompts;
mod readers;
mod recovery;
mod schedules;
mod sensors;
mod session;
mod talking;
