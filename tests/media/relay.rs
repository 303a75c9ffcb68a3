//! STUN and TURN, against Debian's coturn on loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use callbox::config::{Codec, IceServer};
use callbox::core::MediaCommand;

use crate::End;

struct Coturn(Child);

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server that also relays to loopback (docs/workarounds.md, "tests: coturn does not relay to loopback").
fn coturn(address: IpAddr, port: u16) -> Option<Coturn> {
    let child = Command::new("turnserver")
        .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--allow-loopback-peers", "--lt-cred-mech"])
        .args(["--user", "door:secret", "--realm", "test"])
        // The library asks for no family of the relayed address, which means IPv4 (RFC 8656, section 7.1;
        // docs/workarounds.md, "webrtc: relayed addresses are ipv4 alone").
        .args(["--listening-ip", &address.to_string(), "--relay-ip", "127.0.0.1"])
        .args([
            "--listening-port",
            &port.to_string(),
            "--pidfile",
            "/dev/null",
            "--log-file",
            "stdout",
            "--db",
            "/dev/null",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.ok().map(Coturn)
}

/// Waits until the server answers a binding request (RFC 8489).
fn until_it_answers(address: IpAddr, port: u16) {
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

/// The types of the candidates that an end on this address gets with a STUN and TURN server of this host name.
async fn kinds(address: IpAddr, host: &str) -> Option<Vec<String>> {
    let port = UdpSocket::bind((address, 0)).unwrap().local_addr().unwrap().port();
    let Some(_server) = coturn(address, port) else {
        println!("SKIPPED: there is no turnserver here");
        return None;
    };
    until_it_answers(address, port);
    let server = |url: String, username: &str, credential: &str| IceServer {
        urls: vec![url],
        username: username.into(),
        credential: credential.into(),
    };
    let servers =
        vec![server(format!("stun:{host}:{port}"), "", ""), server(format!("turn:{host}:{port}"), "door", "secret")];
    let mut end = End::bound_to(address, &[Codec::Opus], servers);
    end.command(MediaCommand::Offer);
    end.offer().await;
    let candidates = end.candidates().await;
    end.command(MediaCommand::Close);
    let kind = |candidate: &callbox::signaling::Candidate| candidate.candidate.split(" typ ").nth(1).map(str::to_owned);
    Some(candidates.iter().filter_map(kind).collect())
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
