//! `callbox explain` for everything that may happen, `check` for all that is configured.

use crate::check::error;
use crate::daemon::Daemon;
use crate::run;

const HOUSE: &str = r#"
[core]
url = "https://core.example.com"
token = "t"

[[output]]
name = "strike"
kind = "relay"
pin = 23
max_on_ms = 2000

[[button]]
name = "bell"
pin = 17
press = { call = "100", ring_s = 20 }
long_press = { output = "strike", pulse_ms = 1000 }

[[sensor]]
name = "door"
pin = 27
opened = { call = "110", for_ms = 4000, cooldown_s = 60 }
closed = { hangup = "all" }

[[dtmf]]
digits = "4711"
from = ["100"]
run = { output = "strike", pulse_ms = 1000 }

[[answer]]
from = ["100", "2*"]
action = "answer"
after_ms = 500
mode = "listen"
hours = "Mon-Fri 8-17"
"#;

fn house(arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("house.toml"), HOUSE).unwrap();
    run(folder.path(), &[arguments, &["--config", "house.toml"]].concat())
}

fn explained(arguments: &[&str]) -> String {
    let (code, out, errors) = house(&[&["explain"], arguments].concat());
    assert_eq!(code, 0, "{errors}");
    out
}

#[test]
fn a_long_press_is_explained_as_what_it_is() {
    let out = explained(&["--press", "bell", "--long"]);
    assert!(out.contains("strike on for 1000 ms") && !out.contains("outgoing_call"), "{out}");
    assert!(out.contains("strike: on") && out.contains("1.0 s  strike: off"), "{out}");
    assert!(explained(&["--press", "bell", "--double"]).contains("this button has no actions for a double press"));
}

#[test]
fn a_sensor_is_explained_with_what_lasts() {
    let out = explained(&["--sensor", "door", "opened"]);
    assert!(out.contains("4.0 s  send outgoing_call to 110"), "{out}");
    assert!(out.contains("if the state lasts for 4000 ms, then not again for 60 s"), "{out}");
    assert!(explained(&["--sensor", "door", "closed"]).contains("rule 1 matches: hang up"));
    let (code, _, errors) = house(&["explain", "--sensor", "door", "ajar"]);
    assert_eq!(code, 2);
    assert!(errors.contains("write opened or closed"), "{errors}");
    let (code, _, errors) = house(&["explain", "--sensor", "window", "opened"]);
    assert_eq!((code, errors.as_str()), (2, "callbox: there is no sensor \"window\"; there are: door\n"));
}

#[test]
fn a_code_is_explained_for_whom_it_is_and_for_whom_it_is_not() {
    let out = explained(&["--dtmf", "4711", "--from", "100", "--at", "Sun 09:00"]);
    assert!(out.contains("no [[answer]] rule accepts their call now"), "{out}");
    let out = explained(&["--dtmf", "4711", "--from", "100", "--at", "Mon 09:00"]);
    assert_eq!(out.matches("that is one of their codes").count(), 2, "{out}");
    assert_eq!(out.matches("strike: on\n").count(), 2, "{out}");
    assert!(!out.contains("4711"), "{out}");
    let out = explained(&["--dtmf", "4711", "--from", "555"]);
    assert!(out.contains("no [[dtmf]] rule admits them") && !out.contains("strike: on"), "{out}");
    let out = explained(&["--dtmf", "1234", "--from", "100"]);
    assert!(out.contains("wrong") && !out.contains("strike: on"), "{out}");
    assert_eq!(house(&["explain", "--dtmf", "4711"]).0, 2, "--from is missing");
    assert_eq!(house(&["explain", "--dtmf", "47x1", "--from", "100"]).0, 2);
}

