//! Calls in a row, each with its sound: descriptors, threads and live heap must not grow.
//!
//! `make test` makes 200 calls, `make soak` makes a thousand.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

use callbox::audio::CardChoice;
use callbox::config::parse_without_core;
use callbox::control::{Controlled, FullStatus, Reply, Request};
use callbox::core::{CallState, SessionState};
use callbox::sandbox::{STATION_NUMBER, Sandbox};
use callbox::station::{RunningStation, StationHandle, StationOptions};

use crate::http::send;
use crate::sandbox;

/// Calls before the first measurement.
const WARM_UP: usize = 100;

/// Counts live bytes.
struct Counting;

static LIVE_BYTES: AtomicIsize = AtomicIsize::new(0);

#[allow(unsafe_code, reason = "an allocator cannot be written otherwise; it only counts")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Another station as the caller: it calls `door`, which answers by itself.
async fn caller(sandbox: &Sandbox) -> RunningStation {
    let address = sandbox.address;
    let body = r#"{"bundle_id":null,"type":"linux","identifier":"t","login":"100","password":"callbox"}"#;
    let login = send(address, "POST /api/v1/session", &[format!("host: {address}")], body).await;
    let token = serde_json::from_str::<serde_json::Value>(&login.body).unwrap()["token"].as_str().unwrap().to_owned();
    let mut config =
        parse_without_core("caller.toml", "[media]\nbind = [\"127.0.0.1\"]\n", &Default::default()).unwrap();
    config.core.urls = vec![url::Url::parse(&format!("http://{address}")).unwrap()];
    config.core.credentials = callbox::config::Credentials::Token(token.into());
    RunningStation::start(StationOptions {
        config,
        card: CardChoice::Synthetic,
        extra_addresses: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        token_folders: Vec::new(),

        memory_folder: None,
        state_folder: None,
        identifier: "caller".into(),
    })
    .unwrap()
}

async fn status(station: &StationHandle) -> FullStatus {
    match station.request(Request::Status).await {
        Reply::Status(status) => *status,
        other => panic!("{other:?}"),
    }
}

async fn until(station: &StationHandle, what: &str, fits: impl Fn(&FullStatus) -> bool) {
    for _ in 0..1500 {
        if fits(&status(station).await) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited for: {what}; {:?}", status(station).await);
}

fn idle(status: &FullStatus) -> bool {
    status.station.lines.iter().all(|line| line.state == CallState::Idle)
}

fn talking(status: &FullStatus) -> bool {
    status
        .station
        .lines
        .iter()
        .any(|line| line.state == CallState::Established && line.call.as_ref().is_some_and(|call| call.media_connected))
}

async fn one_call(caller: &StationHandle, door: &StationHandle) {
    let reply = caller.request(Request::Call { number: STATION_NUMBER.into(), line: None }).await;
    assert_eq!(reply, Reply::Ok(true));
    until(caller, "the call", talking).await;
    until(door, "the call at the door", talking).await;
    assert_eq!(caller.request(Request::Hangup { line: None }).await, Reply::Ok(true));
    until(caller, "the end", idle).await;
    until(door, "the end at the door", idle).await;
}

/// The least of three measurements, a second apart: what a timer or a keepalive holds for a moment is not a leak.
async fn at_rest() -> (usize, usize, isize) {
    let mut least = (usize::MAX, usize::MAX, isize::MAX);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (descriptors, threads, bytes) = measure();
        least = (least.0.min(descriptors), least.1.min(threads), least.2.min(bytes));
    }
    least
}

/// The number of descriptors, of threads and of live bytes on the heap.
fn measure() -> (usize, usize, isize) {
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"), LIVE_BYTES.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_leave_nothing_behind() {
    let calls = std::env::var("CALLS").map_or(200, |text| text.parse().unwrap());
    let sandbox = sandbox();
    let caller = caller(&sandbox).await;
    let door = sandbox.station_handle().unwrap();
    until(&caller.handle, "registration", |status| status.station.session.state == SessionState::Registered).await;
    until(&door, "registration", |status| status.station.session.state == SessionState::Registered).await;
    // The first calls fill everything that has a limit: certificate, tables of the runtime, black box, history.
    for _ in 0..WARM_UP {
        one_call(&caller.handle, &door).await;
    }
    let before = at_rest().await;
    for call in WARM_UP..calls {
        one_call(&caller.handle, &door).await;
        if (call + 1) % 100 == 0 {
            println!("after {} calls: {:?}", call + 1, measure());
        }
    }
    let after = at_rest().await;
    println!("{calls} calls: descriptors, threads and live bytes after {WARM_UP}: {before:?}, at the end: {after:?}");
    assert!(after.0 <= before.0, "descriptors: {before:?} {after:?}");
    assert!(after.1 <= before.1, "threads: {before:?} {after:?}");
    assert!(after.2 - before.2 < 64 * 1024, "live heap: {before:?} {after:?}");
    caller.stop().await;
    sandbox.stop().await;
}
