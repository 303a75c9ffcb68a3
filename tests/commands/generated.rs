use serde_json::Value;

use crate::run;

fn here() -> std::path::PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

#[test]
fn completions_and_man_page_know_every_command() {
    let (code, help, _) = run(&here(), &["--help"]);
    assert_eq!(code, 0);
    let (code, man, errors) = run(&here(), &["man"]);
    assert_eq!(code, 0, "{errors}");
    for shell in ["bash", "zsh", "fish"] {
        let (code, text, _) = run(&here(), &["completions", shell]);
        assert_eq!(code, 0);
        for command in [
            "run", "check", "devices", "login", "status", "press", "call", "hangup", "answer", "hold", "unhold",
            "dtmf", "mute", "unmute", "volume", "output", "events", "sandbox",
        ] {
            assert!(text.contains(command), "{shell}: {command}");
            assert!(help.contains(command), "help: {command}");
            assert!(man.contains(&format!("CALLBOX {}", command.to_uppercase())), "man: {command}");
        }
    }
}

#[test]
fn the_man_page_has_what_belongs_to_no_single_command() {
    let (_, man, _) = run(&here(), &["man"]);
    for section in ["\"EXIT STATUS\"", "ENVIRONMENT", "FILES", "SIGNALS", "\"CALLBOX DSP ECHO\"", "\"SEE ALSO\""] {
        assert!(man.contains(&format!(".SH {section}")), "{section}");
    }
    assert!(!man.contains("TRY-PCM"), "a command that people never type");
    for status in 0..=4 {
        assert!(man.contains(&format!(".B {status}\n")), "{status}");
    }
}

#[test]
fn the_documented_schemas_are_those_of_the_program() {
    for of in ["status", "events"] {
        let (code, text, _) = run(&here(), &["schema", of]);
        assert_eq!(code, 0);
        let file = here().join(format!("docs/schema/{of}.json"));
        let documented = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(documented.trim() == text.trim(), "run: callbox schema {of} > docs/schema/{of}.json");
        assert!(serde_json::from_str::<Value>(&text).unwrap()["properties"].is_object());
    }
}

#[test]
fn devices_lists_what_there_is_and_json_has_the_same() {
    let (code, out, errors) = run(&here(), &["devices"]);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("Sound cards") && out.contains("PCM names") && out.contains("GPIO chips"));
    let (code, out, _) = run(&here(), &["devices", "--json"]);
    assert_eq!(code, 0);
    let devices: Value = serde_json::from_str(&out).unwrap();
    assert!(devices["cards"].is_array() && devices["pcms"].is_array());
}
