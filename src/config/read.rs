//! A table of the configuration being read: each key is asked for once, with its type; what was
//! not asked for is unknown.

use std::cell::RefCell;
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::error::ConfigError;
use super::source::Origins;

/// Collects errors over the whole configuration.
pub(super) struct Reader {
    pub(super) origins: Origins,
    errors: RefCell<Vec<ConfigError>>,
}

impl Reader {
    pub(super) fn new(origins: Origins) -> Self {
        Self { origins, errors: RefCell::new(Vec::new()) }
    }

    pub(super) fn error(&self, path: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.errors.borrow_mut().push(ConfigError {
            place: self.origins.place(path),
            key: path.to_owned(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    /// All errors, in the order of the file.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by(|one, other| one.place.cmp(&other.place));
        errors
    }
}

/// One table, with the keys that have been asked for.
pub(super) struct Section<'r> {
    pub(super) reader: &'r Reader,
    pub(super) path: String,
    values: Map<String, Value>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'r> Section<'r> {
    pub(super) fn new(reader: &'r Reader, path: String, values: Map<String, Value>) -> Self {
        Self { reader, path, values, asked: RefCell::new(Vec::new()) }
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn error(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.reader.error(&self.path_of(key), problem, remedy);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(super) fn value(&self, key: &'static str) -> Option<&Value> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.values.get(key)
    }

    fn wrong_type(&self, key: &str, value: &Value, wanted: &str) {
        self.error(key, format!("{} is no {wanted}", shown(value)), format!("write a {wanted}"));
    }

    pub(super) fn string(&self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        match &value.kind {
            ValueKind::String(text) => Some(text.clone()),
            _ => {
                self.wrong_type(key, value, "text in quotes");
                None
            }
        }
    }

    /// A text that is not empty; an empty one is as if it was not there.
    pub(super) fn filled_string(&self, key: &'static str) -> Option<String> {
        self.string(key).filter(|text| !text.is_empty())
    }

    pub(super) fn integer(&self, key: &'static str, least: i64, most: i64) -> Option<i64> {
        let value = self.value(key)?;
        let number = match &value.kind {
            ValueKind::I64(number) => Some(*number),
            ValueKind::U64(number) => i64::try_from(*number).ok(),
            ValueKind::String(text) if self.reader.origins.is_variable(&self.path_of(key)) => text.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            self.wrong_type(key, value, "whole number");
            return None;
        };
        if !(least..=most).contains(&number) {
            self.error(key, format!("{number} is out of range"), format!("write a number from {least} to {most}"));
            return None;
        }
        Some(number)
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<bool> {
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
                self.wrong_type(key, value, "true or false");
                None
            }
        }
    }

    pub(super) fn duration_ms(&self, key: &'static str, least: i64, most: i64) -> Option<Duration> {
        self.integer(key, least, most).map(|number| Duration::from_millis(number.unsigned_abs()))
    }

    pub(super) fn duration_s(&self, key: &'static str, least: i64, most: i64) -> Option<Duration> {
        self.integer(key, least, most).map(|number| Duration::from_secs(number.unsigned_abs()))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(key)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.error(key, format!("\"{text}\" is no choice"), format!("write one of \"{}\"", words.join("\", \"")));
        }
        found
    }

    /// One text, or a list of them; from the environment a list is separated by commas.
    pub(super) fn strings(&self, key: &'static str) -> Option<Vec<String>> {
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
                    self.wrong_type(key, value, "list of texts");
                    return None;
                }
                Some(texts)
            }
            _ => {
                self.wrong_type(key, value, "list of texts");
                None
            }
        }
    }

    /// A table inside this one.
    pub(super) fn section(&self, key: &'static str) -> Section<'r> {
        let values = match self.value(key).map(|value| &value.kind) {
            Some(ValueKind::Table(values)) => values.clone(),
            Some(_) => {
                self.error(key, "is no table", format!("write it as [{}]", self.path_of(key)));
                Map::new()
            }
            None => Map::new(),
        };
        Section::new(self.reader, self.path_of(key), values)
    }

    /// An array of tables.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'r>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let ValueKind::Array(items) = &value.kind else {
            self.error(key, "is no list of tables", format!("write each as [[{}]]", self.path_of(key)));
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
                        self.reader.error(&path, format!("{} is no table", shown(item)), "write a table");
                        None
                    }
                }
            })
            .collect()
    }

    /// The table has been read: what was never asked for is unknown.
    pub(super) fn finish(&self) {
        let asked = self.asked.borrow();
        let mut unknown: Vec<&String> = self.values.keys().filter(|key| !asked.contains(&key.as_str())).collect();
        unknown.sort();
        for key in unknown {
            let nearest = asked.iter().min_by_key(|known| strsim::osa_distance(known, key));
            let close = |known: &&&str| strsim::osa_distance(known, key) <= (key.len() / 3).max(2);
            let remedy = match nearest.filter(close) {
                Some(known) => format!("did you mean \"{}\"?", self.path_of(known)),
                None if asked.is_empty() => "remove it".to_owned(),
                None => format!("known here: {}", asked.join(", ")),
            };
            self.error(key, "unknown key", remedy);
        }
    }
}

/// A value as a person wrote it, shortened.
pub(super) fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => format!("\"{}\"", text.chars().take(60).collect::<String>()),
        ValueKind::Table(_) => "a table".into(),
        ValueKind::Array(_) => "a list".into(),
        ValueKind::Nil => "nothing".into(),
        other => other.to_string(),
    }
}
