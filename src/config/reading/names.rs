//! Names in the configuration: how they are written, and what they refer to.

use super::section::Section;

pub(in crate::config) const NAME_REMEDY: &str = "use a to z, 0 to 9, _ and -, at most 32 characters";

/// What is wrong with the name of a mode, a door or a schedule.
pub(in crate::config) fn name_problem(name: &str) -> Option<String> {
    let allowed =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "_-".contains(character);
    let good = !name.is_empty() && name.len() <= 32 && name.chars().all(allowed);
    (!good).then(|| format!("\"{}\" is not a name", crate::plain_text::shortened(name)))
}

/// Reads the `name` of a table that must have one; `what` is what has it.
pub(in crate::config) fn read_name(section: &Section<'_>, what: &str) -> Option<String> {
    let name = section.filled_string("name");
    if !section.has("name") {
        section.error("name", "is missing", format!("give the {what} a name"));
    }
    if let Some(problem) = name.as_deref().and_then(name_problem) {
        section.error("name", problem, NAME_REMEDY);
    }
    name
}

/// The index of what `key` refers to by its name. Where there is no such thing at all, `if_none` is the remedy.
pub(in crate::config) fn place<'n>(
    section: &Section<'_>,
    key: &str,
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
    if_none: &str,
) -> Option<usize> {
    let found = names.clone().position(|one| one == name);
    if found.is_none() {
        let names: Vec<&str> = names.collect();
        let remedy = match names.as_slice() {
            [] => if_none.to_owned(),
            names => format!("there are: {}", names.join(", ")),
        };
        section.error(key, format!("there is no {what} \"{}\"", crate::plain_text::shortened(name)), remedy);
    }
    found
}
