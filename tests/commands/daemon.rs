use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::{Process, callbox, run, until};

/// The configuration of a daemon whose server and sound card do not exist.
const ALONE: &str = r#"
[core]
url = "http://127.0.0.1:9"
allow_insecure = true
token = "very-secret"

[audio]
capture = "no-such-card"
playback = "no-such-card"

[control]
socket = "control.sock"

[[button]]
name = "bell"
pin = 17
press = { call = "100" }

[[output]]
name = "strike"
kind = "relay"
pin = 23
max_on_ms = 500
"#;

pub struct Daemon {
    pub folder: tempfile::TempDir,
    process: Process,
}

impl Daemon {
    pub fn start() -> Self {
        Self::start_with(ALONE)
    }

    pub fn start_with(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("callbox.toml"), config).unwrap();
        let process = Process::start(callbox(folder.path(), &["run", "--config", "callbox.toml"]));
        let daemon = Self { folder, process };
        until("the control socket", || daemon.folder.path().join("control.sock").exists().then_some(()));
        daemon
    }

    pub fn command(&self, arguments: &[&str]) -> (i32, String, String) {
        let all: Vec<&str> = arguments.iter().copied().chain(["--config", "callbox.toml"]).collect();
        run(self.folder.path(), &all)
    }

    /// Everything that it has logged, once it has ended.
    fn log(&mut self) -> String {
        let mut log = String::new();
        self.process.0.stderr.as_mut().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    pub fn status(&self) -> Value {
        let (code, out, errors) = self.command(&["status", "--json"]);
        assert_eq!(code, 0, "{errors}");
        serde_json::from_str(&out).unwrap()
    }
}

/// A server that fails every request, and the attempts that it has seen.
fn rude_server() -> (u16, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let attempts = Arc::<AtomicUsize>::default();
    let seen = Arc::clone(&attempts);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // The request is read first: the answer of a socket that is closed with unread bytes may get lost.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            seen.fetch_add(1, Ordering::Relaxed);
        }
    });
    (port, attempts)
}

#[test]
fn a_fault_that_lasts_is_reported_once_and_not_at_every_retry() {
    let (port, attempts) = rude_server();
    let mut daemon = Daemon::start_with(&ALONE.replace("127.0.0.1:9", &format!("127.0.0.1:{port}")));
    until("the fifth attempt", || (attempts.load(Ordering::Relaxed) >= 5).then_some(()));
    assert_eq!(daemon.process.terminate(), 0);
    let log = daemon.log();
    assert_eq!(log.matches("sound card fault").count(), 1, "{log}");
    assert!(log.matches("session offline").count() <= 2, "{log}");
    assert!(!log.contains("very-secret"), "{log}");
}

#[test]
fn without_server_and_card_the_daemon_stays_up_and_says_why() {
    let mut daemon = Daemon::start();
    let status = until("both faults", || {
        let status = daemon.status();
        (status["audio"]["fault"].is_string() && status["session"]["reason"].is_string()).then_some(status)
    });
    assert!(status["audio"]["fault"].as_str().unwrap().contains("no-such-card"), "{status}");
    assert!(status["session"]["reason"].as_str().unwrap().contains("127.0.0.1:9"), "{status}");
    let (code, out, _) = daemon.command(&["status"]);
    assert_eq!(code, 0);
    assert!(out.contains("session   offline") || out.contains("session   connecting"), "{out}");
    assert!(out.contains("sound     fault: no-such-card"), "{out}");
    assert_eq!(daemon.command(&["press", "bell"]).0, 0);
    assert_eq!(daemon.process.terminate(), 0);
    let log = daemon.log();
    assert!(!log.contains("very-secret"), "{log}");
    assert!(!daemon.folder.path().join("control.sock").exists(), "the daemon removes its socket");
}

#[test]
fn commands_have_the_exit_codes_of_the_contract() {
    let daemon = Daemon::start();
    let code = |arguments: &[&str]| daemon.command(arguments).0;
    assert_eq!(code(&["hangup"]), 4, "nothing to hang up: refused");
    assert_eq!(code(&["call", "100"]), 4, "not registered: refused");
    assert_eq!(code(&["call", "1 0 0"]), 2);
    assert_eq!(code(&["press", "gong"]), 2);
    assert_eq!(code(&["output", "strike", "sideways"]), 2);
    assert_eq!(code(&["volume", "101"]), 2);
    assert_eq!(code(&["volume", "40"]), 0);
    assert_eq!(code(&["mute"]), 0);
    assert_eq!(code(&["dtmf", "1"]), 4);
    assert_eq!(code(&["answer"]), 4);
    assert_eq!(code(&["hold"]), 4);
    assert_eq!(code(&["unhold"]), 4);
    let status = daemon.status();
    assert_eq!((status["audio"]["volume"].as_u64(), status["audio"]["muted"].as_bool()), (Some(40), Some(true)));
    let (_, _, errors) = daemon.command(&["press", "gong"]);
    assert_eq!(errors, "callbox: there is no button \"gong\"; there are: \"bell\"\n");
    let elsewhere = run(daemon.folder.path(), &["status", "--socket", "nothing.sock"]);
    assert_eq!(elsewhere.0, 3);
    assert!(elsewhere.2.contains("no running callbox at nothing.sock"), "{}", elsewhere.2);
}

#[test]
fn an_output_pulses_and_never_beyond_its_limit() {
    let daemon = Daemon::start();
    let strike = || daemon.status()["outputs"][0]["drive"].as_str().unwrap().to_owned();
    assert_eq!(daemon.command(&["output", "strike", "pulse", "--ms", "60000"]).0, 0);
    assert_eq!(strike(), "on");
    until("the limit", || (strike() == "off").then_some(()));
}

