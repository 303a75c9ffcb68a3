use std::time::Duration;

use callbox::control::{Controlled, FullStatus, Reply, Request};
use callbox::core::{CallState, Gesture, SessionState};
use callbox::sandbox::default_accounts;

use crate::proxy::{Proxy, Weather};
use crate::{sandbox, station, status, until, url};

const SOON: Duration = Duration::from_secs(20);

fn registered(status: &FullStatus) -> bool {
    status.station.session.state == SessionState::Registered
}

fn talking(status: &FullStatus) -> bool {
    let mut lines = status.station.lines.iter();
    lines
        .any(|line| line.state == CallState::Established && line.call.as_ref().is_some_and(|call| call.media_connected))
}

fn sessions(status: &FullStatus) -> u64 {
    status.station.session.counters.sessions
}

fn press() -> Request {
    Request::Press { name: "bell".into(), gesture: Gesture::Press }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_followed_by_a_session_at_once() {
    let sandbox = sandbox(default_accounts()).await;
    let proxy = Proxy::start(sandbox.address);
    let station = station(sandbox.address, &[url(proxy.address)]).await;
    until(&station.handle, "registration", SOON, registered).await;
    proxy.reset();
    let time = until(&station.handle, "the session", SOON, |now| registered(now) && sessions(now) == 2).await;
    // The limit allows for a machine under load. `make bench` measures the time.
    assert!(time < Duration::from_secs(5), "{time:?}");
    station.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_outlives_its_session_and_its_sound_flows_on() {
    let sandbox = sandbox(default_accounts()).await;
    let proxy = Proxy::start(sandbox.address);
    let station = station(sandbox.address, &[url(proxy.address)]).await;
    until(&station.handle, "registration", SOON, registered).await;
    assert_eq!(station.handle.request(press()).await, Reply::Ok(true));
    until(&station.handle, "the call", SOON, talking).await;
    proxy.set(Weather::Gone);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let without = status(&station.handle).await;
    assert!(talking(&without) && !registered(&without));
    // The melody of the far end has pauses.
    until(&station.handle, "sound without a session", SOON, |now| now.sound.loudspeaker_dbfs > -50).await;
    proxy.set(Weather::Fine);
    until(&station.handle, "the session", SOON, registered).await;
    assert!(talking(&status(&station.handle).await));
    assert_eq!(station.handle.request(Request::Hangup { line: None }).await, Reply::Ok(true));
    let idle = |now: &FullStatus| now.station.lines.iter().all(|line| line.state == CallState::Idle);
    until(&station.handle, "the end", SOON, idle).await;
    let door = sandbox.station_handle().unwrap();
    until(&door, "the end at the door", SOON, idle).await;
    station.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_press_into_a_blackhole_is_dialled_over_a_new_connection() {
    let sandbox = sandbox(default_accounts()).await;
    let proxy = Proxy::start(sandbox.address);
    let way_round = Proxy::start(sandbox.address);
    let station = station(sandbox.address, &[url(proxy.address), url(way_round.address)]).await;
    until(&station.handle, "registration", SOON, registered).await;
    proxy.set(Weather::Blackhole);
    assert_eq!(station.handle.request(press()).await, Reply::Ok(true));
    until(&station.handle, "the dead link to be found", Duration::from_secs(8), |now| !registered(now)).await;
    proxy.set(Weather::Fine);
    until(&station.handle, "the call", SOON, talking).await;
    station.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_link_carries_a_call() {
    let sandbox = sandbox(default_accounts()).await;
    let proxy = Proxy::start(sandbox.address);
    proxy.set(Weather::Throttled(4_000));
    let station = station(sandbox.address, &[url(proxy.address)]).await;
    until(&station.handle, "registration", SOON, registered).await;
    assert_eq!(station.handle.request(press()).await, Reply::Ok(true));
    until(&station.handle, "the call", SOON, talking).await;
    station.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_overtake_each_other_make_no_difference() {
    let sandbox = sandbox(default_accounts()).await;
    let proxy = Proxy::start(sandbox.address);
    let station = station(sandbox.address, &[url(proxy.address)]).await;
    until(&station.handle, "registration", SOON, registered).await;
    proxy.set(Weather::Swapped);
    for _ in 0..5 {
        assert_eq!(station.handle.request(press()).await, Reply::Ok(true));
        until(&station.handle, "the call", SOON, talking).await;
        assert_eq!(station.handle.request(Request::Hangup { line: None }).await, Reply::Ok(true));
        let idle = |now: &FullStatus| now.station.lines.iter().all(|line| line.state == CallState::Idle);
        until(&station.handle, "the end", SOON, idle).await;
    }
    station.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_server_is_used_when_the_first_is_gone() {
    let sandbox = sandbox(default_accounts()).await;
    let (first, second) = (Proxy::start(sandbox.address), Proxy::start(sandbox.address));
    first.set(Weather::Gone);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let station = station(sandbox.address, &[url(first.address), url(second.address)]).await;
    until(&station.handle, "registration", SOON, registered).await;
    let status = status(&station.handle).await;
    assert_eq!(status.station.session.server, 1);
    assert!(status.server.ends_with(&second.address.port().to_string()), "{}", status.server);
    station.stop().await;
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a figure, and a minute of waiting: make bench"]
async fn blackhole_to_noticed() {
    let sandbox = sandbox(default_accounts()).await;
    let watch = async |offset: u64| {
        let proxy = Proxy::start(sandbox.address);
        let station = station(sandbox.address, &[url(proxy.address)]).await;
        until(&station.handle, "registration", SOON, registered).await;
        tokio::time::sleep(Duration::from_secs(offset)).await;
        proxy.set(Weather::Blackhole);
        let noticed = until(&station.handle, "the blackhole", Duration::from_secs(60), |now| !registered(now)).await;
        station.stop().await;
        noticed
    };
    // Each station takes the account's session over, so they run one after the other.
    let mut worst = Duration::ZERO;
    for offset in [0, 13] {
        worst = worst.max(watch(offset).await);
    }
    println!("blackhole to noticed: {:.1} s at most (keepalive interval of 30 s + 10 s)", worst.as_secs_f64());
    assert!(worst <= Duration::from_millis(40_500), "{worst:?}");
    sandbox.stop().await;
}
