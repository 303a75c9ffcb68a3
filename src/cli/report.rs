//! `callbox report FILE`: what a support ticket needs, in one file, without secrets and numbers (docs/report.md).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;

use super::client::{self, Daemon};
use super::output::say;
use super::{Exit, complain, environment};
use crate::blackbox::Redacted;
use crate::control::{Reply, Request};
use crate::core::Fact;
use crate::plain_text::plain;
use crate::signaling::write_private;

/// A program that takes longer is left out.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that is taken from one program, in bytes.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;
/// Lines of the journal that are taken, the newest ones.
const JOURNAL_LINES: &str = "5000";

#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// The file to write
    file: PathBuf,
    /// The unit of the daemon
    #[arg(long, value_name = "NAME", default_value = "callbox")]
    unit: String,
    #[command(flatten)]
    daemon: Daemon,
}

/// Collects everything, as far as it can be had: whoever needs a report has a station that does not work.
pub(super) async fn report(args: &ReportArgs) -> Exit {
    let redacted = match Redacted::with_random_seed() {
        Ok(redacted) => redacted,
        Err(problem) => {
            complain(format!("no random numbers, so secrets cannot be replaced: {problem}"));
            return Exit::Failed;
        }
    };
    let sections = [
        ("version", version().await),
        ("check", check(&args.daemon.config).await),
        ("configuration", configuration(&args.daemon.config, &redacted)),
        ("devices", own_command(&["devices"]).await),
        ("status", status(&args.daemon, &redacted).await),
        ("journal of the last hour", journal(&args.unit, &redacted).await),
        ("black box", black_box(&args.daemon).await),
    ];
    let mut text = format!("callbox report of {}\n", jiff::Timestamp::now());
    for (name, content) in &sections {
        let content =
            content.as_ref().map_or_else(|problem| format!("not available: {problem}"), |text| text.trim_end().into());
        // Writing into a string does not fail.
        let _ = write!(text, "\n==== {name} ====\n{content}\n");
    }
    if let Err(error) = write_private(&args.file, text.as_bytes()).await {
        complain(format!("{}: {error}", args.file.display()));
        return Exit::Failed;
    }
    say!("{}: {} KiB", args.file.display(), text.len() / 1024);
    for (name, content) in &sections {
        match content {
            Ok(_) => say!("  {name}"),
            Err(problem) => say!("  {name}: not available: {problem}"),
        }
    }
    say!("Secrets, numbers and names of people are replaced. It is a text: read it before you send it.");
    Exit::Done
}

type Content = Result<String, String>;

/// The program and the machine (os-release(5), uname(2)).
async fn version() -> Content {
    let system = tokio::fs::read_to_string("/etc/os-release").await.unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown");
    let kernel = tokio::fs::read_to_string("/proc/version").await.unwrap_or_default();
    let model = crate::gpio::raspberry_pi_model().map(|model| format!("board   {model}\n")).unwrap_or_default();
    let memory = tokio::fs::read_to_string("/proc/meminfo").await.unwrap_or_default();
    let memory: Vec<&str> = memory.lines().take(3).collect();
    let load = tokio::fs::read_to_string("/proc/loadavg").await.unwrap_or_default();
    Ok(format!(
        "callbox {} ({})\nsystem  {system}\nkernel  {}\n{model}load    {}\n{}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        kernel.trim(),
        load.trim(),
        memory.join("\n")
    ))
}

/// The errors and warnings of `callbox check`. What it says about rules has numbers and names, and is in the redacted
/// configuration.
async fn check(config: &Path) -> Content {
    let config = config.display().to_string();
    let output = run(&own_program()?, &["check", "--config", &config]).await?;
    let said = masked(&plain_lines(&output.errors));
    let said = if said.is_empty() { "no error and no warning".to_owned() } else { said };
    Ok(format!("exit code {}\n{said}", output.code.map_or_else(|| "none".to_owned(), |code| code.to_string())))
}

fn configuration(config: &Path, redacted: &Redacted) -> Content {
    let config = crate::config::load(config, &environment()).map_err(|_| "it has errors, see check".to_owned())?;
    pretty(&config, redacted)
}

async fn own_command(arguments: &[&str]) -> Content {
    Ok(plain_lines(&run(&own_program()?, arguments).await?.said))
}

async fn status(daemon: &Daemon, redacted: &Redacted) -> Content {
    match client::ask_quietly(daemon, &Request::Status).await? {
        Reply::Status(status) => pretty(&*status, redacted),
        _ => Err("the daemon has no status".into()),
    }
}

