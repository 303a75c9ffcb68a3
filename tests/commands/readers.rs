//! Keypads, cards and codes, as a person sees them.

use std::io::Write;
use std::process::Stdio;

use crate::{callbox, run};

/// What `callbox code hash` prints for a code on its standard input.
fn hash(folder: &std::path::Path, code: &str, more: &[&str]) -> (i32, String, String) {
    let arguments: Vec<&str> = ["code", "hash"].iter().chain(more).copied().collect();
    let mut command = callbox(folder, &arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const HOUSE: &str = r#"
[core]
url = "http://127.0.0.1:9"
allow_insecure = true
token = "t"
[[output]]
name = "strike"
kind = "relay"
pin = 23
[[reader]]
name = "keypad"
device = "usb:1234:ABCD"
kind = "keypad"
dial = ["1??", "2?"]
[[code]]
name = "Anna"
reader = ["keypad"]
secret_file = "anna"
hours = "Mo-Su 06:00-23:00"
valid_until = "2027-01-31"
run = { output = "strike", pulse_ms = 3000 }
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, errors) = hash(folder.path(), "471133\n", &[]);
    assert_eq!((code, errors.as_str()), (0, ""));
    write_secret(folder.path(), "anna", &out);
    folder
}

fn write_secret(folder: &std::path::Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(folder.join(name), text).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn check(folder: &std::path::Path, text: &str) -> (i32, String, String) {
    std::fs::write(folder.join("callbox.toml"), text).unwrap();
    run(folder, &["check", "--config", "callbox.toml"])
}

#[test]
fn a_hash_shows_no_digit_and_has_a_salt_of_its_own_unless_one_is_named() {
    let folder = folder();
    let (code, out, errors) = hash(folder.path(), "471133\n", &[]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(out.starts_with("$argon2id$v=19$m=4096,t=2,p=1$") && !out.contains("471133"), "{out}");
    let anna = std::fs::read_to_string(folder.path().join("anna")).unwrap();
    assert_ne!(out, anna);
    assert_eq!(hash(folder.path(), "471133\n", &["--salt-of", "anna"]).1, anna);
    for (text, problem) in [
        ("123\n", "a code has 4 to 32 characters"),
        ("", "a code has 4 to 32 characters"),
        ("12#4\n", "digits and letters alone"),
        ("111111111111111111111111111111111\n", "a code has 4 to 32 characters"),
    ] {
        let (code, out, errors) = hash(folder.path(), text, &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{text}");
        assert!(errors.contains(problem) && !errors.contains("12#4"), "{errors}");
    }
    let (code, _, errors) = hash(folder.path(), "4711\n", &["--salt-of", "callbox.toml"]);
    assert!(code == 2 && errors.contains("callbox.toml cannot be read"), "{errors}");
}

#[test]
fn check_shows_whose_codes_open_what_and_when() {
    let folder = folder();
    let (code, out, errors) = check(folder.path(), HOUSE);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    assert!(out.contains("reader    keypad: keypad, usb:1234:abcd; calls 1??, 2?\n"), "{out}");
    assert!(out.contains("          Anna: Mo-Su 06:00-23:00, until 2027-01-31: strike on for 3000 ms"), "{out}");
    assert!(out.contains("access    5 wrong codes within 600 s"), "{out}");
}

#[test]
fn each_mistake_names_the_key_and_the_remedy() {
    let folder = folder();
    write_secret(folder.path(), "plain", "471133\n");
    for (from, to, problem) in [
        ("usb:1234:ABCD", "usb:keypad", "device: \"usb:keypad\" is not a USB device"),
        ("usb:1234:ABCD", "/dev/ttyUSB0", "device: is not below /dev/input"),
        ("device = \"usb:1234:ABCD\"\n", "", "device: is missing"),
        ("kind = \"keypad\"\n", "", "kind: is missing"),
        ("\"1??\", ", "\"1 ??\", ", "dial: \"1 ??\" is not a number"),
        ("kind = \"keypad\"", "kind = \"card\"", "dial: is for keypads"),
        ("name = \"keypad\"", "name = \"Key Pad\"", "\"Key Pad\" is not a name"),
        ("reader = [\"keypad\"]", "reader = \"gate\"", "there is no reader \"gate\"; there are: keypad"),
        ("reader = [\"keypad\"]\n", "", "reader: is missing"),
        ("secret_file = \"anna\"", "secret_file = \"bertha\"", "cannot be read"),
        ("secret_file = \"anna\"", "secret_file = \"plain\"", "does not hold what `callbox code hash` prints"),
        ("2027-01-31", "2027-02-30", "valid_until: \"2027-02-30\" is not a date"),
        ("run = { output = \"strike\", pulse_ms = 3000 }\n", "", "run: is missing"),
    ] {
        let (code, _, errors) = check(folder.path(), &HOUSE.replace(from, to));
        assert_eq!(code, 2, "{to}: {errors}");
        assert!(errors.contains(problem), "{problem}: {errors}");
        assert!(!errors.contains("471133"), "no code in an error: {errors}");
    }
}

#[test]
fn a_file_that_anybody_may_read_is_a_warning_and_so_are_codes_that_take_long_or_are_the_same() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("anna"), readable).unwrap();
    let (code, _, errors) = check(folder.path(), HOUSE);
    assert_eq!(code, 0);
    assert!(errors.contains("code[0].secret_file: warning: every user of this machine may read"), "{errors}");

    let bertha =
        "[[code]]\nname = \"Bertha\"\nreader = \"keypad\"\nsecret_file = \"anna\"\nrun = { play = \"busy\" }\n";
    let (_, _, errors) = check(folder.path(), &format!("{HOUSE}{bertha}"));
    assert!(errors.contains("code[1].secret_file: warning: is the same code as that of code[0]"), "{errors}");

    let mut many = HOUSE.to_owned();
    for index in 0..9 {
        write_secret(folder.path(), &format!("own{index}"), &hash(folder.path(), "471133\n", &[]).1);
        many.push_str(&bertha.replace("Bertha", &format!("B{index}")).replace("\"anna\"", &format!("\"own{index}\"")));
    }
    let (code, _, errors) = check(folder.path(), &many);
    assert_eq!(code, 0);
    assert!(
        errors.contains("an entry at keypad takes up to 2 s: its codes have 10 salts; make the hashes with"),
        "{errors}"
    );
}

#[test]
fn ten_thousand_codes_with_one_salt_are_read_and_more_are_refused() {
    let folder = folder();
    let code = |index: usize| {
        format!(
            "[[code]]\nname = \"C{index}\"\nreader = \"keypad\"\nsecret_file = \"anna\"\nrun = {{ play = \"busy\" }}\n"
        )
    };
    // A file of its own for each would say the same about the reading of the configuration.
    let many: String = (1..10_000).map(code).collect();
    let (exit, out, _) = check(folder.path(), &format!("{HOUSE}{many}"));
    assert_eq!(exit, 0);
    assert!(out.contains("          C9999: play busy\n"));
    let (exit, _, errors) = check(folder.path(), &format!("{HOUSE}{many}{}", code(10_000)));
    assert_eq!(exit, 2);
    assert!(
        errors.contains("code: 10001 codes are too many; write at most 10000"),
        "{}",
        &errors[errors.len() - 300..]
    );
}

#[test]
fn a_code_is_rehearsed_with_its_times() {
    let folder = folder();
    std::fs::write(folder.path().join("callbox.toml"), HOUSE).unwrap();
    let explain =
        |at: &str, name: &str| run(folder.path(), &["explain", "--code", name, "--at", at, "--config", "callbox.toml"]);
    let (code, out, errors) = explain("2026-11-30 12:00", "Anna");
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(
        out.contains("Anna types the code at keypad: it is Monday 2026-11-30, 12:00\n  rule 1 matches: strike on"),
        "{out}"
    );
    assert!(out.contains("(code of Anna accepted at keypad)") && out.contains("strike: on"), "{out}");
    let (_, out, _) = explain("2027-02-01 12:00", "Anna");
    assert!(out.contains("it does not count now: Mo-Su 06:00-23:00, until 2027-01-31"), "{out}");
    assert!(out.contains("refused at keypad") && !out.contains("strike: on"), "{out}");
    let (code, _, errors) = explain("12:00", "Bertha");
    assert_eq!((code, errors.as_str()), (2, "callbox: there is no code of \"Bertha\"; there are: Anna\n"));
}
