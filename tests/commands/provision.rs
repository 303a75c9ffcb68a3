//! `callbox provision`: a whole station from one file.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::run;

const FILE: &str = r#"host_name = "front-12"
configuration = """
[core]
url = "https://core.example.com"
token_file = "secrets/token"
[prompts]
greeting = "greeting.wav"
[[button]]
name = "bell"
pin = 17
press = { call = "100" }
"""
[files]
"secrets/token" = "the-token\n"
[files_base64]
"greeting.wav" = "UklGRjQAAABXQVZFZm10IBAAAAABAAEAgD4AAAB9AAACABAAZGF0YRAAAAAAAAAAAAAAAAAAAAAAAAAA"
"#;

fn provision(folder: &Path, text: &str, more: &[&str]) -> (i32, String, String) {
    std::fs::write(folder.join("stick.toml"), text).unwrap();
    let arguments = [&["provision", "stick.toml", "--root", "card"], more].concat();
    run(folder, &arguments)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn everything_is_written_with_its_rights_and_the_file_stays_unless_told() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, errors) = provision(folder.path(), FILE, &[]);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("wrote card/etc/callbox/callbox.toml") && out.contains("has secrets"), "{out}");
    let card = folder.path().join("card/etc");
    assert_eq!(std::fs::read_to_string(card.join("callbox/secrets/token")).unwrap(), "the-token\n");
    assert_eq!(std::fs::read_to_string(card.join("hostname")).unwrap(), "front-12\n");
    assert_eq!(mode(&card.join("callbox/callbox.toml")), 0o640);
    assert_eq!((mode(&card.join("callbox/secrets/token")), mode(&card.join("callbox/secrets"))), (0o600, 0o700));
    assert_eq!(mode(&card.join("callbox/greeting.wav")), 0o644);
    assert!(folder.path().join("stick.toml").exists());
    let (code, _, _) = run(folder.path(), &["check", "--config", "card/etc/callbox/callbox.toml"]);
    assert_eq!(code, 0);
    assert_eq!(provision(folder.path(), FILE, &["--remove"]).0, 0);
    assert!(!folder.path().join("stick.toml").exists());
}

#[test]
fn a_file_with_any_mistake_writes_nothing_at_all() {
    for (wrong, right, message) in [
        ("pin = 17", "pin = 17.5", "callbox.toml:8: button[0].pin: 17.5 is not a whole number"),
        ("\"secrets/token\" =", "\"secrets/tokens\" =", "core.token_file: "),
        ("\"secrets/token\" =", "\"../../passwd\" =", "\"../../passwd\" is no path below /etc/callbox"),
        ("\"secrets/token\" =", "\"/etc/passwd\" =", "is no path below /etc/callbox"),
        ("\"secrets/token\" =", "\"callbox.toml\" =", "callbox.toml is there twice"),
        ("UklGR", "U?lGR", "files_base64.\"greeting.wav\" is not Base64"),
        ("UklGR", "AAAAA", "prompts.greeting: "),
        ("front-12", "-front", "\"-front\" is not a host name"),
        ("host_name", "hostname", "unknown field `hostname`"),
        ("[files]", "[files", "stick.toml: "),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (code, out, errors) = provision(folder.path(), &FILE.replacen(wrong, right, 1), &["--remove"]);
        assert_eq!(code, 2, "{right}: {out}{errors}");
        assert!(errors.contains(message), "{right}: {errors}");
        assert!(!folder.path().join("card").exists(), "{right}: something was written");
        assert!(folder.path().join("stick.toml").exists());
        assert!(!errors.contains("callbox-provision-"), "{errors}");
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, errors) = provision(folder.path(), FILE, &["--dry-run"]);
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("valid; it would write:") && out.contains("card/etc/callbox/secrets/token"), "{out}");
    assert!(!folder.path().join("card").exists());
}
