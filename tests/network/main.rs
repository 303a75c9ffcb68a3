//! The whole station over real sockets, through a network that misbehaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod crash;
mod herd;
mod hostile;
mod proxy;
mod weather;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use callbox::audio::CardChoice;
use callbox::config::{Credentials, ServerTrust, parse_without_core};
use callbox::control::{Controlled, FullStatus, Reply, Request};
use callbox::sandbox::{
    ConnectionLimits, Sandbox, SandboxOptions, SharedIceServers, default_accounts, default_station,
};
use callbox::signaling::{Connector, Endpoint, LoginRequest, SessionApi, client_config};
use callbox::station::{RunningStation, StationHandle, StationOptions};

pub async fn sandbox(accounts: Vec<callbox::sandbox::Account>) -> Sandbox {
    Sandbox::start(SandboxOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        accounts,
        host_names: Vec::new(),
        station: Some(default_station(&default_accounts()).unwrap_or_else(|errors| panic!("{errors}"))),
        card: CardChoice::Synthetic,
        certificate: None,
        limits: ConnectionLimits { total: 4096, per_address: 4096 },
        ice_servers: SharedIceServers::default(),
    })
    .unwrap()
}

pub fn url(address: SocketAddr) -> url::Url {
    format!("http://{address}").parse().unwrap()
}

/// A session token of this account.
pub async fn token(address: SocketAddr, login: &str) -> String {
    let connector = Connector::new(client_config(&ServerTrust::default(), None).unwrap(), None);
    let request = LoginRequest {
        bundle_id: None,
        kind: "linux".into(),
        identifier: "test".into(),
        login: Some(login.into()),
        password: Some("callbox".into()),
        config_token: None,
    };
    SessionApi::new(Endpoint::new(url(address), None), connector).login(&request).await.unwrap().token
}

/// A station of account 100 that reaches its server at these addresses.
pub async fn station(server: SocketAddr, ways: &[url::Url]) -> RunningStation {
    let rest = "[media]\nbind = [\"127.0.0.1\"]\n[[button]]\nname = \"bell\"\npin = 1\npress = { call = \"door\" }\n";
    let mut config = parse_without_core("station.toml", rest, &Default::default()).unwrap();
    config.core.urls = ways.to_vec();
    config.core.credentials = Credentials::Token(token(server, "100").await.into());
    RunningStation::start(StationOptions {
        config,
        card: CardChoice::Synthetic,
        extra_addresses: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        token_folders: Vec::new(),
        memory_folder: None,
        state_folder: None,
        identifier: "station".into(),
    })
    .unwrap()
}

pub async fn status(station: &StationHandle) -> FullStatus {
    match station.request(Request::Status).await {
        Reply::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

/// Waits until the status fits. Returns how long that took.
pub async fn until(
    station: &StationHandle,
    what: &str,
    limit: Duration,
    fits: impl Fn(&FullStatus) -> bool,
) -> Duration {
    let start = Instant::now();
    while start.elapsed() < limit {
        if fits(&status(station).await) {
            return start.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited {limit:?} for: {what}; {:#?}", status(station).await.station);
}
