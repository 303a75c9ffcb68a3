//! `[modes]` and `[calendar]`, and the conditions of rules.

use super::names::{NAME_REMEDY, name_problem, place};
use super::section::Section;
use crate::config::model::*;

/// The most modes.
const MAX_MODES: usize = 16;
/// The most public holidays.
const MAX_HOLIDAYS: usize = 400;

pub(in crate::config) fn read_modes(section: Section<'_>) -> Vec<Mode> {
    let tables = section.tables();
    if tables.len() > MAX_MODES {
        let path = section.path.clone();
        section.reader.error(
            &path,
            format!("{} modes are too many", tables.len()),
            format!("write at most {MAX_MODES}"),
        );
    }
    tables.into_iter().map(|(name, table)| read_mode(name, &table)).collect()
}

fn read_mode(name: String, table: &Section<'_>) -> Mode {
    let path = table.path.clone();
    if let Some(problem) = name_problem(&name) {
        table.reader.error(&path, problem, NAME_REMEDY);
    } else if name == "not" {
        table.reader.error(&path, "\"not\" cannot be the name of a mode", "choose another name");
    }
    let hours = read_hours(table);
    let volume = table.integer("volume", 0, 100).and_then(|volume| u8::try_from(volume).ok());
    table.finish();
    Mode { name, hours, volume }
}

pub(in crate::config) fn read_calendar(section: &Section<'_>) -> Calendar {
    let texts = section.strings("holidays").unwrap_or_default();
    section.finish();
    if texts.len() > MAX_HOLIDAYS {
        let remedy = format!("write at most {MAX_HOLIDAYS}");
        section.error("holidays", format!("{} holidays are too many", texts.len()), remedy);
    }
    let holidays = texts.iter().filter_map(|text| {
        let holiday = text.parse::<Holiday>();
        if let Err(error) = &holiday {
            let shown = crate::plain_text::shortened(text);
            let remedy = "write \"12-25\" for each year, or \"2026-04-06\" for one";
            section.error("holidays", format!("\"{shown}\" {error}"), remedy);
        }
        holiday.ok()
    });
    Calendar { holidays: holidays.collect() }
}

/// Reads `hours` and `when`.
pub(in crate::config) fn read_conditions(section: &Section<'_>, modes: &[Mode]) -> Conditions {
    Conditions { hours: read_hours(section), when: read_when(section, modes) }
}

fn read_hours(section: &Section<'_>) -> Option<Hours> {
    let text = section.string("hours")?;
    match text.parse::<Hours>() {
        Ok(hours) if hours.are_empty() => {
            section.error("hours", format!("\"{text}\" is never"), "write the times at which it is to hold");
            None
        }
        Ok(hours) => Some(hours),
        Err(error) => {
            section.error("hours", error.to_string(), "see docs/configuration.md");
            None
        }
    }
}

fn read_when(section: &Section<'_>, modes: &[Mode]) -> Option<ModeCondition> {
    let text = section.string("when")?;
    let (name, is_on) = text.strip_prefix("not ").map_or((text.as_str(), true), |name| (name.trim(), false));
    let mode = mode_of(section, "when", name, modes)?;
    Some(ModeCondition { mode, is_on })
}

/// The mode of a name. An error if there is none.
pub(in crate::config) fn mode_of(
    section: &Section<'_>,
    key: &'static str,
    name: &str,
    modes: &[Mode],
) -> Option<ModeIndex> {
    let names = modes.iter().map(|mode| mode.name.as_str());
    place(section, key, "mode", name, names, "add it to [modes]").map(ModeIndex)
}

/// Reads `mode` with `set`, an action.
pub(in crate::config) fn read_mode_change(section: &Section<'_>, modes: &[Mode]) -> Option<Action> {
    let name = section.filled_string("mode")?;
    let choices =
        [("on", ModeChange::On), ("off", ModeChange::Off), ("toggle", ModeChange::Toggle), ("auto", ModeChange::Auto)];
    if section.has("output") {
        section.error("mode", "output and mode both take set", "write two tables: one for each");
        return None;
    }
    let change = section.choice("set", &choices);
    if !section.has("set") {
        section.error("mode", "does nothing", "add set = \"on\", \"off\", \"toggle\" or \"auto\"");
    }
    let mode = mode_of(section, "mode", &name, modes);
    Some(Action::Mode { mode: mode?, change: change? })
}
