//! A stranger in the network attacks the whole station during a call.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use callbox::control::{Controlled, FullStatus, Reply, Request};
use callbox::core::{CallState, Gesture, SessionState};
use callbox::sandbox::default_accounts;

use crate::{sandbox, station, status, until, url};

const SOON: Duration = Duration::from_secs(20);

/// The UDP ports of this process on loopback (proc(5): the inodes of our descriptors, and `net/udp`).
fn own_ports() -> Vec<u16> {
    let inode = |entry: std::io::Result<std::fs::DirEntry>| {
        let link = std::fs::read_link(entry.ok()?.path()).ok()?;
        Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
    };
    let inodes: Vec<String> = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(inode).collect();
    let udp = std::fs::read_to_string("/proc/self/net/udp").unwrap();
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, inode) = (fields.get(1)?.strip_prefix("0100007F:")?, fields.get(9)?);
        inodes.iter().any(|own| own == inode).then(|| u16::from_str_radix(address, 16).ok())?
    };
    udp.lines().skip(1).filter_map(port).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_at_the_media_port_is_counted_by_reason_and_costs_the_call_nothing() {
    let sandbox = sandbox(default_accounts()).await;
    let station = station(sandbox.address, &[url(sandbox.address)]).await;
    let registered = |now: &FullStatus| now.station.session.state == SessionState::Registered;
    until(&station.handle, "registration", SOON, registered).await;
    let press = Request::Press { name: "bell".into(), gesture: Gesture::Press };
    assert_eq!(station.handle.request(press).await, Reply::Ok(true));
    let talking = |now: &FullStatus| {
        let up = |call: &callbox::core::CallStatus| call.media_connected;
        now.station.lines.iter().any(|line| line.state == CallState::Established && line.call.as_ref().is_some_and(up))
    };
    until(&station.handle, "the call", SOON, talking).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let close_notify = b"\x15\xfe\xfd\0\0\0\0\0\0\0\x07\0\x02\x01\0";
    let check = b"\0\x01\0\x0c\x21\x12\xa4\x42tttttttttttt\x80\x2a\0\x08\xff\xff\xff\xff\xff\xff\xff\xff";
    let until_then = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until_then {
        for port in own_ports() {
            for datagram in [&close_notify[..], &check[..], b"\x80\x6fgarbage that is long enough", b"\xff", b""] {
                let _ = stranger.send_to(datagram, ("127.0.0.1", port));
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let now = status(&station.handle).await;
    assert!(talking(&now), "{:#?}", now.station.lines);
    let dropped = now.dropped_datagrams;
    assert!(dropped.source > 100 && dropped.stun_unauthenticated > 100 && dropped.unknown > 100, "{dropped:?}");
    until(&station.handle, "sound as before", SOON, |now| now.sound.loudspeaker_dbfs > -50).await;
    station.stop().await;
    sandbox.stop().await;
}
