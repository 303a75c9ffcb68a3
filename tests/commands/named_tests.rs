//! A command that names a test runs at least one: with a name that no test has, `cargo test` runs none and succeeds.

use std::path::{Path, PathBuf};

/// Files with commands, beside the documents in `docs`.
const FILES: [&str; 4] = ["Makefile", "README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"];
/// Words that stand for a name.
const PLACEHOLDERS: [&str; 2] = ["NAME", "a_part_of_its_name"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str) -> Vec<PathBuf> {
    std::fs::read_dir(root().join(folder)).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// The commands of a text that run the tests of one target, with the target's name.
fn commands(text: &str) -> Vec<(String, String)> {
    let sim = text.lines().find_map(|line| line.strip_prefix("SIM := ")).unwrap_or_default();
    let text = text.replace("\\\n", " ").replace("$(SIM)", sim);
    let commands = text.lines().flat_map(|line| line.split(['`', ';', '|', '#'])).flat_map(|part| part.split("&&"));
    let runs = commands.filter(|command| command.contains("cargo test ") || command.contains("$(CARGO) test "));
    let targets = runs.filter_map(|command| command.split_once("--test ").map(|(_, rest)| rest.to_owned()));
    targets
        .filter_map(|rest| {
            let (target, arguments) = rest.split_once(' ')?;
            Some((target.to_owned(), arguments.to_owned()))
        })
        .collect()
}

/// The names in the arguments of a test program.
fn names(arguments: &str) -> Vec<String> {
    let words = arguments.split_whitespace().filter(|word| !word.starts_with('-') && !word.contains(['$', '=', '>']));
    words.filter(|word| !PLACEHOLDERS.contains(word)).map(str::to_owned).collect()
}

/// Whether a test of this target, or a module of its tests, has this in its name.
fn is_there(target: &str, name: &str) -> bool {
    let name = name.trim_matches([',', '.', ':']);
    files(&format!("tests/{target}")).iter().any(|path| {
        let module = path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains(name));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        module || text.lines().any(|line| line.contains("fn ") && line.contains(name))
    })
}

#[test]
fn every_test_that_a_command_names_is_there() {
    let documents = files("docs").into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    let texts = FILES.iter().map(|name| root().join(name)).chain(documents);
    let mut seen = 0;
    let mut missing = Vec::new();
    for path in texts {
        for (target, arguments) in commands(&std::fs::read_to_string(&path).unwrap()) {
            for name in names(&arguments) {
                seen += 1;
                if !is_there(&target, &name) {
                    missing.push(format!("{}: {name} of tests/{target}", path.display()));
                }
            }
        }
    }
    assert!(seen > 8, "only {seen} names were found");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_name_that_no_test_has_is_noticed() {
    let text = "SIM := cargo test --test sim --\n\t$(SIM) --nocapture nothing\n";
    let [(target, arguments)] = &commands(text)[1..] else { panic!("{:?}", commands(text)) };
    assert_eq!((target.as_str(), names(arguments)), ("sim", vec!["nothing".to_owned()]));
    assert!(!is_there(target, "nothing"));
}
