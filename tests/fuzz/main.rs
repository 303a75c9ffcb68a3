//! Replays the fuzzers' corpora, and whatever the fuzzers found, on stable Rust.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Gives every file of a corpus to its target.
fn replay(name: &str, target: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5, "{}: the corpus has only {} files", folder.display(), files.len());
    for file in files {
        let data = std::fs::read(&file).unwrap();
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&data))).is_err() {
            panic!("{} breaks the target", file.display());
        }
    }
}

#[test]
fn frames_of_a_server() {
    replay("signaling", targets::signaling);
}

#[test]
fn descriptions_of_a_far_end() {
    replay("sdp", targets::sdp);
}

#[test]
fn configurations() {
    replay("configuration", targets::configuration);
}

#[test]
fn packets_of_a_far_end() {
    replay("rtp", targets::rtp);
}

#[test]
fn datagrams_at_the_media_port() {
    replay("guard", targets::guard);
}

#[test]
fn ice_servers_of_a_server() {
    replay("ice_servers", targets::ice_servers);
}

#[test]
fn stun_of_anybody() {
    replay("stun", targets::stun);
}

#[test]
fn dtls_of_anybody() {
    replay("dtls", targets::dtls);
}

#[test]
fn srtp_of_anybody() {
    replay("srtp", targets::srtp);
}

#[test]
fn lines_of_the_control_socket() {
    replay("control", targets::control);
}

#[test]
fn sequences_of_all_inputs_of_the_core() {
    replay("core", targets::core);
}
