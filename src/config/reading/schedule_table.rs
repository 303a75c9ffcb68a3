//! `[[schedule]]`: what happens at certain times by itself.

use std::time::Duration;

use super::names::read_name;
use super::section::Section;
use super::trigger::{RuleContext, read_trigger};
use crate::config::model::*;

/// The shortest interval.
const SHORTEST: Duration = Duration::from_secs(5);
/// A shorter interval is probably a mistake.
const USUAL: Duration = Duration::from_secs(60);

pub(in crate::config) fn read_schedule(section: Section<'_>, context: RuleContext<'_>) -> Option<Schedule> {
    let name = read_name(&section, "schedule");
    let when = read_occurrences(&section);
    let jitter = section.duration_s("jitter_s", 0, 86_400).unwrap_or_default();
    let run = read_trigger(&section, "run", context);
    if run.is_none() && !section.has("run") {
        section.error("run", "is missing: the schedule would do nothing", "write run = { call = \"100\" }");
    }
    if section.is_empty_table("run") {
        section.warning("run", "is empty: the schedule does nothing");
    }
    if let Some(Occurrences::Every(length)) = &when
        && jitter >= *length
    {
        section.warning("jitter_s", "is as long as the interval itself: runs may follow each other at once");
    }
    section.finish();
    Some(Schedule { name: name?, when: when?, jitter, run: run.unwrap_or_default() })
}

fn read_occurrences(section: &Section<'_>) -> Option<Occurrences> {
    let (every, at) = (section.filled_string("every"), section.filled_string("at"));
    match (every, at) {
        (Some(_), Some(_)) => {
            section.error("at", "every and at are given together", "keep one of them");
            None
        }
        (None, None) => {
            if !section.has("every") && !section.has("at") {
                section.error("every", "is missing", "write every = \"72h\", or at = \"Mo 03:00\"");
            }
            None
        }
        (None, Some(text)) => {
            text.parse().map(Occurrences::At).map_err(|error| wrong(section, "at", &text, error)).ok()
        }
        (Some(text), None) => read_interval(section, &text),
    }
}

fn read_interval(section: &Section<'_>, text: &str) -> Option<Occurrences> {
    let when = Occurrences::every(text).map_err(|error| wrong(section, "every", text, error)).ok()?;
    match when {
        Occurrences::Every(length) if length < SHORTEST => {
            section.error("every", format!("\"{text}\" is too short"), "write at least \"5s\"");
            return None;
        }
        Occurrences::Every(length) if length < USUAL => {
            section.warning("every", format!("\"{text}\" is less than a minute: is that intended?"));
        }
        _ => {}
    }
    Some(when)
}

fn wrong(section: &Section<'_>, key: &'static str, text: &str, error: OccurrencesError) {
    let shown = crate::plain_text::shortened(text);
    section.error(key, format!("\"{shown}\" {error}"), "see docs/configuration.md");
}
