//! `callbox report`: one file for a support ticket.

use crate::{Process, callbox, run};

const STATION: &str = "[core]\nurl = \"http://127.0.0.1:9\"\nallow_insecure = true\ntoken = \"secret-token\"\n\
                       [gpio]\nbackend = \"simulated\"\n\
                       [[button]]\nname = \"bell\"\npin = 1\npress = { call = \"5551234\" }\n\
                       [[dtmf]]\ndigits = \"73918\"\nfrom = [\"5551234\"]\nrun = { play = \"door_open\" }\n\
                       [[hook]]\non = [\"press\"]\nurl = \"https://house.example/hook-secret\"\n\
                       [control]\nsocket = \"control.sock\"\n";

const ARGUMENTS: [&str; 6] = ["report", "report.txt", "--config", "callbox.toml", "--socket", "control.sock"];

#[test]
fn a_report_has_everything_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), STATION).unwrap();
    let mut daemon = Process::start(callbox(folder.path(), &["run", "--config", "callbox.toml"]));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while run(folder.path(), &["press", "bell", "--socket", "control.sock"]).0 == 3 {
        assert!(std::time::Instant::now() < until, "no daemon");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let (code, out, errors) = run(folder.path(), &ARGUMENTS);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("Secrets, numbers and names of people are replaced"), "{out}");
    let text = std::fs::read_to_string(folder.path().join("report.txt")).unwrap();
    for section in ["version", "check", "configuration", "devices", "status", "journal of the last hour", "black box"] {
        assert!(text.contains(&format!("==== {section} ====")), "{section}");
    }
    for kept in ["\"bell\"", "offline", "http://127.0.0.1:9", "\"counters\""] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    for secret in ["secret-token", "5551234", "73918", "hook-secret"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    daemon.terminate();
}

#[test]
fn a_station_without_a_session_is_not_healthy_and_a_script_learns_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), STATION).unwrap();
    let healthy = |more: &[&str]| run(folder.path(), &[&["healthy", "--socket", "control.sock"], more].concat());
    let (code, _, errors) = healthy(&[]);
    assert_eq!(code, 3, "{errors}");
    let mut daemon = Process::start(callbox(folder.path(), &["run", "--config", "callbox.toml"]));
    // It waits for the daemon, and then for its health.
    let (code, _, errors) = healthy(&["--wait-s", "4"]);
    assert_eq!(code, 1, "{errors}");
    assert!(
        errors.contains("session: ") && errors.contains("; callbox check --network says which step fails"),
        "{errors}"
    );
    daemon.terminate();
}

#[test]
fn a_report_without_a_daemon_says_what_is_missing() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), "[core]\nurl = 5\n").unwrap();
    let (code, out, errors) = run(folder.path(), &ARGUMENTS);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("status: not available: no running callbox at"), "{out}");
    assert!(out.contains("configuration: not available: it has errors, see check"), "{out}");
    let file = folder.path().join("report.txt");
    assert!(std::fs::read_to_string(&file).unwrap().contains("core.url"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