/// The black box, which the daemon redacts itself.
async fn black_box(daemon: &Daemon) -> Content {
    match client::ask_quietly(daemon, &Request::Dump { unredacted: false }).await? {
        Reply::Dump(text) => Ok(text),
        Reply::Error(error) => Err(error.message),
        _ => Err("the daemon has none".into()),
    }
}

/// An entry of the journal (systemd.journal-fields(7)).
#[derive(Deserialize)]
struct Entry {
    /// Microseconds since 1970.
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    at_us: String,
    #[serde(rename = "MESSAGE", default)]
    message: serde_json::Value,
    #[serde(rename = "FACT_JSON", default)]
    fact: Option<String>,
}

/// What the unit has logged. A fact is redacted by its types; any other message has no types, so its numbers are masked.
async fn journal(unit: &str, redacted: &Redacted) -> Content {
    let unit = format!("--unit={unit}");
    let arguments = ["--no-pager", "--output=json", "--since=-1h", "--lines", JOURNAL_LINES, &unit];
    let output = run(Path::new("journalctl"), &arguments).await?;
    let lines: Vec<String> = output.said.lines().filter_map(|line| entry(line, redacted)).collect();
    if lines.is_empty() { Err("the journal has nothing of this unit".into()) } else { Ok(lines.join("\n")) }
}

fn entry(line: &str, redacted: &Redacted) -> Option<String> {
    let Entry { at_us, message, fact } = serde_json::from_str(line).ok()?;
    let at = jiff::Timestamp::from_microsecond(at_us.parse().ok()?).ok()?;
    let told = match fact.map(|fact| serde_json::from_str::<Fact>(&fact)) {
        Some(Ok(fact)) => redacted.value(&fact).ok()?.to_string(),
        Some(Err(_)) => "an event of another version".to_owned(),
        // A message with bytes that are no text is a list of numbers.
        None => masked(&plain(message.as_str().unwrap_or("(no text)"))),
    };
    Some(format!("{at}  {told}"))
}

fn pretty<T: Serialize>(value: &T, redacted: &Redacted) -> Content {
    let value = redacted.value(value).map_err(|error| error.to_string())?;
    serde_json::to_string_pretty(&value).map_err(|error| error.to_string())
}

/// The text with `#` in place of the digits of every number of three digits or more.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, digits) = rest.split_at(begin);
        let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
        let (digits, after) = digits.split_at(end);
        masked.push_str(before);
        masked.push_str(&if digits.len() < 3 { digits.to_owned() } else { "#".repeat(digits.len()) });
        rest = after;
    }
    masked.push_str(rest);
    masked
}

/// The lines of a text, without harmful characters.
fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

struct Output {
    code: Option<i32>,
    said: String,
    errors: String,
}

fn own_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| error.to_string())
}

async fn run(program: &Path, arguments: &[&str]) -> Result<Output, String> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| format!("{name} takes longer than {} s", PATIENCE.as_secs()))?;
    let output = output.map_err(|error| format!("{name} cannot be run: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..MAX_OUTPUT).unwrap_or(bytes)).into_owned();
    Ok(Output { code: output.status.code(), said: text(&output.stdout), errors: text(&output.stderr) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_messages_are_masked_and_times_stay() {
        assert_eq!(masked("10:20 call from 5551234 on line 0, x100"), "10:20 call from ####### on line 0, x###");
    }

    #[test]
    fn a_fact_of_the_journal_loses_numbers_and_names_and_keeps_the_rest() {
        let redacted = Redacted::with_random_seed().unwrap();
        let line = |fact: &str| {
            let fact = serde_json::to_string(fact).unwrap();
            format!(r#"{{"__REALTIME_TIMESTAMP":"1764000000123456","MESSAGE":"from 5551234","FACT_JSON":{fact}}}"#)
        };
        let call = r#"{"event":"call","call_id":"abc","line":0,"direction":"incoming","number":"5551234","by":{"kind":"caller","number":"5551234"},"state":"idle","cause":{"code":486,"text":"Busy"}}"#;
        let told = entry(&line(call), &redacted).unwrap();
        assert!(!told.contains("5551234") && told.contains("\"abc\"") && told.contains("486"), "{told}");
        let code = r#"{"event":"code","reader":"keypad","code":"Anna","accepted":true,"locked":false}"#;
        let told = entry(&line(code), &redacted).unwrap();
        assert!(!told.contains("Anna") && told.contains("keypad"), "{told}");
        let other = r#"{"__REALTIME_TIMESTAMP":"1764000000123456","MESSAGE":"token 123456 for 5551234"}"#;
        assert!(entry(other, &redacted).unwrap().ends_with("token ###### for #######"));
    }
}
