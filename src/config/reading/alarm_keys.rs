//! `alarm`, `confirm` and `say` of a call: how it makes sure that a person takes it.

use std::time::Duration;

use config::ValueKind;

use super::section::{Section, shown};
use super::sound_tables::playable_of;
use crate::config::model::*;
use crate::secret::DtmfDigit;

/// What `alarm` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum AlarmKey {
    /// `alarm = true`: the call does not give up.
    Raise,
    /// `alarm = "end"`: the action that ends all alarms.
    End,
    Absent,
}

pub(in crate::config) fn read_alarm(table: &Section<'_>) -> AlarmKey {
    let Some(value) = table.value("alarm") else { return AlarmKey::Absent };
    match &value.kind {
        ValueKind::Boolean(true) => AlarmKey::Raise,
        ValueKind::Boolean(false) => AlarmKey::Absent,
        ValueKind::String(text) if text == "end" => AlarmKey::End,
        ValueKind::String(text) if text == "true" && table.reader.origins.is_variable(&table.path_of("alarm")) => {
            AlarmKey::Raise
        }
        _ => {
            let remedy = "write alarm = true beside a call, or alarm = \"end\"";
            table.error("alarm", format!("{} is neither true nor \"end\"", shown(value)), remedy);
            AlarmKey::Absent
        }
    }
}

/// Reads `confirm`, `confirm_s` and `say`.
pub(in crate::config) fn read_assurance(table: &Section<'_>, alarm: bool, prompts: &[Prompt]) -> Assurance {
    let within = table.duration_s("confirm_s", 5, 600);
    let text = table.filled_string("confirm").map(|text| text.to_ascii_uppercase());
    let digit = text.as_ref().and_then(|text| {
        let mut characters = text.chars();
        let only = characters.next().filter(|digit| "0123456789*#ABCD".contains(*digit));
        only.filter(|_| characters.next().is_none())
    });
    if text.is_some() && digit.is_none() {
        table.error("confirm", "is not one DTMF digit", "write one of 0-9, *, #, A-D: confirm = \"1\"");
    }
    if within.is_some() && !table.has("confirm") {
        table.error("confirm_s", "means nothing without confirm", "add confirm = \"1\", or leave it out");
    }
    let say = table.filled_string("say").and_then(|name| playable_of(table, "say", &name, prompts));
    if alarm && !table.has("confirm") {
        table.warning("alarm", "has no confirm: a mailbox that answers ends the attempts");
    }
    let confirm =
        digit.map(|digit| Confirm { digit: DtmfDigit(digit), within: within.unwrap_or(Duration::from_secs(60)) });
    Assurance { alarm, confirm, say }
}
