//! Ten deliberate bugs in the core, each of which the simulator must find: `make mutants`,
//! or one of them with `MUTANT="dead link"`.
//!
//! Each is a change in one place of a copy of the sources, which is built and run like the original.

use std::path::{Path, PathBuf};
use std::process::Command;

/// File below `src`, what stands there, what the bug puts in its place, and what it does.
const MUTANTS: [(&str, &str, &str, &str); 10] = [
    (
        "core/scene.rs",
        "Some(SceneCall { media, microphone: false, loudspeaker: true })",
        "Some(SceneCall { media, microphone: true, loudspeaker: true })",
        "the microphone is open while the far end rings",
    ),
    (
        "core/outputs.rs",
        "self.off_at = [wanted, limit].into_iter().flatten().min();",
        "self.off_at = wanted.or(limit);",
        "a pulse may be longer than max_on_ms",
    ),
    ("config/station.rs", "None => called_by_us,\n", "None => true,\n", "anybody who calls may open the door"),
    (
        "core/established.rs",
        "hunt.answered = true;",
        "hunt.answered = false;",
        "the list goes on after somebody has answered",
    ),
    (
        "core/recovery.rs",
        "self.session.resend_farewells(&live, self.now.at, &mut self.outbox);",
        "",
        "a hangup that went down with its socket is not sent again",
    ),
    (
        "core/session.rs",
        "*keepalive = Some((transaction, now + TRANSACTION_TIMEOUT));",
        "*keepalive = Some((transaction, now + TRANSACTION_TIMEOUT * 60));",
        "a dead link is found too late",
    ),
    (
        "core/proof.rs",
        "let again = call.direction == Direction::Outgoing && !call.redial && alone && !self.shutting_down;",
        "let again = call.direction == Direction::Outgoing && alone && !self.shutting_down;",
        "a call without media is dialled again and again",
    ),
    (
        "core/output.rs",
        "microphone: mode != CallMode::Announce",
        "microphone: mode != CallMode::Listen",
        "an announcement opens the microphone",
    ),
    (
        "core/outgoing.rs",
        "hunt.waits_until = Some(self.now.at + patience);",
        "hunt.waits_until = Some(self.now.at + patience * 1000);",
        "presses are kept for ever and dialled in the night",
    ),
    (
        "core/actions.rs",
        "            Again::Ignore => self.play(Sound::Connecting, false),",
        "            Again::Ignore => {}",
        "a second press is met with silence",
    ),
];

/// Copies everything that the simulator is built from.
fn copy(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Cargo refuses a manifest if a test that it names is missing.
    let tests = ["cards", "commands", "connection", "fuzz", "media", "network", "realtime", "sandbox", "sim"]
        .map(|test| format!("tests/{test}"));
    let parts = ["Cargo.toml", "Cargo.lock", "src"].map(str::to_owned).into_iter().chain(tests);
    for part in parts {
        let target = to.join(&part);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let _ = std::fs::remove_dir_all(&target);
        let done = Command::new("cp").arg("-r").arg(from.join(&part)).arg(&target).status().unwrap();
        assert!(done.success());
    }
}

#[test]
#[ignore = "builds the core ten times: make mutants"]
fn each_of_ten_deliberate_bugs_is_found() {
    let folder =
        std::env::var("MUTANTS_DIR").map_or_else(|_| std::env::temp_dir().join("callbox-mutants"), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    let mut survivors = Vec::new();
    let only = std::env::var("MUTANT").ok();
    for (file, original, mutated, what) in MUTANTS {
        if only.as_ref().is_some_and(|only| !what.contains(only.as_str())) {
            continue;
        }
        copy(&folder);
        let path = folder.join("src").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(original).count(), 1, "{file} must contain this exactly once: {original}");
        std::fs::write(&path, text.replace(original, mutated)).unwrap();
        let output = Command::new(std::env::var("CARGO").unwrap_or("cargo".into()))
            .args(["test", "--quiet", "--no-default-features", "--profile", "sim", "--test", "sim", "nothing"])
            .current_dir(&folder)
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .env("YEARS", "2")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let found = text.lines().find(|line| line.starts_with("BROKEN"));
        println!("{what}: {}", found.unwrap_or("NOT FOUND"));
        assert!(output.status.success() || found.is_some(), "{what}: it does not build\n{text}");
        if found.is_none() {
            survivors.push(what);
        }
    }
    assert!(survivors.is_empty(), "not found: {survivors:?}");
}
