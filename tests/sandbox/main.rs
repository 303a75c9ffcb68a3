//! The sandbox as a server: who may talk to it, what garbage does, and many calls in a row.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod calls_in_a_row;
mod guard;
mod hostile;
mod http;
mod panel;
mod unanswered;
mod upgrade;

use std::net::SocketAddr;

use callbox::audio::CardChoice;
use callbox::sandbox::{
    ConnectionLimits, Sandbox, SandboxOptions, SharedIceServers, default_accounts, default_station,
};

pub fn sandbox() -> Sandbox {
    Sandbox::start(options()).unwrap()
}

pub fn options() -> SandboxOptions {
    SandboxOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        accounts: default_accounts(),
        host_names: Vec::new(),
        station: Some(default_station(&default_accounts()).unwrap_or_else(|errors| panic!("{errors}"))),
        card: CardChoice::Synthetic,
        certificate: None,
        limits: ConnectionLimits::default(),
        ice_servers: SharedIceServers::default(),
    }
}
