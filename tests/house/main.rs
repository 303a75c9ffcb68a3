//! The interfaces to the systems of the house: the status page and its API.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

#[path = "../sandbox/http.rs"]
mod http;
mod status_page;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use callbox::audio::CardChoice;
use callbox::config::Config;
use callbox::sandbox::{ConnectionLimits, Sandbox, SandboxOptions, SharedIceServers, default_accounts};
use callbox::station::StationHandle;

/// A station of the house, with what a configuration adds to it.
pub fn house(more: &str) -> Sandbox {
    let text = format!(
        "[core]\nurl = \"https://core.example.com\"\ntoken = \"t\"\n[gpio]\nbackend = \"simulated\"\n\
         [[button]]\nname = \"bell\"\npin = 1\npress = {{ call = \"100\" }}\n\
         [[output]]\nname = \"strike\"\npin = 2\nkind = \"relay\"\nmax_on_ms = 4000\npulse_ms = 200\n\
         [modes]\naway = {{}}\n{more}"
    );
    let config =
        callbox::config::parse("house.toml", &text, &BTreeMap::new()).unwrap_or_else(|errors| panic!("{errors}"));
    Sandbox::start(options(config)).unwrap()
}

fn options(station: Config) -> SandboxOptions {
    SandboxOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        accounts: default_accounts(),
        host_names: Vec::new(),
        station: Some(station),
        card: CardChoice::Synthetic,
        certificate: None,
        limits: ConnectionLimits::default(),
        ice_servers: SharedIceServers::default(),
    }
}

pub fn handle(sandbox: &Sandbox) -> StationHandle {
    sandbox.station_handle().unwrap()
}

/// A port of loopback that nobody uses.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}
