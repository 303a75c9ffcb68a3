//! Output whose reader closes the pipe early.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::{callbox, until};

const CONFIGURATION: &str = "[core]\nurl = \"https://core.example.com\"\ntoken = \"t\"\n\
    [[button]]\nname = \"bell\"\npin = 17\npress = { call = \"100\" }\n";

/// Runs a command and closes its output after this many lines, as `| head -1` does. Returns the exit code and what was
/// written to stderr.
fn cut_short(folder: &std::path::Path, arguments: &[&str], lines: usize) -> (i32, String) {
    let mut child = callbox(folder, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::with_capacity(16, child.stdout.take().unwrap());
    for _ in 0..lines {
        reader.read_line(&mut String::new()).unwrap();
    }
    drop(reader);
    let code = until("the end of the command", || child.try_wait().unwrap()).code();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    (code.unwrap_or(-1), errors)
}

#[test]
fn a_pipe_that_closes_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), CONFIGURATION).unwrap();
    let config = ["--config", "callbox.toml"];
    for arguments in [
        &[&["check"][..], &config].concat()[..],
        &[&["explain", "--press", "bell"][..], &config].concat(),
        &["completions", "bash"],
        &["man"],
        &["schema", "status"],
        &["devices"],
        &["devices", "--json"],
        &["--help"],
    ] {
        for lines in [0, 1] {
            let (code, errors) = cut_short(folder.path(), arguments, lines);
            assert!(!errors.contains("panicked") && !errors.contains("Broken pipe"), "{arguments:?}: {errors}");
            assert_eq!(code, 0, "{arguments:?}");
        }
    }
}

#[test]
fn status_and_events_end_quietly_when_nobody_reads_them() {
    let daemon = Daemon::start();
    let folder = daemon.folder.path();
    let socket = ["--socket", "control.sock"];
    let (code, errors) = cut_short(folder, &[&["status"][..], &socket].concat(), 1);
    assert_eq!((code, errors.as_str()), (0, ""));
    let mut child = callbox(folder, &[&["events"][..], &socket].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = until("the end of events", || {
        daemon.command(&["press", "bell"]);
        std::thread::sleep(Duration::from_millis(50));
        child.try_wait().unwrap()
    });
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((ended.code(), errors.as_str()), (Some(0), ""));
}

#[test]
fn an_error_that_nobody_reads_is_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = callbox(folder.path(), &["check", "--config", "nothing.toml"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let ended = until("the end of the command", || child.try_wait().unwrap());
    assert!(ended.code().is_some(), "{ended:?}: in the installed program, a panic ends with a signal");
}

#[test]
fn a_command_that_fails_says_so_by_its_exit_code_though_nobody_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), "[core]\nurl = 5\n").unwrap();
    for (arguments, expected) in [
        (&["check", "--config", "callbox.toml"][..], 2),
        (&["run", "--config", "callbox.toml"], 2),
        (&["status", "--socket", "nobody.sock"], 3),
        (&["audio", "test", "--config", "callbox.toml"], 2),
    ] {
        let mut child =
            callbox(folder.path(), arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(
            until("the end of the command", || child.try_wait().unwrap()).code(),
            Some(expected),
            "{arguments:?}"
        );
    }
}
