//! What is cited exists: every document that the code, the tests or another document names, every section that is named
//! with it, and every link.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What is not ours, or not in the repository.
const ELSEWHERE: [&str; 5] = [".git", "node_modules", "target", "corpus", "venv"];

/// What the tests write.
const MADE: [&str; 1] = ["table.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !ELSEWHERE.contains(&name.as_str()) {
                files_below(&path, found);
            }
        }
    } else {
        found.push(path.to_owned());
    }
}

/// A text with the marks of comments and of strings taken out: a citation may go over two lines, and stand in JSON.
fn unwrapped(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim().trim_start_matches(['/', '!', '#', '*']).trim());
    lines.collect::<Vec<_>>().join(" ").replace("\\n", " ").replace("\\\"", "\"").replace('`', "")
}

/// All texts that may cite something.
fn texts() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    files_below(root(), &mut files);
    let texts = files.into_iter().filter(|path| !path.ends_with("tests/commands/documents.rs"));
    texts.filter_map(|path| Some((path.clone(), unwrapped(&std::fs::read_to_string(&path).ok()?)))).collect()
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

/// A quotation at the start of a text, and what follows it.
fn quotation(text: &str) -> Option<(&str, &str)> {
    let mark = text.chars().next().filter(|mark| matches!(mark, '"' | '\''))?;
    text[1..].split_once(mark)
}

/// The sections that are named behind a document: `docs/x.md, "One", "Two" and "Three"`, or `docs/x.md: section "One"`.
fn sections_behind(mut text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    loop {
        let closed = text.trim_start_matches([')', ']']);
        let rest = closed.trim_start_matches([',', ':', ' ']);
        let rest = ["and ", "or ", "section ", "sections "]
            .iter()
            .fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        // A quotation that follows at once belongs to another string.
        let Some((section, after)) = quotation(rest).filter(|_| rest.len() < closed.len()) else { return found };
        found.push(section);
        text = after;
    }
}

/// The section that is named before a document: `"One" of docs/x.md`.
fn section_before(text: &str) -> Option<&str> {
    let quoted = [" of", " in"].iter().find_map(|word| text.trim_end().strip_suffix(word))?.strip_suffix('"')?;
    quoted.rsplit_once('"').map(|(_, section)| section)
}

/// The file that a citation means: beside the one that cites it, in the root, or among the documents (where the package
/// installs them, too).
fn document(path: &Path, name: &str) -> Option<PathBuf> {
    let name = name.strip_prefix("/usr/share/doc/callbox/").unwrap_or(name).trim_start_matches('/');
    let places = [path.parent().unwrap().to_owned(), root().to_owned(), root().join("docs")];
    places.into_iter().map(|place| place.join(name)).find(|document| document.is_file())
}

/// What a text cites that does not exist, and how many sections it cites.
fn missing(path: &Path, text: &str, known: &mut BTreeMap<PathBuf, Vec<String>>) -> (Vec<String>, usize) {
    let (mut missing, mut cited) = (Vec::new(), 0);
    for (at, _) in text.match_indices(".md") {
        let (before, behind) = (&text[..at], &text[at + 3..]);
        let begin = before.rfind(|one: char| !one.is_alphanumeric() && !"/_-.".contains(one)).map_or(0, |at| at + 1);
        let name = &text[begin..at + 3];
        let is_name = name != ".md" && !behind.starts_with(|one: char| one.is_alphanumeric() || "_.(".contains(one));
        if !is_name || name.starts_with("//") || MADE.contains(&name) {
            continue;
        }
        let Some(document) = document(path, name) else {
            missing.push(name.to_owned());
            continue;
        };
        let headings = known.entry(document.clone()).or_insert_with(|| headings(&document));
        let anchored = behind.strip_prefix('#').map(|rest| {
            let end = rest.find(|one: char| !one.is_alphanumeric() && !"_-".contains(one)).unwrap_or(rest.len());
            rest.split_at(end)
        });
        if let Some((fragment, _)) = anchored
            && !headings.iter().any(|heading| anchor(heading) == fragment)
        {
            missing.push(format!("{name}#{fragment}"));
        }
        let behind = anchored.map_or(behind, |(_, behind)| behind);
        for section in sections_behind(behind).into_iter().chain(section_before(&text[..begin])) {
            cited += 1;
            if !headings.iter().any(|heading| plain(heading) == plain(section)) {
                missing.push(format!("{name}, \"{section}\""));
            }
        }
    }
    (missing, cited)
}

#[test]
fn every_cited_document_and_section_exists() {
    let (mut all, mut cited) = (BTreeSet::new(), 0);
    let mut known = BTreeMap::new();
    for (path, text) in texts() {
        let (missing, sections) = missing(&path, &text, &mut known);
        let shown = path.strip_prefix(root()).unwrap().display();
        all.extend(missing.into_iter().map(|name| format!("{shown}: {name}")));
        cited += sections;
    }
    assert!(all.is_empty(), "{all:#?}");
    assert!(cited > 200, "only {cited} citations were seen");
}

#[test]
fn a_wrong_citation_is_noticed_in_whatever_form() {
    let place = root().join("src/lib.rs");
    let wrong = |text: &str| missing(&place, &unwrapped(text), &mut BTreeMap::new()).0;
    for text in [
        "// (interface.md)",
        "see tests/nope/README.md for",
        "//! docs/protocol.md, \"No such\n//! section\"",
        r#"{"description": "(docs/protocol.md, \"Nothing\")"}"#,
        "# docs/protocol.md, section \"Nothing\"",
        "`docs/protocol.md`: \"Nothing\"",
        "[protocol](docs/protocol.md), \"Nothing\"",
        "docs/protocol.md, \"Close codes\" or \"Nothing\"",
        "docs/protocol.md, 'Nothing'",
        "\"Nothing\" of docs/protocol.md",
        "docs/protocol.md#nothing",
    ] {
        assert_eq!(wrong(text).len(), 1, "{text}");
    }
    for text in ["docs/protocol.md, \"Close codes\"", "protocol.md#close-codes", "https://x.example/y.md", "a.mdx"] {
        assert!(wrong(text).is_empty(), "{text}");
    }
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
