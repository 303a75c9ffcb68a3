//! What the fuzzers do with their bytes. `tests/fuzz` does the same with the corpora, in stable Rust.
//!
//! Each function panics if it finds something that must never happen. The fuzzers look for an input that makes callbox
//! panic, hang, or act without being asked.

mod datagrams;
mod door;
mod inputs;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use callbox::config::{IceTransport, IceUrl, MediaConfig, parse};
use callbox::core::*;
use callbox::media::offline::{OfflineReceiver, answer, read_description};
use callbox::media::{MediaContext, TurnContext};
use callbox::signaling::{Connector, IceServerList, turn_client_config};

pub use datagrams::{dtls, guard, srtp, stun};
use door::{CONFIG, Door};
pub use inputs::core;

/// Frames of a server, one on each line, to a station that is registered.
pub fn signaling(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut door = Door::registered();
    for frame in text.split('\n').take(64) {
        door.frame(frame);
        door.pass(200);
    }
    door.rests();
}

/// Reads a list of STUN and TURN servers. What is kept can be written and read again, and there is not too much of it.
pub fn ice_servers(data: &[u8]) {
    let now = "2026-11-27T12:00:00Z".parse().expect("a time");
    let Some(list) = IceServerList::read(data, now) else { return };
    let urls: Vec<&IceUrl> = list.servers.iter().flat_map(|server| &server.urls).collect();
    assert!(urls.len() <= 4 * IceTransport::ALL.len(), "too many servers are kept: {}", urls.len());
    for url in urls {
        assert_eq!(
            url.to_string().parse::<IceUrl>().as_ref(),
            Ok(url),
            "an address is not the same when it is read again"
        );
    }
    assert!(
        list.lifetime.is_none_or(|lifetime| !lifetime.is_zero()),
        "a list without a lifetime would be asked for again at once"
    );
}

/// Reads a description of a far end. One in 256 goes to a real peer connection.
pub fn sdp(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if read_description(&text).is_err() {
        return;
    }
    let sum = data.iter().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    if sum != 0 {
        return;
    }
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));
    let context = MediaContext {
        dropped: std::sync::Arc::default(),
        meters: Arc::default(),
        packets: tokio::sync::broadcast::channel(1).0,
        config: MediaConfig { codecs: CONFIG.media.codecs.clone(), ..MediaConfig::default() },
        ice_servers: tokio::sync::watch::channel(Arc::default()).1,
        turn: TurnContext {
            connector: Connector::new(turn_client_config(None).expect("TLS"), None),
            faults: std::sync::Arc::default(),
        },
        extra_addresses: vec![([127, 0, 0, 1], 0).into()],
        rate_hz: 48_000,
        in_band: true,
        attach: Box::new(|_, _| {}),
    };
    let answered = RUNTIME
        .block_on(async { tokio::time::timeout(std::time::Duration::from_secs(10), answer(&context, &text)).await });
    assert!(answered.is_ok(), "the answer to an offer takes for ever");
}

/// Reads a configuration file.
pub fn configuration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse("/fuzz.toml", &text, &BTreeMap::new()) {
        Ok(config) => {
            // Every valid configuration can be run.
            let mut station = Station::new(Arc::new(config), 1, 1, Now { at: Time(0), local: None });
            station.handle(Now { at: Time(1), local: None }, Input::Tick);
            while station.poll_effect().is_some() {}
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// Packets of a far end. Each is its length, the time since the one before in ms, and its bytes.
pub fn rtp(data: &[u8]) {
    let mut receiver = OfflineReceiver::new(48_000).expect("codecs");
    let (mut rest, mut now_ms, mut frames) = (data, 0_u64, 0);
    while let [length, pause, bytes @ ..] = rest {
        let (packet, after) = bytes.split_at(usize::from(*length).min(bytes.len()));
        now_ms += u64::from(*pause);
        receiver.packet(packet, now_ms as f64);
        while frames < now_ms / 10 && frames < 500 {
            frames += 1;
            let frame = receiver.frame();
            assert!(frame.iter().all(|sample| sample.is_finite()), "a sample is not a number");
        }
        rest = after;
    }
    receiver.frame();
}

/// Sends lines of the control socket to a registered station.
pub fn control(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut door = Door::registered();
    for (number, line) in (0..).zip(text.split('\n').take(64)) {
        let Ok(request) = serde_json::from_str::<callbox::control::Request>(line) else { continue };
        if let Ok(command) = callbox::station::command_of(&CONFIG, request) {
            door.input(Input::Command(CommandId(number), By::Station, command));
        }
        door.pass(100);
    }
    door.rests();
}
