//! docs/configuration.md is a contract: it has every key that the configuration knows, and no other.

use std::collections::{BTreeMap, BTreeSet};

use crate::run;

const REFERENCE: &str = include_str!("../../docs/configuration.md");
/// A key so unlike any other that the answer is the list of what is known.
const UNKNOWN: &str = "zzzzzzzzzzzz";

/// What stands in backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The rows of the tables below each heading whose head begins so.
fn rows(heads: &[&str]) -> BTreeMap<&'static str, Vec<&'static str>> {
    let (mut heading, mut wanted) = ("", false);
    let mut rows: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut lines = REFERENCE.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix('#') {
            heading = text.trim_start_matches('#').trim().trim_matches('`');
        }
        if lines.peek().is_some_and(|next| next.starts_with("|---")) {
            wanted = heads.iter().any(|head| line.starts_with(head));
        } else if !line.starts_with('|') {
            wanted = false;
        } else if wanted && !line.starts_with("|---") {
            rows.entry(heading).or_default().push(line);
        }
    }
    rows
}

fn first_cell(row: &str) -> &str {
    row.split('|').nth(1).unwrap()
}

/// A configuration with this line at the end of this table.
fn with(table: &str, line: &str) -> String {
    let core = "[core]\nurl = \"https://core.example.com\"\ntoken = \"t\"\n";
    match table {
        "[core]" => format!("{core}{line}\n"),
        "[[button]]" => format!("{core}{table}\nname = \"bell\"\npin = 17\npress = {{ hangup = \"all\" }}\n{line}\n"),
        // Its keys are those of any mode.
        "[modes]" => format!("{core}[modes.night]\n{line}\n"),
        "Actions" => format!("{core}[[button]]\nname = \"bell\"\npin = 17\npress = {{ {line} }}\n"),
        _ => format!("{core}{table}\n{line}\n"),
    }
}

fn errors(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callbox.toml"), text).unwrap();
    run(folder.path(), &["check", "--config", "callbox.toml"]).2
}

/// The keys of a table, as the error about an unknown one lists them.
fn known(table: &str) -> BTreeSet<String> {
    let errors = errors(&with(table, &format!("{UNKNOWN} = 1")));
    let line = errors.lines().find(|line| line.contains(UNKNOWN)).expect(&errors);
    let (_, list) = line.split_once("known here: ").expect(line);
    list.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_reference_has_every_key_and_no_other() {
    let tables = rows(&["| key | type |", "| key | when it is heard |"]);
    assert!(tables.len() > 12, "{tables:?}");
    for (table, rows) in tables {
        let documented: BTreeSet<String> =
            rows.into_iter().flat_map(|row| code(first_cell(row))).map(str::to_owned).collect();
        assert_eq!(documented, known(table), "{table}: left docs/configuration.md, right what is read");
    }
}

#[test]
fn what_the_reference_calls_not_built_is_refused_as_such() {
    let rows = &rows(&["| where |"])["Not built yet"];
    let mut tried = 0;
    for row in rows {
        let place = first_cell(row).trim();
        let table = code(place).next().filter(|table| table.starts_with('['));
        for key in code(row).skip(usize::from(table.is_some())) {
            let text = match (table, place) {
                (Some(table), _) => with(table, &format!("{key} = \"https://elsewhere.example\"")),
                (None, "tables") => with(key, "name = \"x\""),
                _ => continue,
            };
            // A value of a known key.
            if key.contains(' ') || key == "period_ms" {
                continue;
            }
            let errors = errors(&text);
            assert!(errors.contains("not built yet"), "{key}: {errors}");
            tried += 1;
        }
    }
    assert!(tried > 0, "{tried}");
}
