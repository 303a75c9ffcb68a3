//! `callbox dump` and `callbox replay`: the black box of a running station, and what it did.

use std::path::Path;

use super::client::{self, Daemon};
use super::words;
use super::{Exit, complain};
use crate::blackbox::Dump;
use crate::control::{Reply, Request};
use crate::signaling::write_secret;

/// Writes the black box of the running daemon to a file that only its owner can read.
pub(super) async fn dump(daemon: &Daemon, file: &Path, unredacted: bool) -> Exit {
    match client::ask(daemon, &Request::Dump { unredacted }).await {
        Ok(Reply::Dump(text)) => {
            if let Err(error) = write_secret(file, &text).await {
                complain(format!("{}: {error}", file.display()));
                return Exit::Failed;
            }
            let secrets = if unredacted { "with its numbers and codes" } else { "numbers, codes and names replaced" };
            println!(
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

/// Runs a recording through the core and tells, input by input, what was decided.
pub(super) fn replay(file: &Path) -> Exit {
    let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let dump = read.and_then(|text| Dump::from_text(&text).map_err(|error| format!("is no recording: {error}")));
    let dump = match dump {
        Ok(dump) => dump,
        Err(problem) => {
            complain(format!("{}: {problem}", file.display()));
            return Exit::Usage;
        }
    };
    if dump.version != env!("CARGO_PKG_VERSION") {
        let version = &dump.version;
        println!("recorded by callbox {version}: this one, {}, may decide otherwise", env!("CARGO_PKG_VERSION"));
    }
    let first = dump.inputs.first().map_or(0, |entry| entry.at.0);
    let redacted = if dump.redacted { ", numbers and codes replaced" } else { "" };
    println!("{} inputs{redacted}", dump.inputs.len());
    let mut station = *dump.station;
    let config = station.config();
    for entry in dump.inputs {
        let at = (entry.at.0 - first.min(entry.at.0)) as f64 / 1000.0;
        let words = words::input(&entry.input);
        station.handle(entry.now(), entry.input);
        let decided: Vec<String> =
            std::iter::from_fn(|| station.poll_output()).filter_map(|output| words::output(&config, &output)).collect();
        // Most deadlines are only looked at.
        if decided.is_empty() && words == "a deadline" {
            continue;
        }
        println!("{at:>9.3} s  {words}");
        for line in decided {
            println!("                 {line}");
        }
    }
    Exit::Done
}
