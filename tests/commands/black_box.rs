use std::os::unix::fs::PermissionsExt;

use crate::daemon::Daemon;
use crate::{run, until};

const HOUSE: &str = r#"
[core]
url = "https://core.example.com"
token = "t"

[[button]]
name = "bell"
pin = 17
press = [{ hours = "Mo-Fr 07:00-19:00", call = "100", ring_s = 20 }, { call = ["101", "102"], ring_s = 15 }]
"#;

fn explain(arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("house.toml"), HOUSE).unwrap();
    let all: Vec<&str> = ["explain"].iter().chain(arguments).copied().chain(["--config", "house.toml"]).collect();
    run(folder.path(), &all)
}

#[test]
fn a_press_is_explained_without_being_made() {
    let (code, out, errors) = explain(&["--press", "bell", "--at", "Sun 03:00"]);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("rule 1 does not match") && out.contains("rule 2 matches: call 101, 102 in turn"), "{out}");
    let first = out.find("send outgoing_call to 101").unwrap();
    assert!(out.find("send outgoing_call to 102").unwrap() > first, "{out}");
    let (_, out, _) = explain(&["--press", "bell", "--at", "Mon 12:00"]);
    assert!(out.contains("rule 1 matches") && out.contains("send outgoing_call to 100"), "{out}");
    assert!(!out.contains("send outgoing_call to 101"), "{out}");
}

#[test]
fn an_offline_press_is_explained_to_its_end() {
    let (code, out, _) = explain(&["--press", "bell", "--offline"]);
    assert_eq!(code, 0);
    let why = out.find("5.0 s  deadline: a press has waited for too long").expect(&out);
    assert!(out.find("5.0 s  play no_connection").is_some_and(|what| what > why), "{out}");
    assert!(!out.contains("send outgoing_call"), "{out}");
}

#[test]
fn a_question_that_makes_no_sense_is_answered_with_a_remedy() {
    let (code, _, errors) = explain(&["--press", "gong"]);
    assert_eq!((code, errors.as_str()), (2, "callbox: there is no button \"gong\"; there are: bell\n"));
    let (code, _, errors) = explain(&["--press", "bell", "--at", "Xun 12:00"]);
    assert_eq!(code, 2);
    assert!(errors.contains("\"Xun\" is not a day of the week; write a day and a time, such as \"Sun"), "{errors}");
    let (code, _, errors) = explain(&["--press", "bell", "--at", "Sun 25:00"]);
    assert_eq!(code, 2);
    assert!(errors.contains("\"25:00\" is not a time of day"), "{errors}");
}

#[test]
fn the_black_box_is_written_for_its_owner_only_and_runs_again() {
    let daemon = Daemon::start();
    daemon.command(&["press", "bell"]);
    until("the press to be refused", || daemon.status()["session"]["reason"].is_string().then_some(()));
    let (code, out, errors) = daemon.command(&["dump", "box.json"]);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("numbers, codes and names replaced"), "{out}");
    let file = daemon.folder.path().join("box.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("very-secret") && !text.contains("\"100\""), "{text}");
    let (code, out, errors) = run(daemon.folder.path(), &["replay", "box.json"]);
    assert_eq!(code, 0, "{errors}");
    assert!(
        out.contains("command by user somebody: Press") && out.contains("(button bell: press, by user somebody)"),
        "{out}"
    );
    assert!(out.contains("connect to http://127.0.0.1:9/"), "{out}");
    assert!(out.contains("s  deadline: time to connect\n"), "{out}");
    // With --unredacted, nothing is replaced.
    assert_eq!(daemon.command(&["dump", "whole.json", "--unredacted"]).0, 0);
    let whole = std::fs::read_to_string(daemon.folder.path().join("whole.json")).unwrap();
    assert!(whole.contains("\"100\"") && whole.contains("\"redacted\":false"));
    assert!(!whole.contains("very-secret"), "the token is never written");
    let (code, _, errors) = run(daemon.folder.path(), &["replay", "callbox.toml"]);
    assert_eq!(code, 2);
    assert!(errors.contains("is not a recording"), "{errors}");
}

#[test]
fn without_a_call_there_is_nothing_to_explain() {
    let daemon = Daemon::start();
    let (code, out, _) = daemon.command(&["explain", "last"]);
    assert_eq!((code, out.as_str()), (0, "no call has ended since the daemon started\n"));
}
