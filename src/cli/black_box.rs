//! `callbox dump` and `callbox replay`: write the black box of a running station, or the packets of a call, to a file,
//! and show what the station in a black box decided.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use super::client::{self, Daemon};
use super::narrate;
use super::output::say;
use super::{Exit, complain};
use crate::blackbox::Dump;
use crate::control::{Reply, Request};
use crate::core::Input;
use crate::media::rtpdump::{self, CallPacket};
use crate::signaling::{write_private, write_secret};

/// Writes the black box of the running daemon to a file that only its owner can read.
pub(super) async fn dump(daemon: &Daemon, file: &Path, unredacted: bool) -> Exit {
    match client::ask(daemon, &Request::Dump { unredacted }).await {
        Ok(Reply::Dump(text)) => {
            if let Err(error) = write_secret(file, &text).await {
                complain(format!("{}: {error}", file.display()));
                return Exit::Failed;
            }
            let secrets = if unredacted { "with its numbers and codes" } else { "numbers, codes and names replaced" };
            say!(
                "{}: {} KiB, {secrets}; see it with: callbox replay {}",
                file.display(),
                text.len() / 1024,
                file.display()
            );
            Exit::Done
        }
        Ok(reply) => client::refused(reply),
        Err(exit) => exit,
    }
}

/// Records the packets of the first call that receives any.
pub(super) async fn packets(daemon: &Daemon, file: &Path, length: Duration) -> Exit {
    let mut client = match client::connect(daemon).await {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    match client.request(&Request::Packets).await {
        Ok(Reply::Ok(_)) => {}
        Ok(reply) => return client::refused(reply),
        Err(error) => return client::fail(error),
    }
    let (began, mut packets, mut call) = (since_1970(), Vec::new(), None);
    let end = sleep(length);
    tokio::pin!(end);
    loop {
        let next = tokio::select! {
            next = client.next::<CallPacket>() => next,
            () = &mut end => break,
            _ = tokio::signal::ctrl_c() => break,
        };
        match next {
            Ok(Some(next)) if *call.get_or_insert(next.call) == next.call => packets.push(next.packet),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => return client::fail(error),
        }
    }
    let Some(first_ms) = packets.first().map(|packet| packet.at_ms) else {
        complain("no packet came from a far end: is a call up, and does its far end send?");
        return Exit::Failed;
    };
    packets.iter_mut().for_each(|packet| packet.at_ms -= first_ms);
    let name = file.display();
    if let Err(error) = write_private(file, &rtpdump::write(began, &packets)).await {
        complain(format!("{name}: {error}"));
        return Exit::Failed;
    }
    let count = packets.len();
    say!("{name}: {count} packets of one call; hear it with: callbox dsp receive --trace {name} --out call.wav");
    Exit::Done
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Runs a recording through the core and prints, input by input, what the core decides.
pub(super) fn replay(file: &Path) -> Exit {
    let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let dump = read.and_then(|text| Dump::from_text(&text).map_err(|error| format!("is not a recording: {error}")));
    let dump = match dump {
        Ok(dump) => dump,
        Err(problem) => {
            complain(format!("{}: {problem}", file.display()));
            return Exit::Usage;
        }
    };
    if dump.version != env!("CARGO_PKG_VERSION") {
        let version = &dump.version;
        say!("recorded by callbox {version}: this version, {}, may decide differently", env!("CARGO_PKG_VERSION"));
    }
    let first = dump.inputs.first().map_or(0, |entry| entry.at.0);
    let redacted = if dump.redacted { ", numbers and codes replaced" } else { "" };
    say!("{} inputs{redacted}", dump.inputs.len());
    let mut station = *dump.station;
    let config = station.config();
    for entry in dump.inputs {
        let at = (entry.at.0 - first.min(entry.at.0)) as f64 / 1000.0;
        let is_deadline = matches!(entry.input, Input::Tick);
        let due = station.next_deadline().filter(|deadline| deadline.at <= entry.at);
        let message = narrate::input(&entry.input, due);
        station.handle(entry.now(), entry.input);
        let decided: Vec<String> = std::iter::from_fn(|| station.poll_effect())
            .filter_map(|effect| narrate::effect(&config, &effect))
            .collect();
        // Most deadlines lead to no decision.
        if decided.is_empty() && is_deadline {
            continue;
        }
        say!("{at:>9.3} s  {message}");
        for line in decided {
            say!("                 {line}");
        }
    }
    Exit::Done
}
