//! `callbox history`: what has happened at the station, from systemd's journal.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::output::{self, say, say_error};
use super::{Exit, complain, narrate};
use crate::control::EventRecord;
use crate::core::{CallState, Drive, Fact};
use crate::plain_text::plain;

/// Where journald keeps what outlives a start of the machine (journald.conf(5), `Storage=`).
const PERSISTENT: &str = "/var/log/journal";
/// An entry with a longer line is none of ours.
const MAX_LINE_BYTES: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct HistoryArgs {
    /// From when on, as journalctl reads it: "2026-11-27 07:00", yesterday, -2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Everything that happened, and not only who came, who opened and what failed
    #[arg(long)]
    all: bool,
    /// Print JSON, one object per line
    #[arg(long)]
    json: bool,
    /// The unit of the daemon
    #[arg(long, value_name = "NAME", default_value = "callbox")]
    unit: String,
}

/// An entry of the journal, of the fields that are asked for (systemd.journal-fields(7)).
#[derive(Deserialize)]
struct Entry {
    /// Microseconds since 1970.
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    at_us: String,
    /// The fact, as `callbox events --json` has it.
    #[serde(rename = "FACT_JSON")]
    fact: String,
}

/// Prints the facts of the past. The journal is asked as `journalctl` does it, and with the rights of the caller.
pub(super) fn history(args: &HistoryArgs) -> Exit {
    let mut journalctl = Command::new("journalctl");
    journalctl.args(["--no-pager", "--output=json", "--output-fields=FACT_JSON"]);
    journalctl.arg(format!("--unit={}", args.unit));
    journalctl.args(args.since.iter().map(|since| format!("--since={since}")));
    let child = journalctl.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            complain(format!(
                "journalctl cannot be run: {error}; the history is in systemd's journal, and where there is none, \
                 `callbox events --json >> FILE` records what happens from now on"
            ));
            return Exit::Failed;
        }
    };
    let mut told = 0_usize;
    if let Some(lines) = child.stdout.take() {
        for line in BufReader::new(lines).split(b'\n').map_while(Result::ok) {
            if output::reader_is_gone() {
                break;
            }
            if let Some(record) = record(&line).filter(|record| args.all || is_told(&record.fact)) {
                told += 1;
                if args.json {
                    narrate::print_json(&record);
                } else {
                    say!("{}  {}", narrate::date_and_time_of(&record), plain(&record.fact.to_string()));
                }
            }
        }
    }
    // Whoever closes the pipe early does not wait for the rest of the journal.
    if output::reader_is_gone() {
        let _ = child.kill();
    }
    match child.wait() {
        Ok(status) if !status.success() && !output::reader_is_gone() => Exit::Failed,
        Ok(_) => {
            remark(told, args);
            Exit::Done
        }
        Err(error) => {
            complain(format!("journalctl: {error}"));
            Exit::Failed
        }
    }
}

/// The fact in an entry; `None` if it has none.
fn record(line: &[u8]) -> Option<EventRecord> {
    if line.len() > MAX_LINE_BYTES {
        return None;
    }
    let Entry { at_us, fact } = serde_json::from_slice(line).ok()?;
    Some(EventRecord { at_ms: at_us.parse::<u64>().ok()? / 1000, fact: serde_json::from_str(&fact).ok()? })
}

/// Says why there may be more, or less, than somebody looks for.
fn remark(told: usize, args: &HistoryArgs) {
    if told == 0 {
        let since = args.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
        say_error!("callbox: the journal has nothing of the unit {}{since}", plain(&args.unit));
    }
    if !Path::new(PERSISTENT).is_dir() {
        say_error!(
            "callbox: the journal begins at the last start of this machine, since it is kept in memory; to keep it: \
             mkdir {PERSISTENT} && systemctl restart systemd-journald"
        );
    }
}

/// Whether a fact says who came, who opened, or what failed.
fn is_told(fact: &Fact) -> bool {
    match fact {
        Fact::Call { state, .. } => {
            use CallState::{Dialing, Established, Idle, Incoming};
            matches!(state, Dialing | Incoming | Established | Idle)
        }
        Fact::Output { drive, .. } => *drive == Drive::On,
        Fact::Media { .. }
        | Fact::Silence { .. }
        | Fact::Repair { .. }
        | Fact::ServerHears { .. }
        | Fact::SlowLink { .. }
        | Fact::NoTelephoneEvents { .. }
        | Fact::IceServers { .. }
        | Fact::Sensor { .. }
        | Fact::Play { .. }
        | Fact::Talk { .. }
        | Fact::Mute { .. }
        | Fact::Volume { .. }
        | Fact::Protocol { .. } => false,
        Fact::Session { .. }
        | Fact::Press { .. }
        | Fact::Door { .. }
        | Fact::Pin { .. }
        | Fact::PressRefused { .. }
        | Fact::SensorRefused { .. }
        | Fact::DoorRefused { .. }
        | Fact::ScheduleRefused { .. }
        | Fact::ScheduleFault { .. }
        | Fact::Schedule { .. }
        | Fact::MissedCall { .. }
        | Fact::Dtmf { .. }
        | Fact::Code { .. }
        | Fact::Reader { .. }
        | Fact::ReaderRefused { .. }
        | Fact::OutputRefused { .. }
        | Fact::Alarm { .. }
        | Fact::Custom { .. }
        | Fact::Mode { .. }
        | Fact::Command { .. }
        | Fact::CallRefused { .. }
        | Fact::Audio { .. }
        | Fact::Microphone { .. }
        | Fact::Interface { .. }
        | Fact::Clock { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_journal_is_the_fact_that_was_logged() {
        let line = br#"{"__REALTIME_TIMESTAMP":"1764000000123456","__CURSOR":"x","FACT_JSON":"{\"event\":\"press\",\"button\":\"bell\",\"gesture\":\"press\",\"by\":{\"kind\":\"finger\",\"button\":\"bell\"}}"}"#;
        let record = record(line).unwrap();
        assert_eq!(record.at_ms, 1_764_000_000_123);
        assert!(matches!(&record.fact, Fact::Press { button, .. } if button == "bell"));
        for other in [&b"-- No entries --"[..], b"{}", br#"{"__REALTIME_TIMESTAMP":"x","FACT_JSON":"{}"}"#, b"\xff"] {
            assert!(super::record(other).is_none());
        }
    }
}