#[test]
fn events_are_followed_as_they_happen() {
    let daemon = Daemon::start();
    let mut follower = Process::start(callbox(daemon.folder.path(), &["events", "--json", "--socket", "control.sock"]));
    let reader = std::io::BufReader::new(follower.0.stdout.take().unwrap());
    let (lines, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || std::io::BufRead::lines(reader).try_for_each(|line| lines.send(line.unwrap())));
    // Only what happens after the follower has connected is reported, and nothing tells when that is.
    let found = until("the press", || {
        daemon.command(&["press", "bell"]);
        let events = received.try_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        events.into_iter().find(|event| event["event"] == "press")
    });
    assert_eq!((found["button"].as_str(), found["gesture"].as_str()), (Some("bell"), Some("press")));
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused() {
    let daemon = Daemon::start();
    let (code, _, errors) = run(daemon.folder.path(), &["run", "--config", "callbox.toml"]);
    // Not 2: systemd shall try again, because the other daemon may stop.
    assert_eq!(code, 1);
    assert!(errors.contains("another callbox listens there"), "{errors}");
    daemon.status();
}

#[test]
fn the_watchdog_is_fed_while_everything_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), ALONE).unwrap();
    let notify = std::os::unix::net::UnixDatagram::bind(folder.path().join("notify")).unwrap();
    notify.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let mut command = callbox(folder.path(), &["run", "--config", "callbox.toml"]);
    command.env("NOTIFY_SOCKET", folder.path().join("notify")).env("WATCHDOG_USEC", "900000");
    let _daemon = Process::start(command);
    let mut heard = Vec::new();
    while heard.iter().filter(|word| *word == "WATCHDOG=1").count() < 5 {
        let mut buffer = [0; 256];
        let length = notify.recv(&mut buffer).expect("a notification within 10 s");
        heard.push(String::from_utf8_lossy(&buffer[..length]).trim().to_owned());
    }
    assert!(heard.contains(&"READY=1".to_owned()), "{heard:?}");
}

#[test]
fn a_simulated_pin_is_moved_by_a_command_and_a_real_one_is_not() {
    let sensor = "[[sensor]]\nname = \"contact\"\npin = 27\nopened = { output = \"strike\", pulse_ms = 300 }\n";
    let simulated = format!("{ALONE}{sensor}[gpio]\nbackend = \"simulated\"\n");
    let daemon = Daemon::start_with(&simulated);
    let is_open = |daemon: &Daemon| daemon.status()["sensors"][0]["active"] == true;
    assert_eq!(daemon.command(&["input", "contact", "on"]).0, 0);
    until("the sensor", || is_open(&daemon).then_some(()));
    assert_eq!(daemon.command(&["input", "contact", "off"]).0, 0);
    until("the sensor at rest", || (!is_open(&daemon)).then_some(()));
    let (code, _, errors) = daemon.command(&["input", "door", "on"]);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("\"door\"") && errors.contains("\"contact\""), "{errors}");
    let real = Daemon::start_with(&format!("{ALONE}{sensor}"));
    let (code, _, errors) = real.command(&["input", "contact", "on"]);
    assert_ne!(code, 0);
    assert!(errors.contains("is not simulated"), "{errors}");
}

#[test]
fn a_machine_without_a_journal_is_told_how_to_keep_a_history() {
    let folder = tempfile::tempdir().unwrap();
    let output = callbox(folder.path(), &["history"]).env("PATH", folder.path()).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("callbox: journalctl cannot be run: "), "{errors}");
    assert!(errors.contains("`callbox events --json >> FILE`"), "{errors}");
}

/// A stand-in for journalctl, which this machine may not have. The real one is asked on the device machine.
#[test]
fn the_history_is_read_from_the_journal_as_it_prints_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let entry = |at_us: u64, fact: &str| {
        let fact = serde_json::to_string(fact).unwrap();
        format!("{{\"__REALTIME_TIMESTAMP\":\"{at_us}\",\"FACT_JSON\":{fact}}}")
    };
    let press = r#"{"event":"press","button":"bell","gesture":"press","by":{"kind":"finger","button":"bell"}}"#;
    let media = r#"{"event":"media","call_id":"a","connected":true}"#;
    let lines = [entry(1_764_000_000_123_456, press), entry(1_764_000_001_000_000, media), "-- Boot --".to_owned()];
    std::fs::write(folder.path().join("entries"), lines.join("\n")).unwrap();
    let script = format!("#!/bin/sh\necho \"$@\" > {0}/asked\n/bin/cat {0}/entries\n", folder.path().display());
    let journalctl = folder.path().join("journalctl");
    std::fs::write(&journalctl, script).unwrap();
    std::fs::set_permissions(&journalctl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let history = |arguments: &[&str]| {
        let all = [&["history"], arguments].concat();
        let output = callbox(folder.path(), &all).env("PATH", folder.path()).env("TZ", "UTC").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(history(&[]), "2025-11-24 16:00:00  button bell: press, by a finger on bell\n");
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    assert_eq!(asked, "--no-pager --output=json --output-fields=FACT_JSON --unit=callbox\n");
    let json: Vec<Value> = history(&["--json", "--all", "--since", "-2h"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(json[0]["at_ms"], 1_764_000_000_123_u64);
    assert_eq!((json[0]["event"].as_str(), json[1]["event"].as_str()), (Some("press"), Some("media")));
    assert!(std::fs::read_to_string(folder.path().join("asked")).unwrap().contains("--since=-2h"));
}
