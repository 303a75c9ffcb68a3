//! A whole station against a scripted server, over real sockets and TLS: what docs/protocol.md says, above all in "Edge
//! cases".
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod edge_cases;
mod ice_servers;
mod proxy;
mod server;
mod trust;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use callbox::audio::CardChoice;
use callbox::config::parse;
use callbox::control::{Controlled, FullStatus, Reply, Request};
use callbox::core::Gesture;
use callbox::station::{RunningStation, StationOptions};
use tempfile::TempDir;

use server::{Authority, Server};

/// What a station needs: a folder with its files, and the CA that its server's certificate comes from.
pub struct Rig {
    pub folder: TempDir,
    pub authority: Authority,
}

impl Rig {
    #[allow(clippy::new_without_default, reason = "a rig has files and keys: nothing about it is default")]
    pub fn new() -> Self {
        let rig = Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new() };
        rig.write("ca.pem", &rig.authority.pem);
        rig.write("token", "secret+token/with=specials");
        rig
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A station whose `[core]` has these lines beside the address and the CA.
    pub fn station(&self, port: u16, core: &str) -> RunningStation {
        self.station_with(port, core, "ca_file = \"ca.pem\"")
    }

    pub fn station_with(&self, port: u16, core: &str, trust: &str) -> RunningStation {
        self.start(port, &format!("{trust}\n{core}"), &BTreeMap::new())
    }

    /// A station with this environment.
    pub fn station_in(&self, port: u16, core: &str, environment: &BTreeMap<String, String>) -> RunningStation {
        self.start(port, &format!("ca_file = \"ca.pem\"\n{core}"), environment)
    }

    fn start(&self, port: u16, core: &str, environment: &BTreeMap<String, String>) -> RunningStation {
        let text = format!(
            "[core]\nurl = \"https://127.0.0.1:{port}\"\n{core}\n[media]\nbind = [\"127.0.0.1\"]\n\
             [[button]]\nname = \"bell\"\npin = 17\npress = {{ call = \"100\" }}\n\
             [[answer]]\nfrom = \"200\"\naction = \"answer\"\n"
        );
        let config = parse(&self.path("callbox.toml"), &text, environment).unwrap_or_else(|errors| panic!("{errors}"));
        RunningStation::start(StationOptions {
            config,
            card: CardChoice::Synthetic,
            extra_addresses: Vec::new(),
            token_folders: vec![self.folder.path().join("state")],

            memory_folder: None,
            state_folder: None,
            identifier: "test-device".into(),
        })
        .unwrap()
    }
}

pub async fn status(station: &RunningStation) -> FullStatus {
    match station.handle.request(Request::Status).await {
        Reply::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

pub async fn press(station: &RunningStation) {
    let reply = station.handle.request(Request::Press { name: "bell".into(), gesture: Gesture::Press }).await;
    assert!(matches!(reply, Reply::Ok(true) | Reply::Note(_)), "{reply:?}");
}

/// Waits until the status fits.
pub async fn until(station: &RunningStation, what: &str, fits: impl Fn(&FullStatus) -> bool) -> FullStatus {
    for _ in 0..750 {
        let now = status(station).await;
        if fits(&now) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited for: {what}; the status is {:?}", status(station).await);
}

/// A registered station with its server's side of the session.
pub async fn registered(rig: &Rig) -> (RunningStation, Server, server::Session) {
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "");
    let mut session = server.session().await;
    session.state(serde_json::json!([null, null])).await;
    until(&station, "registration", |status| status.station.session.state == callbox::core::SessionState::Registered)
        .await;
    (station, server, session)
}

pub fn mode_of(path: &str) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
