//! STUN and TURN, against Debian's coturn on loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use callbox::audio::CardChoice;
use callbox::config::{Codec, IceServer, IceUrl, ServerTrust};
use callbox::core::MediaCommand;
use callbox::sandbox::{ConnectionLimits, Sandbox, SandboxOptions, SharedIceServers, default_accounts};
use callbox::signaling::{Connector, Endpoint, LoginRequest, SessionApi, client_config};

use tempfile::TempDir;

use crate::End;

pub struct Coturn {
    process: Child,
    /// Where it keeps its database.
    folder: TempDir,
}

impl Coturn {
    /// The server's own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("turn.pem")
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How coturn knows its users.
pub const NAMED_USER: [&str; 3] = ["--lt-cred-mech", "--user", "door:secret"];
const SHARED_SECRET: [&str; 2] = ["--use-auth-secret", "--static-auth-secret=north wind"];

/// Starts a server that also relays to loopback (docs/workarounds.md, "tests: coturn does not relay to loopback").
pub fn coturn(address: IpAddr, port: u16, users: &[&str]) -> Option<Coturn> {
    start(&["--no-tls", "--no-dtls", "--listening-port", &port.to_string()], address, users)
}

/// As [`coturn`], but it is reached over TCP and TLS alone.
pub fn coturn_without_udp(tcp_port: u16, tls_port: u16) -> Option<Coturn> {
    let (tcp, tls) = (tcp_port.to_string(), tls_port.to_string());
    let ports = ["--no-udp", "--no-dtls", "--listening-port", &tcp, "--tls-listening-port", &tls];
    start(&ports, Ipv4Addr::LOCALHOST.into(), &NAMED_USER)
}

fn start(ports: &[&str], address: IpAddr, users: &[&str]) -> Option<Coturn> {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.path().join("turn.pem"), key.cert.pem()).unwrap();
    std::fs::write(folder.path().join("turn.key"), key.signing_key.serialize_pem()).unwrap();
    let process = Command::new("turnserver")
        .args(["-n", "--no-cli", "--allow-loopback-peers", "--realm", "test"])
        .args(users)
        .args(ports)
        // The library asks for no family of the relayed address, which means IPv4 (RFC 8656, section 7.1;
        // docs/workarounds.md, "webrtc: relayed addresses are ipv4 alone").
        .args(["--listening-ip", &address.to_string(), "--relay-ip", "127.0.0.1"])
        .args(["--pidfile", "/dev/null", "--log-file", "stdout", "--cert", "turn.pem", "--pkey", "turn.key"])
        // docs/workarounds.md, "tests: coturn wants a database for a shared secret".
        .args(["--db", "turn.db"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    process.ok().map(|process| Coturn { process, folder })
}

/// Waits until the server answers a binding request (RFC 8489).
pub fn until_it_answers(address: IpAddr, port: u16) {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    request.extend([7; 12]);
    for _ in 0..100 {
        let _ = socket.send_to(&request, (address, port));
        if socket.recv(&mut [0; 512]).is_ok() {
            return;
        }
    }
    panic!("the TURN server does not answer");
}

pub fn free_port(address: IpAddr) -> u16 {
    UdpSocket::bind((address, 0)).unwrap().local_addr().unwrap().port()
}

/// The types of the candidates that an end on this address gets with these servers.
async fn kinds_with(address: IpAddr, servers: Vec<IceServer>) -> Vec<String> {
    let mut end = End::bound_to(address, &[Codec::Opus], servers);
    end.command(MediaCommand::Offer);
    end.offer().await;
    let candidates = end.candidates().await;
    end.command(MediaCommand::Close);
    let kind = |candidate: &callbox::signaling::Candidate| candidate.candidate.split(" typ ").nth(1).map(str::to_owned);
    candidates.iter().filter_map(kind).collect()
}

/// As [`kinds_with`], with a STUN and TURN server of this host name.
async fn kinds(address: IpAddr, host: &str) -> Option<Vec<String>> {
    let port = free_port(address);
    let Some(_server) = coturn(address, port, &NAMED_USER) else {
        println!("SKIPPED: there is no turnserver here");
        return None;
    };
    until_it_answers(address, port);
    let server = |url: String, username: &str, credential: &str| IceServer {
        urls: vec![url.parse().unwrap()],
        username: username.into(),
        credential: credential.into(),
    };
    let servers =
        vec![server(format!("stun:{host}:{port}"), "", ""), server(format!("turn:{host}:{port}"), "door", "secret")];
    Some(kinds_with(address, servers).await)
}

#[tokio::test]
async fn stun_and_turn_of_the_configuration_give_their_candidates() {
    let Some(kinds) = kinds(Ipv4Addr::LOCALHOST.into(), "localhost").await else { return };
    assert!(kinds.iter().any(|kind| kind.starts_with("host")), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind.starts_with("relay")), "{kinds:?}");
}

#[tokio::test]
async fn servers_that_have_ipv6_alone_give_their_candidates() {
    let Some(kinds) = kinds(Ipv6Addr::LOCALHOST.into(), "[::1]").await else { return };
    assert!(kinds.iter().any(|kind| kind.starts_with("host")), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind.starts_with("relay")), "{kinds:?}");
}

#[tokio::test]
async fn the_credentials_that_the_sandbox_hands_out_open_a_turn_server_with_its_secret() {
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    let port = free_port(address);
    let Some(_server) = coturn(address, port, &SHARED_SECRET) else { return println!("SKIPPED: no turnserver here") };
    until_it_answers(address, port);
    let turn: IceUrl = format!("turn:127.0.0.1:{port}").parse().unwrap();
    for (secret, opens) in [("north wind", true), ("south wind", false)] {
        let sandbox = Sandbox::start(SandboxOptions {
            listen: (address, 0).into(),
            accounts: default_accounts(),
            host_names: Vec::new(),
            station: None,
            card: CardChoice::Synthetic,
            certificate: None,
            limits: ConnectionLimits::default(),
            ice_servers: SharedIceServers { urls: vec![turn.clone()], secret: secret.into() },
        })
        .unwrap();
        let url = format!("http://{}", sandbox.address).parse().unwrap();
        let api = SessionApi::new(
            Endpoint::new(url, None),
            Connector::new(client_config(&ServerTrust::default(), None).unwrap(), None),
        );
        let login = LoginRequest {
            bundle_id: None,
            kind: "linux".into(),
            identifier: "test".into(),
            login: Some("100".into()),
            password: Some("callbox".into()),
            config_token: None,
        };
        let token = api.login(&login).await.unwrap().token;
        assert!(api.ice_servers("another token").await.is_err(), "only for those who have logged in");
        let list = api.ice_servers(&token).await.unwrap().expect("the sandbox hands out servers");
        let kinds = kinds_with(address, list.servers).await;
        assert_eq!(kinds.iter().any(|kind| kind.starts_with("relay")), opens, "{secret}: {kinds:?}");
        sandbox.stop().await;
    }
}
