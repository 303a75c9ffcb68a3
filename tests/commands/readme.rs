//! Every command of the README, run in a folder of its own.

use std::path::Path;
use std::process::Command;

use crate::{CALLBOX, Process, callbox, parts, until};

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let text = readme();
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The commands of the shell blocks.
fn commands() -> Vec<String> {
    blocks("sh")
        .iter()
        .flat_map(|block| block.lines())
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_two_commands_of_the_start_are_targets_of_the_makefile() {
    let makefile = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Makefile")).unwrap();
    let makes: Vec<String> = commands().into_iter().filter(|command| command.starts_with("make ")).collect();
    assert!(makes.contains(&"make demo".into()) && makes.contains(&"make test".into()), "{makes:?}");
    for command in makes {
        let target = command.trim_start_matches("make ");
        assert!(makefile.contains(&format!("\n{target}:")), "{target}");
    }
}

#[test]
fn the_service_has_bounds_for_memory_and_tasks() {
    let unit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/callbox.service")).unwrap();
    for bound in ["MemoryMax=", "TasksMax=", "MemorySwapMax=0"] {
        assert!(unit.lines().any(|line| line.starts_with(bound)), "{bound}");
    }
}

#[test]
fn no_example_has_a_code_that_is_soon_guessed() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut examples =
        vec![root.join("README.md"), root.join("systemd/callbox.toml"), root.join("src/sandbox/station.toml")];
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    examples.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    for example in examples {
        let text = std::fs::read_to_string(&example).unwrap();
        for line in text.lines() {
            let code = line.split_once("digits = \"").and_then(|(_, rest)| rest.split_once('"')).map(|(code, _)| code);
            assert!(code.is_none_or(|code| code.len() >= 4), "{}: {line}", example.display());
        }
    }
}

/// The README's steps to a first door, with the sandbox as the server.
/// A command that does not meet another station of this machine.
fn alone(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = callbox(folder, arguments);
    command.env("CALLBOX_CONTROL__SOCKET", folder.join("control.sock"));
    command
}

#[test]
fn the_way_to_the_first_door_works_to_the_letter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let sandbox = Process::start(callbox(path, &["sandbox", "--listen", "127.0.0.1:0", "--no-station"]));
    let mut sandbox = sandbox;
    let mut reader = std::io::BufReader::new(sandbox.0.stdout.take().unwrap());
    let url = until("the sandbox", || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        line.strip_prefix("Web phone  ").map(|url| url.trim().trim_end_matches('/').to_owned())
    });
    let config = blocks("toml").into_iter().next().expect("the README has a configuration");
    assert!(config.contains("https://core.example.com"));
    let config =
        config.replace("url = \"https://core.example.com\"", &format!("url = \"{url}\"\nallow_insecure = true"));
    std::fs::write(path.join("callbox.toml"), config).unwrap();
    std::fs::write(path.join("password"), "callbox\n").unwrap();
    let mut daemon = None;
    let typed: Vec<String> = commands().into_iter().filter(|command| command.starts_with("callbox ")).collect();
    assert!(typed.iter().any(|command| command.starts_with("callbox login")), "{typed:?}");
    for command in typed {
        let command = command.replace("https://core.example.com", &url).replace("--user door", "--user 100");
        // As in a shell, quotes keep a word together.
        let arguments: Vec<&str> = command
            .split('"')
            .enumerate()
            .flat_map(|(part, text)| if part % 2 == 1 { vec![text] } else { text.split_whitespace().collect() })
            .skip(1)
            .collect();
        match arguments.first().copied() {
            Some("sandbox") => {}
            Some("run") => {
                daemon = Some(Process::start(alone(path, &arguments)));
                until("registration", || {
                    let (_, out, _) = parts(&alone(path, &["status"]).output().unwrap());
                    out.contains("session   registered").then_some(())
                });
            }
            _ => {
                let (code, out, errors) = parts(&alone(path, &arguments).output().unwrap());
                // Nobody answers in this test: a command that needs a call is refused.
                let allowed = if arguments.first() == Some(&"hangup") { vec![0, 4] } else { vec![0] };
                assert!(allowed.contains(&code), "{command}: {code}\n{out}{errors}");
            }
        }
    }
    assert!(daemon.is_some(), "the README starts the daemon");
}

#[test]
fn the_version_is_printed() {
    let output = Command::new(CALLBOX).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("callbox {}\n", env!("CARGO_PKG_VERSION")));
}