#[test]
fn an_incoming_call_is_explained_rule_by_rule() {
    let out = explained(&["--incoming", "200", "--at", "Mon 09:00"]);
    assert!(out.contains("rule 1 matches: 100, 2*: answered after 500 ms"), "{out}");
    assert!(out.contains("0.5 s") && out.contains("send accept"), "{out}");
    let out = explained(&["--incoming", "200", "--at", "Sun 09:00"]);
    assert!(out.contains("does not match at this hour") && out.contains("send decline"), "{out}");
    let out = explained(&["--incoming", "555", "--at", "Mon 09:00"]);
    assert!(out.contains("is for other callers") && out.contains("send decline"), "{out}");
}

#[test]
fn check_shows_rules_whole() {
    let (code, out, errors) = house(&["check"]);
    assert_eq!(code, 0);
    assert!(errors.lines().count() == 1 && errors.contains("answer[0].mode: warning: lets a caller"), "{errors}");
    for line in [
        "call from 100, 2*: answered after 500 ms, the caller hears this place and is not heard here, Mon-Fri 8-17",
        "call from anybody else: declined",
        "code      of 4 digits from 100, in calls of either direction: strike on for 1000 ms",
        "sensor    door: opened: call 110, ringing for 60 s if the state lasts for 4000 ms, then not again for 60 s",
        "long: strike on for 1000 ms",
    ] {
        assert!(out.contains(line), "missing: {line}\nin:\n{out}");
    }
    assert!(!out.contains("4711"), "{out}");
}

#[test]
fn settings_say_how_long_they_last_and_a_pulse_says_that_it_is_cut() {
    let daemon = Daemon::start();
    let said = |arguments: &[&str]| {
        let (code, out, errors) = daemon.command(arguments);
        assert_eq!(code, 0, "{errors}");
        out
    };
    assert_eq!(said(&["volume", "40"]), "for 60 s, since there is no call; --keep keeps it\n");
    assert_eq!(said(&["volume", "41", "--keep"]), "until told otherwise\n");
    assert_eq!(said(&["mute", "--keep"]), "until told otherwise\n");
    let status = said(&["status"]);
    assert!(status.contains("the volume is not as configured, until told otherwise"), "{status}");
    assert!(status.contains("the microphone is off, until told otherwise"), "{status}");
    assert!(said(&["output", "strike", "pulse", "--ms", "60000"]).contains("max_on_ms of this output"));
}

#[test]
fn a_press_that_cannot_become_a_call_is_refused_with_its_reason() {
    let daemon = Daemon::start();
    let (code, out, errors) = daemon.command(&["press", "bell"]);
    assert!(
        code == 4 && errors.contains("not registered") || code == 0 && out.contains("the call waits"),
        "{code} {out} {errors}"
    );
}

/// The only error of a rule of the bell: one mistake must cause one error.
fn error_of(press: &str) -> String {
    error(&format!(
        "[core]\nurl = \"https://c.example\"\ntoken = \"t\"\n[[button]]\nname = \"bell\"\npin = 17\n{press}\n"
    ))
}

