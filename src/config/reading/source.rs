//! Merges the file and the environment into one tree, and remembers where each value came from.

use std::collections::BTreeMap;

use config::{Environment, File, FileFormat, Map, Source, Value};
use toml_edit::{Document, Item};

use crate::config::error::{ConfigError, ConfigErrors, Place};

const PREFIX: &str = "CALLBOX";

/// The merged values with their origins.
pub(in crate::config) struct Sources {
    pub(in crate::config) values: Map<String, Value>,
    pub(in crate::config) origins: Origins,
}

/// Where each value came from, by the full path of its key.
pub(in crate::config) struct Origins {
    file: String,
    lines: BTreeMap<String, usize>,
    variables: BTreeMap<String, String>,
}

impl Origins {
    /// The place of a key; if the key has none, the place of the nearest table around it.
    pub(in crate::config) fn place(&self, path: &str) -> Place {
        if let Some(variable) = self.variables.get(path) {
            return Place::Environment(variable.clone());
        }
        if !self.lines.contains_key(path) {
            // The table exists only because a variable sets one of its keys.
            let inside = |key: &&String| key.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']));
            if let Some(variable) = self.variables.keys().find(inside).and_then(|key| self.variables.get(key)) {
                return Place::Environment(variable.clone());
            }
        }
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return Place::Line { file: self.file.clone(), line: *line };
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = path.get(..end).unwrap_or_default(),
                None => return Place::File(self.file.clone()),
            }
        }
    }

    /// Whether the value comes from an environment variable. It is then a text, whatever type the key has
    /// (docs/workarounds.md, "config: values of the environment are text").
    pub(in crate::config) fn is_variable(&self, path: &str) -> bool {
        self.variables.contains_key(path)
    }
}

/// Merges the TOML text with the variables that begin with `CALLBOX_`.
pub(in crate::config) fn merge(
    file: &str,
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Sources, ConfigErrors> {
    let lines = lines_of(file, text)?;
    let mut builder = config::Config::builder().add_source(File::from_str(text, FileFormat::Toml));
    let mut variables = BTreeMap::new();
    let ours = environment.iter().filter(|(name, _)| name.starts_with("CALLBOX_"));
    let source = Environment::with_prefix(PREFIX)
        .prefix_separator("_")
        .separator("__")
        .source(Some(ours.clone().map(|(name, value)| (name.clone(), value.clone())).collect()));
    let overrides = source.collect().map_err(|error| whole_file(file, &error.to_string()))?;
    for (key, value) in overrides {
        let path = indexed(&key);
        let name = ours
            .clone()
            .map(|(name, _)| name)
            .find(|name| name.trim_start_matches("CALLBOX_").to_lowercase().replace("__", ".") == key)
            .cloned()
            .unwrap_or_else(|| key.clone());
        if let Some((table, index)) = beyond_the_end(&path, &lines) {
            return Err(ConfigErrors(vec![ConfigError {
                place: Place::Environment(name),
                key: path,
                problem: format!("there are only {index} of [[{table}]]"),
                remedy: format!("write a number from 0 to {index}"),
            }]));
        }
        builder = builder.set_override(&path, value).map_err(|error| {
            ConfigErrors(vec![ConfigError {
                place: Place::Environment(name.clone()),
                key: path.clone(),
                problem: format!("is not a key: {error}"),
                remedy: "write it as CALLBOX_TABLE__KEY".into(),
            }])
        })?;
        variables.insert(path, name);
    }
    let merged = builder.build().map_err(|error| whole_file(file, &error.to_string()))?;
    let values =
        merged.try_deserialize::<Map<String, Value>>().map_err(|error| whole_file(file, &error.to_string()))?;
    Ok(Sources { values, origins: Origins { file: file.to_owned(), lines, variables } })
}

/// Turns `button.0.pin` into `button[0].pin`.
fn indexed(key: &str) -> String {
    key.split('.').fold(String::new(), |path, part| {
        if !path.is_empty() && part.chars().all(|character| character.is_ascii_digit()) {
            format!("{path}[{part}]")
        } else if path.is_empty() {
            part.to_owned()
        } else {
            format!("{path}.{part}")
        }
    })
}

/// If the index in `path` would leave a gap in its list, returns the list's name and length.
fn beyond_the_end(path: &str, lines: &BTreeMap<String, usize>) -> Option<(String, usize)> {
    let (table, rest) = path.split_once('[')?;
    let index: usize = rest.split(']').next()?.parse().ok()?;
    let length = (0..).find(|place| !lines.contains_key(&format!("{table}[{place}]")))?;
    (index > length).then(|| (table.to_owned(), length))
}

fn whole_file(file: &str, problem: &str) -> ConfigErrors {
    ConfigErrors(vec![ConfigError {
        place: Place::File(file.to_owned()),
        key: String::new(),
        problem: problem.to_owned(),
        remedy: "see the configuration reference in docs/configuration.md".into(),
    }])
}

/// Where the lines of a text end. Counting them anew for each key would take minutes in a file with 10,000 codes.
struct LineEnds(Vec<usize>);

impl LineEnds {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset).collect())
    }

    /// The number of the line at an offset, from 1.
    fn line_at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

/// The line of each key in the text. The merged values do not know it (docs/workarounds.md, "config: line numbers are
/// lost").
fn lines_of(file: &str, text: &str) -> Result<BTreeMap<String, usize>, ConfigErrors> {
    let ends = LineEnds::of(text);
    let document = Document::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| ends.line_at(span.start));
        ConfigErrors(vec![ConfigError {
            place: Place::Line { file: file.to_owned(), line },
            key: String::new(),
            problem: format!("is not valid TOML: {}", error.message().trim()),
            remedy: "correct this line".into(),
        }])
    })?;
    let mut lines = BTreeMap::new();
    note_table(&ends, document.as_table(), "", &mut lines);
    Ok(lines)
}

fn note_table(ends: &LineEnds, table: &dyn toml_edit::TableLike, path: &str, lines: &mut BTreeMap<String, usize>) {
    for (name, _) in table.iter() {
        let Some((key, item)) = table.get_key_value(name) else { continue };
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        if let Some(span) = key.span().or_else(|| item.span()) {
            lines.insert(path.clone(), ends.line_at(span.start));
        }
        note_item(ends, item, &path, lines);
    }
}

fn note_item(ends: &LineEnds, item: &Item, path: &str, lines: &mut BTreeMap<String, usize>) {
    if let Some(table) = item.as_table_like() {
        note_table(ends, table, path, lines);
    } else if let Some(tables) = item.as_array_of_tables() {
        for (index, table) in tables.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let Some(span) = table.span() {
                lines.insert(path.clone(), ends.line_at(span.start));
            }
            note_table(ends, table, &path, lines);
        }
    } else if let Some(array) = item.as_array() {
        for (index, value) in array.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let Some(span) = value.span() {
                lines.insert(path.clone(), ends.line_at(span.start));
            }
            if let Some(table) = value.as_inline_table() {
                note_table(ends, table, &path, lines);
            }
        }
    }
}
