//! STUN and TURN, against Debian's coturn on loopback.

use std::process::{Child, Command, Stdio};

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

fn coturn(port: u16) -> Option<Coturn> {
    let child = Command::new("turnserver")
        .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--allow-loopback-peers", "--lt-cred-mech"])
        .args(["--user", "door:secret", "--realm", "test", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"])
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

#[tokio::test]
async fn stun_and_turn_of_the_configuration_give_their_candidates() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Some(_server) = coturn(port) else {
        println!("SKIPPED: there is no turnserver here");
        return;
    };
    tokio::time::sleep(std::time::Duration::from_millis(1000)).await;
    let server = |url: String, username: &str, credential: &str| IceServer {
        urls: vec![url],
        username: username.into(),
        credential: credential.into(),
    };
    let mut end = End::new(
        &[Codec::Opus],
        vec![
            server(format!("stun:localhost:{port}"), "", ""),
            server(format!("turn:localhost:{port}"), "door", "secret"),
        ],
    );
    end.command(MediaCommand::Offer);
    end.offer().await;
    let candidates = end.candidates().await;
    let kinds: Vec<&str> =
        candidates.iter().filter_map(|candidate| candidate.candidate.split(" typ ").nth(1)).collect();
    assert!(kinds.iter().any(|kind| kind.starts_with("host")), "{candidates:?}");
    assert!(kinds.iter().any(|kind| kind.starts_with("relay")), "{candidates:?}");
    end.command(MediaCommand::Close);
}