#[test]
fn mistakes_are_answered_with_the_line_to_write() {
    for (press, message) in [
        ("press = [\"100\", \"101\"]", "write press = { call = [\"100\", \"101\"] }"),
        ("press = \"100\"", "write press = { call = \"100\" }"),
        ("press = 100", "write press = { call = \"100\" }"),
        ("press = { call = 100 }", "100 is not a text; write call = \"100\""),
        ("press = { call = [100, 101] }", "write call = [\"100\", \"101\"]"),
        (
            "press = { call = \"sip:100@pbx\" }",
            "\"sip:100@pbx\" is an address; the server knows the host; write the number alone: \"100\"",
        ),
        ("press = { call = \"1 0 0\" }", "\"1 0 0\" is not a number to call; write the number alone: \"100\""),
        ("press = \"hangup\"", "write press = { hangup = \"all\" }"),
        ("press = \"answer\"", "write press = { answer = true }"),
        ("press = \"ringback\"", "write press = { play = \"ringback\" }"),
        ("press = \"sip:100@pbx\"", "write press = { call = \"100\" }"),
        ("press = { call = true }", "true is not a text; write call = \"…\""),
        ("press = { call = \"+49 30 1234-5\" }", "write the number alone: \"+49301234-5\""),
        ("press = { call = '\"Flat\" <sip:100@pbx>' }", "write the number alone: \"100\""),
        ("press = { call = \"100\", line = 2 }", "2 is not a line; write 0, 1 or \"any\""),
        ("press = { run = { mode = \"away\" } }", "press.run: unknown key; this is the action: write its keys here"),
        ("press = { after_ms = 4 }", "means nothing without an action"),
        ("press = [{ hours = \"24/7\", call = \"100\" }, { call = \"101\" }]", "[0].hours: \"24/7\" is not a span"),
        ("press = { call = \"100\", hours = \"\" }", "\"\" is not a span of hours"),
        ("press = { call = \"100\" }\n[[answer]]\naction = true", "true is not allowed; write one of \"answer\""),
        ("press = { call = \"100\" }\n[[answer]]\naction = \"ring\"\nfrom = []", "is an empty list, which admits"),
        (
            "press = { call = \"100\" }\n[[answer]]\naction = \"ring\"\nfrom = ['\"Flat 1\" <sip:100@pbx>']",
            "write the number alone: \"100\"",
        ),
        (
            "press = { call = \"100\" }\n[[answer]]\naction = \"ring\"\nfrom = \"Flat 1\"",
            "\"Flat 1\" is not a number; write a number or its start: \"2*\"",
        ),
        (
            "press = { call = \"100\" }\n[media]\nice_servers = [\"stun:h:3478\"]",
            "write ice_servers = [{ urls = [\"stun:h:3478\"] }]",
        ),
        ("press = { call = [] }", "is an empty list"),
        ("press = {}", "is empty: the button would do nothing; write press = { call = \"100\" }"),
        (
            "press = { call = \"100\", say = \"x\" }",
            "press.say: there is no prompt or sound \"x\"; add it to [prompts]",
        ),
        ("press = { call = \"100\", for_ms = 5 }", "is for sensors"),
        (
            "press = { call = \"100\", hours = \"Mo-Fr 25-26\" }",
            "is not a span of hours; write for example \"Mo-Fr 07:00-19:00",
        ),
        ("press = { call = \"100\" }\nactive = true", "true is not allowed; write one of \"low\", \"high\""),
        (
            "press = { call = \"100\" }\ndebounce_ms = \"20\"",
            "\"20\" is not a whole number; write a whole number from 0 to 1000, without quotes",
        ),
    ] {
        let error = error_of(press);
        assert!(error.contains(message), "{press}: {error}");
    }
}

#[test]
fn keys_that_are_empty_or_mean_nothing_are_no_silent_ones() {
    for (press, message) in [
        ("press = { play = \"\" }", "press.play: is empty; say what it is, or leave it out"),
        ("press = { mode = \"\", set = \"on\" }", "press.mode: is empty"),
        ("press = { call = \"100\", when = \"\" }", "press.when: there is no mode \"\""),
        ("press = { answer = false }", "press.answer: is false, which is no action"),
        ("press = { hours = \"08:00-09:00\" }", "press: has conditions, and no action"),
        ("press = { call = \"100\", line = 7 }", "press.line: 7 is not a line"),
        (
            "press = { mode = \"away\", set = \"on\", ring_s = 4 }\n[modes]\naway = {}",
            "press.ring_s: means nothing without call",
        ),
        (
            "press = { call = \"100\" }\n[[schedule]]\nname = \"t\"\nevery = \"\"\nrun = { hook = \"t\" }",
            "every: is missing",
        ),
        (
            "press = { call = \"100\" }\n[[schedule]]\nname = \"\"\nevery = \"1h\"\nrun = { hook = \"t\" }",
            "name: is missing",
        ),
        ("press = { call = \"100\" }\n[[door]]\nname = \"d\"\ncontact = \"\"", "contact: is missing"),
        ("press = { call = \"100\" }\n[[reader]]\nname = \"r\"\ndevice = \"\"\nkind = \"card\"", "device: is missing"),
        (
            "press = { hook = \"a\\u001b[31mb\\u000ac\" }",
            "press.hook: \"a\u{FFFD}[31mb\u{FFFD}c\" has control characters",
        ),
    ] {
        let error = error_of(press);
        assert!(error.contains(message), "{press}: {error}");
    }
    let one_line = "[core]\nurl = \"https://c.example\"\ntoken = \"t\"\nlines = 1\n\
                    [[button]]\nname = \"bell\"\npin = 17\npress = { call = \"100\", line = 1 }\n";
    assert!(error(one_line).contains("press.line: 1 is not used: core.lines is 1; leave it out"));
}

