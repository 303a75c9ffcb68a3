//! Texts of a configuration that would move a terminal's cursor, or forge a line, where they are shown.

use config::{Map, Value, ValueKind};

use super::section::Reader;
use crate::plain_text::marked;

/// Refuses texts with control characters, wherever they are in the configuration.
pub(in crate::config) fn review_characters(values: &Map<String, Value>, reader: &Reader) {
    for (key, value) in values {
        review(key, value, reader);
    }
}

fn review(path: &str, value: &Value, reader: &Reader) {
    match &value.kind {
        ValueKind::String(text) if marked(text) != *text => {
            let shown: String = text.chars().take(60).collect();
            reader.error(path, format!("\"{shown}\" has control characters"), "write it without them");
        }
        ValueKind::Table(values) => {
            for (key, value) in values {
                review(&format!("{path}.{key}"), value, reader);
            }
        }
        ValueKind::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                review(&format!("{path}[{index}]"), item, reader);
            }
        }
        _ => {}
    }
}
