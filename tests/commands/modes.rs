//! Modes, holidays and conditions, as a person sees them.

use crate::daemon::Daemon;
use crate::run;

const HOUSE: &str = r#"
[core]
url = "http://127.0.0.1:9"
allow_insecure = true
token = "very-secret"

[control]
socket = "control.sock"

[modes]
night = { hours = "22:00-06:30", volume = 40 }
away = {}

[calendar]
holidays = ["12-25", "2026-04-06"]

[[button]]
name = "bell"
pin = 17
press = [
  { when = "away", call = "300" },
  { when = "not night", hours = "Mo-Fr 08:00-18:00; PH off", call = "900" },
  { call = "100" },
]

[[button]]
name = "key"
pin = 18
press = { mode = "away", set = "toggle" }
"#;

fn with(text: &str, arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
    let all: Vec<&str> = arguments.iter().copied().chain(["--config", "callbox.toml"]).collect();
    run(folder.path(), &all)
}

#[test]
fn check_shows_modes_conditions_and_holidays_whole() {
    let (code, out, errors) = with(HOUSE, &["check"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{out}");
    for line in [
        "away: call 300, ringing for 60 s; else not night, Mo-Fr 08:00-18:00; PH off: call 900, ringing for 60 s; else call 100",
        "mode      away: switched by hand alone\n",
        "mode      night: on 22:00-06:30, unless somebody switches it; volume 40\n",
        "holidays  12-25, 2026-04-06 (PH in hours)\n",
        "mode away the other way round",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
}

#[test]
fn each_mistake_names_the_key_and_the_remedy() {
    let button = |press: &str| {
        let after = HOUSE.find("[[button]]").unwrap();
        format!("{}[[button]]\nname = \"bell\"\npin = 17\npress = {press}\n", &HOUSE[..after])
    };
    for (text, message) in [
        (
            button("{ when = \"nigth\", call = \"1\" }"),
            "press.when: there is no mode \"nigth\"; there are: away, night",
        ),
        (button("{ mode = \"gone\", set = \"on\" }"), "press.mode: there is no mode \"gone\"; there are: away, night"),
        (button("{ mode = \"away\" }"), "press.mode: does nothing; add set = \"on\", \"off\", \"toggle\" or \"auto\""),
        (button("{ mode = \"away\", set = \"perhaps\" }"), "press.set: \"perhaps\" is not allowed"),
        (
            button("{ mode = \"away\", output = \"x\", set = \"on\" }"),
            "output and mode both take set; write two tables",
        ),
        (button("{ call = \"1\", hours = \"Mo 8-9; Mo off\" }"), "press.hours: \"Mo 8-9; Mo off\" is never"),
        (HOUSE.replace("12-25", "02-30"), "calendar.holidays: \"02-30\" does not exist; write \"12-25\" for each year"),
        (HOUSE.replace("12-25", "christmas"), "calendar.holidays: \"christmas\" is not a day"),
        (HOUSE.replace("night", "Night"), "is not a name; use a to z, 0 to 9, _ and -, at most 32 characters"),
        (HOUSE.replace("volume = 40", "volume = 140"), "modes.night.volume: 140 is out of range"),
        (HOUSE.replace("away = {}", "away = {}\nnot = {}"), "modes.not: \"not\" cannot be the name of a mode"),
        (HOUSE.replace("away = {}", "away = true"), "modes.away: is not a table; write away = {}"),
    ] {
        let (code, _, errors) = with(&text, &["check"]);
        assert_eq!(code, 2, "{message}: {errors}");
        assert!(errors.contains(message), "{message}: {errors}");
    }
}

#[test]
fn a_rule_that_other_rules_always_precede_is_a_warning() {
    let rules = |rules: &str| {
        let text = format!(
            "[core]\nurl = \"https://h.example\"\ntoken = \"t\"\n[modes]\na = {{}}\nb = {{}}\n[[button]]\nname = \"bell\"\npin = 17\npress = [{rules}]\n"
        );
        let (code, out, errors) = with(&text, &["check"]);
        assert_eq!(code, 0, "{out}{errors}");
        errors
    };
    let never = "is never reached: earlier rules match whenever it would";
    let both = "{ when = \"a\", call = \"1\" }, { when = \"not a\", call = \"2\" }";
    assert!(
        rules(&format!("{both}, {{ call = \"3\" }}"))
            .contains(&format!("callbox.toml:10: button[0].press[2]: warning: {never}"))
    );
    assert!(rules(&format!("{both}, {{ when = \"b\", call = \"3\" }}")).contains(never));
    assert!(rules("{ when = \"a\", call = \"1\" }, { when = \"a\", hours = \"8-9\", call = \"2\" }").contains(never));
    assert_eq!(
        rules("{ when = \"a\", hours = \"8-9\", call = \"1\" }, { when = \"a\", call = \"2\" }, { call = \"3\" }"),
        ""
    );
    assert_eq!(
        rules("{ when = \"a\", call = \"1\" }, { when = \"b\", call = \"2\" }, { when = \"not b\", call = \"3\" }"),
        ""
    );
}

#[test]
fn a_rehearsal_takes_place_in_modes_and_on_dates() {
    let explain = |arguments: &[&str]| {
        let (code, out, errors) = with(HOUSE, &[&["explain", "--press", "bell"], arguments].concat());
        assert_eq!(code, 0, "{errors}");
        out
    };
    let out = explain(&["--at", "2026-11-25 12:00"]);
    assert!(out.contains("bell: it is Wednesday 2026-11-25, 12:00\n") && out.contains("rule 2 matches"), "{out}");
    let christmas = explain(&["--at", "2026-12-25T12:00"]);
    assert!(christmas.contains("rule 3 matches") && christmas.contains("send outgoing_call to 100"), "{christmas}");
    let away = explain(&["--at", "2026-11-25 23:00", "--mode", "away"]);
    assert!(away.contains("23:00, away and night\n") && away.contains("send outgoing_call to 300"), "{away}");
    let (code, _, errors) = with(HOUSE, &["explain", "--press", "bell", "--mode", "gone"]);
    assert_eq!((code, errors.as_str()), (2, "callbox: there is no mode \"gone\"; there are: away, night\n"));
    for wrong in ["2026-13-01 12:00", "2026-02-30 12:00", "12:60", "2026-12-25"] {
        assert_eq!(with(HOUSE, &["explain", "--press", "bell", "--at", wrong]).0, 2, "{wrong}");
    }
}

#[test]
fn a_mode_is_switched_and_shown_with_its_reason() {
    let daemon = Daemon::start_with(HOUSE);
    let (code, out, _) = daemon.command(&["mode", "away"]);
    assert_eq!((code, out.as_str()), (0, "away: off, nobody has switched it\n"));
    assert_eq!(daemon.command(&["mode", "away", "on"]).0, 0);
    let (_, out, _) = daemon.command(&["mode"]);
    assert!(out.starts_with("away: on, by user ") && out.contains("\nnight: "), "{out}");
    let (_, out, _) = daemon.command(&["status"]);
    assert!(out.contains("mode      away: on, by user "), "{out}");
    let (_, out, _) = daemon.command(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["modes"][0]["on"], true, "{out}");
    assert_eq!(daemon.command(&["press", "key"]).0, 0);
    assert!(daemon.command(&["mode", "away"]).1.starts_with("away: off, by user "));
    for asked in [&["mode", "gone", "on"][..], &["mode", "gone"]] {
        let (code, _, errors) = daemon.command(asked);
        let message = "callbox: there is no mode \"gone\"; there are: \"away\", \"night\"\n";
        assert_eq!((code, errors.as_str()), (2, message));
    }
}