#[test]
fn explain_knows_a_caller_and_a_code_as_the_station_does() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[core]\nurl = \"https://c.example\"\ntoken = \"t\"\n\
        [[output]]\nname = \"strike\"\nkind = \"relay\"\npin = 23\n[[output]]\nname = \"lamp\"\nkind = \"relay\"\npin = 24\n\
        [[answer]]\nfrom = \"100\"\naction = \"answer\"\n\
        [[dtmf]]\ndigits = \"12\"\nfrom = \"100\"\nrun = { output = \"strike\", pulse_ms = 600 }\n\
        [[dtmf]]\ndigits = \"312\"\nfrom = \"100\"\nrun = { output = \"lamp\", pulse_ms = 600 }\n";
    std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
    let explain = |arguments: &[&str]| {
        let (code, out, errors) = run(folder.path(), &[&["explain", "--config", "callbox.toml"], arguments].concat());
        assert_eq!(code, 0, "{errors}");
        out
    };
    for caller in ["sip:100@c.example", "tel:100", "\"Flat 1\" <SIP:100@C.example;user=phone>"] {
        let told = explain(&["--incoming", caller]);
        assert!(told.starts_with("100 calls") && told.contains("rule 1 matches"), "{caller}: {told}");
        assert!(!told.contains("decline"), "{caller}: {told}");
        let typed = explain(&["--dtmf", "312", "--from", caller]);
        assert!(typed.contains("rule 1 matches: lamp on") && !typed.contains("strike"), "{caller}: {typed}");
    }
    for caller in ["sip:100@elsewhere.example", "100;phone-context=x", "\"100\" <sip:anonymous@anonymous.invalid>"] {
        let told = explain(&["--incoming", caller]);
        assert!(told.contains("is for other callers") && told.contains("decline"), "{caller}: {told}");
        let typed = explain(&["--dtmf", "312", "--from", caller]);
        assert!(!typed.contains("lamp on"), "{caller}: {typed}");
    }
}

#[test]
fn explain_says_that_a_contact_opens_a_watched_door_and_what_the_exit_button_gives() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[core]\nurl = \"https://c.example\"\ntoken = \"t\"\n\
        [[button]]\nname = \"exit\"\npin = 18\n[[sensor]]\nname = \"contact\"\npin = 27\n\
        [[door]]\nname = \"front\"\ncontact = \"contact\"\nexit = \"exit\"\nforced = { call = \"100\" }\n";
    std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
    let explain = |arguments: &[&str]| {
        let (code, out, errors) = run(folder.path(), &[&["explain", "--config", "callbox.toml"], arguments].concat());
        assert_eq!(code, 0, "{errors}");
        out
    };
    let out = explain(&["--sensor", "contact", "opened"]);
    assert!(out.contains("it opens the door front, and nobody with a right has: it counts as forced"), "{out}");
    assert!(out.contains("rule 1 matches: call 100") && out.contains("outgoing_call to 100"), "{out}");
    let out = explain(&["--press", "exit"]);
    assert!(out.contains("the door front may be opened for 5 s"), "{out}");
}
