//! A table of the configuration while it is read: its reader asks for each key with a type, and a key that it did not
//! ask for is unknown.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::source::Origins;
use crate::config::error::{ConfigError, ConfigWarning};

/// Collects the errors and warnings of the whole configuration (docs/workarounds.md, "serde: reading stops at the first
/// error").
pub(in crate::config) struct Reader {
    pub(in crate::config) origins: Origins,
    errors: RefCell<Vec<ConfigError>>,
    warnings: RefCell<Vec<ConfigWarning>>,
}

impl Reader {
    pub(in crate::config) fn new(origins: Origins) -> Self {
        Self { origins, errors: RefCell::default(), warnings: RefCell::default() }
    }

    pub(in crate::config) fn error(&self, path: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.errors.borrow_mut().push(ConfigError {
            place: self.origins.place(path),
            key: path.to_owned(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    pub(in crate::config) fn warning(&self, path: &str, text: impl Into<String>) {
        self.warnings.borrow_mut().push(ConfigWarning {
            place: self.origins.place(path),
            key: path.to_owned(),
            text: text.into(),
        });
    }

    /// Whether something is wrong with a key, or with one in its table.
    pub(in crate::config) fn has_error_below(&self, path: &str) -> bool {
        self.errors.borrow().iter().any(|error| error.key.starts_with(path))
    }

    /// All errors, in the order of the file.
    pub(in crate::config) fn take_errors(&self) -> Vec<ConfigError> {
        let mut errors = self.errors.take();
        errors.sort_by(|one, other| one.place.cmp(&other.place));
        errors
    }

    /// All warnings, in the order of the file.
    pub(in crate::config) fn into_warnings(self) -> Vec<ConfigWarning> {
        let mut warnings = self.warnings.into_inner();
        warnings.sort_by(|one, other| one.place.cmp(&other.place));
        warnings
    }
}

/// One table, with the keys that have been asked for.
pub(in crate::config) struct Section<'r> {
    pub(in crate::config) reader: &'r Reader,
    pub(in crate::config) path: String,
    values: Map<String, Value>,
    asked: RefCell<Vec<&'static str>>,
    /// Whether the table is a rule or an action.
    pub(in crate::config) is_action: bool,
}

impl<'r> Section<'r> {
    pub(in crate::config) fn new(reader: &'r Reader, path: String, values: Map<String, Value>) -> Self {
        Self { reader, path, values, asked: RefCell::default(), is_action: false }
    }

    pub(in crate::config) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(in crate::config) fn error(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.reader.error(&self.path_of(key), problem, remedy);
    }

    pub(in crate::config) fn warning(&self, key: &str, text: impl Into<String>) {
        self.reader.warning(&self.path_of(key), text);
    }

    /// Warns about a secret that every user of the machine may read or replace.
    pub(in crate::config) fn review_secret(&self, key: &str, path: &Path) {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode()).unwrap_or_default();
        if mode & 0o006 != 0 {
            let what = if mode & 0o004 != 0 { "read" } else { "replace" };
            let path = path.display();
            self.warning(key, format!("every user of this machine may {what} {path}: type chmod o= {path}"));
        }
    }

    /// Whether the key has a value. An empty text or list counts as absent.
    pub(in crate::config) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key) && !self.is_blank(key)
    }

