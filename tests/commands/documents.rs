//! What is cited exists: every document that the code, the tests or another document names, every section that is named
//! with it, and every link.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Where citations are looked for.
const PLACES: [&str; 12] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "crates",
    "docs",
    "fuzz/src",
    "scripts",
    "src",
    "systemd",
];
/// Documents that were cited once and never were in the repository.
const GONE: [&str; 3] = ["interface.md", "design.md", "stack.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with('.') && name != "node_modules" && name != "target" {
                files_below(&path, found);
            }
        }
    } else {
        found.push(path.to_owned());
    }
}

/// All texts that may cite something, with the marks of comments taken out: a citation may go over two lines.
fn texts() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let tests = std::fs::read_dir(root().join("tests")).unwrap().map(|entry| entry.unwrap().path());
    let tests = tests.filter(|path| !path.ends_with("node_modules"));
    PLACES.iter().map(|place| root().join(place)).chain(tests).for_each(|path| files_below(&path, &mut files));
    let texts = files.into_iter().filter_map(|path| {
        let text = std::fs::read_to_string(&path).ok()?;
        let lines = text.lines().map(|line| line.trim().trim_start_matches(['/', '!', '#', '*']).trim());
        Some((path.clone(), lines.collect::<Vec<_>>().join(" ")))
    });
    texts.collect()
}

fn plain(heading: &str) -> String {
    heading.replace('`', "").trim().to_lowercase()
}

/// The headings of a document; code blocks have none.
fn headings(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut in_code = false;
    let headings = text.lines().filter(|line| {
        in_code ^= line.trim_start().starts_with("```");
        !in_code && line.starts_with('#')
    });
    headings.map(|line| line.trim_start_matches('#').trim().to_owned()).collect()
}

/// The anchor that a heading has on a hosting site.
fn anchor(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower.chars().filter(|one| one.is_alphanumeric() || matches!(one, ' ' | '-' | '_'));
    kept.collect::<String>().replace(' ', "-")
}

/// The sections that are named behind a document: `docs/x.md, "One", "Two" and "Three"`.
fn sections(mut behind: &str) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let rest = behind.trim_start_matches([',', ' ']);
        let rest = rest.strip_prefix("and ").unwrap_or(rest);
        // Without a comma a quotation is part of the sentence.
        let Some(quoted) = rest.strip_prefix('"').filter(|_| behind.starts_with([',', ' ']) && behind != rest) else {
            return found;
        };
        if found.is_empty() && !behind.starts_with(',') {
            return found;
        }
        let Some((section, after)) = quoted.split_once('"') else { return found };
        found.push(section.to_owned());
        behind = after;
    }
}

#[test]
fn every_cited_document_and_section_exists() {
    let mut missing = BTreeSet::new();
    let mut cited = 0;
    let mut known: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for (path, text) in texts() {
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        if shown == "tests/commands/documents.rs" {
            continue;
        }
        for gone in GONE {
            if text.contains(gone) {
                missing.insert(format!("{shown}: {gone}"));
            }
        }
        for (at, _) in text.match_indices(".md") {
            let begin = text[..at].rfind(|one: char| !one.is_alphanumeric() && !"/_-.".contains(one));
            let name = &text[begin.map_or(0, |begin| begin + 1)..at + 3];
            // A link is looked at by the other test.
            if !(name.starts_with("docs/") || name.starts_with("tests/") || !name.contains('/')) || name == ".md" {
                continue;
            }
            let beside = path.parent().unwrap().join(name);
            let document = if beside.is_file() { beside } else { root().join(name) };
            if !document.is_file() {
                if name.starts_with("docs/") || name.chars().next().is_some_and(char::is_uppercase) {
                    missing.insert(format!("{shown}: {name}"));
                }
                continue;
            }
            let headings = known.entry(document.clone()).or_insert_with(|| headings(&document));
            for section in sections(&text[at + 3..]) {
                cited += 1;
                if !headings.iter().any(|heading| plain(heading) == plain(&section)) {
                    missing.insert(format!("{shown}: {name}, \"{section}\""));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(cited > 100, "only {cited} citations were seen");
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut missing = Vec::new();
    let mut links = 0;
    let mut files = Vec::new();
    files_below(root(), &mut files);
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(path).unwrap();
        for (at, _) in text.match_indices("](") {
            let Some(target) = text[at + 2..].split(')').next() else { continue };
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            links += 1;
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let document = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let leads = document.exists()
                && (fragment.is_empty() || headings(&document).iter().any(|heading| anchor(heading) == fragment));
            if !leads {
                missing.push(format!("{}: {target}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(links > 50, "only {links} links were seen");
}