    /// Whether the key is there with an empty text or list.
    pub(in crate::config) fn is_blank(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| match &value.kind {
            ValueKind::String(text) => text.is_empty(),
            ValueKind::Array(items) => items.is_empty(),
            _ => false,
        })
    }

    /// Whether the key has a table, or a list of tables, without any key.
    pub(in crate::config) fn is_empty_table(&self, key: &str) -> bool {
        let empty = |value: &Value| matches!(&value.kind, ValueKind::Table(values) if values.is_empty());
        self.values.get(key).is_some_and(|value| match &value.kind {
            ValueKind::Array(items) => items.iter().all(empty),
            _ => empty(value),
        })
    }

    pub(in crate::config) fn value(&self, key: &'static str) -> Option<&Value> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.values.get(key)
    }

    fn wrong_type(&self, key: &str, value: &Value, wanted: &str, remedy: String) {
        self.error(key, format!("{} is not a {wanted}", shown(value)), remedy);
    }

    pub(in crate::config) fn string(&self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        match &value.kind {
            ValueKind::String(text) => Some(text.clone()),
            _ => {
                let remedy = match &value.kind {
                    ValueKind::Array(_) | ValueKind::Table(_) | ValueKind::Nil | ValueKind::Boolean(_) => {
                        format!("write {key} = \"…\"")
                    }
                    other => format!("write {key} = \"{other}\", with quotes"),
                };
                self.wrong_type(key, value, "text", remedy);
                None
            }
        }
    }

    /// A text that is not empty. An empty text counts as absent.
    pub(in crate::config) fn filled_string(&self, key: &'static str) -> Option<String> {
        self.string(key).filter(|text| !text.is_empty())
    }

    pub(in crate::config) fn integer(&self, key: &'static str, least: i64, most: i64) -> Option<i64> {
        let value = self.value(key)?;
        let number = match &value.kind {
            ValueKind::I64(number) => Some(*number),
            ValueKind::U64(number) => i64::try_from(*number).ok(),
            ValueKind::String(text) if self.reader.origins.is_variable(&self.path_of(key)) => text.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            let remedy = format!("write a whole number from {least} to {most}, without quotes");
            self.wrong_type(key, value, "whole number", remedy);
            return None;
        };
        if !(least..=most).contains(&number) {
            self.error(key, format!("{number} is out of range"), format!("write a number from {least} to {most}"));
            return None;
        }
        Some(number)
    }

    pub(in crate::config) fn boolean(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        match &value.kind {
            ValueKind::Boolean(flag) => Some(*flag),
            ValueKind::String(text) if self.reader.origins.is_variable(&self.path_of(key)) && text == "true" => {
                Some(true)
            }
            ValueKind::String(text) if self.reader.origins.is_variable(&self.path_of(key)) && text == "false" => {
                Some(false)
            }
            _ => {
                let remedy = format!("write {key} = true or {key} = false, without quotes");
                self.wrong_type(key, value, "boolean", remedy);
                None
            }
        }
    }

    pub(in crate::config) fn duration_ms(&self, key: &'static str, least: i64, most: i64) -> Option<Duration> {
        self.integer(key, least, most).map(|number| Duration::from_millis(number.unsigned_abs()))
    }

    pub(in crate::config) fn duration_s(&self, key: &'static str, least: i64, most: i64) -> Option<Duration> {
        self.integer(key, least, most).map(|number| Duration::from_secs(number.unsigned_abs()))
    }

    /// One of a few words, each of which stands for a value.
    pub(in crate::config) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let allowed = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join("\", \"");
        let value = self.value(key)?;
        let ValueKind::String(text) = &value.kind else {
            self.error(key, format!("{} is not allowed", shown(value)), format!("write one of \"{}\"", allowed()));
            return None;
        };
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            self.error(key, format!("{} is not allowed", shown(value)), format!("write one of \"{}\"", allowed()));
        }
        found
    }

    /// One text, or a list of texts. In an environment variable, commas separate the items of a list.
    pub(in crate::config) fn strings(&self, key: &'static str) -> Option<Vec<String>> {
        let value = self.value(key)?;
        match &value.kind {
            ValueKind::String(text) if self.reader.origins.is_variable(&self.path_of(key)) => {
                Some(text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
            }
            ValueKind::String(text) => Some(vec![text.clone()]),
            ValueKind::Array(items) => {
                let texts: Vec<String> = items
                    .iter()
                    .filter_map(|item| match &item.kind {
                        ValueKind::String(text) => Some(text.clone()),
                        _ => None,
                    })
                    .collect();
                if texts.len() != items.len() {
                    let quoted: Vec<String> = items.iter().map(quoted).collect();
                    let remedy = format!("write {key} = [{}]", quoted.join(", "));
                    self.error(key, "the list has an item that is not a text", remedy);
                    return None;
                }
                Some(texts)
            }
            _ => {
                let remedy = format!("write {key} = {}, or a list of such texts", quoted(value));
                self.wrong_type(key, value, "text", remedy);
                None
            }
        }
    }

    /// A table inside this one.
    pub(in crate::config) fn section(&self, key: &'static str) -> Section<'r> {
        let values = match self.value(key).map(|value| &value.kind) {
            Some(ValueKind::Table(values)) => values.clone(),
            Some(_) => {
                self.error(key, "is not a table", format!("write it as [{}]", self.path_of(key)));
                Map::new()
            }
            None => Map::new(),
        };
        Section::new(self.reader, self.path_of(key), values)
    }

    /// The tables whose names are not given by the format, with their names.
    pub(in crate::config) fn tables(&self) -> Vec<(String, Section<'r>)> {
        let mut names: Vec<&String> = self.values.keys().collect();
        names.sort();
        let table = |name: &String| match self.values.get(name).map(|value| &value.kind) {
            Some(ValueKind::Table(values)) => {
                Some((name.clone(), Section::new(self.reader, self.path_of(name), values.clone())))
            }
            _ => {
                self.error(name, "is not a table", format!("write {name} = {{}}"));
                None
            }
        };
        names.into_iter().filter_map(table).collect()
    }

    /// The texts whose names are not given by the format, with their names. Empty ones count as absent.
    pub(in crate::config) fn texts(&self) -> Vec<(String, String)> {
        let mut names: Vec<&String> = self.values.keys().collect();
        names.sort();
        let text = |name: &String| match self.values.get(name).map(|value| &value.kind) {
            Some(ValueKind::String(text)) => Some((name.clone(), text.clone())).filter(|(_, text)| !text.is_empty()),
            Some(_) | None => {
                self.error(name, "is not a text", format!("write {name} = \"…\""));
                None
            }
        };
        names.into_iter().filter_map(text).collect()
    }

    /// The tables of an array.
    pub(in crate::config) fn sections(&self, key: &'static str) -> Vec<Section<'r>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let ValueKind::Array(items) = &value.kind else {
            self.error(key, "is not a list of tables", format!("write each as [[{}]]", self.path_of(key)));
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| {
                let path = format!("{}[{index}]", self.path_of(key));
                match &item.kind {
                    ValueKind::Table(values) => Some(Section::new(self.reader, path, values.clone())),
                    _ => {
                        let table = self.path_of(key);
                        self.reader.error(
                            &path,
                            format!("{} is not a table", shown(item)),
                            format!("write [[{table}]] with its keys on the lines below"),
                        );
                        None
                    }
                }
            })
            .collect()
    }

    /// A key's path without the indexes of lists: `audio.ambient` or `door`, and `….say` for a key of any action.
    fn general_path_of(&self, key: &str) -> String {
        let parts: Vec<&str> = self.path.split('.').map(|part| part.split('[').next().unwrap_or_default()).collect();
        let table = parts.join(".");
        match table.as_str() {
            "" => key.to_owned(),
            table if self.is_action || table == "answer" || table == "dtmf" => format!("….{key}"),
            table => format!("{table}.{key}"),
        }
    }

    /// Ends the reading of the table, and reports every key that was never asked for.
    pub(in crate::config) fn finish(&self) {
        let asked = self.asked.borrow();
        let mut unknown: Vec<&String> = self.values.keys().filter(|key| !asked.contains(&key.as_str())).collect();
        unknown.sort();
        for key in unknown {
            let nearest = asked.iter().min_by_key(|known| strsim::osa_distance(known, key));
            let close = |known: &&&str| strsim::osa_distance(known, key) <= (key.len() / 3).max(2);
            if NOT_BUILT.contains(&self.general_path_of(key).as_str()) {
                self.error(key, "is not built yet", "leave it out");
                continue;
            }
            let remedy = match nearest.filter(close) {
                _ if key == "run" && self.is_action => {
                    "this is the action: write its keys here, without run".to_owned()
                }
                Some(known) => format!("did you mean \"{}\"?", self.path_of(known)),
                None if asked.is_empty() => "remove it".to_owned(),
                None => format!("known here: {}", asked.join(", ")),
            };
            self.error(key, "unknown key", remedy);
        }
    }
}

/// Keys whose feature is not built yet, by table; `…` stands for any rule or action.
const NOT_BUILT: &[&str] = &["audio.ambient"];

/// A value as a text in quotes, for a remedy.
fn quoted(value: &Value) -> String {
    match &value.kind {
        ValueKind::Array(_) | ValueKind::Table(_) | ValueKind::Nil | ValueKind::Boolean(_) => "\"…\"".into(),
        other => format!("\"{}\"", other.to_string().chars().take(60).collect::<String>()),
    }
}

/// A value as a person wrote it, shortened, for a message.
pub(in crate::config) fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => format!("\"{}\"", text.chars().take(60).collect::<String>()),
        ValueKind::Table(_) => "a table".into(),
        ValueKind::Array(_) => "a list".into(),
        ValueKind::Nil => "nothing".into(),
        other => other.to_string(),
    }
}
