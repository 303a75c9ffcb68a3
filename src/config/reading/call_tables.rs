//! `[[answer]]`, `[[dtmf]]`, `[calls]`, `[control]`, `[log]`.

use std::time::Duration;

use super::mode_tables::read_conditions;
use super::section::Section;
use super::trigger::{RuleContext, read_callers, read_trigger};
use crate::config::model::*;

pub(in crate::config) fn read_answer(section: Section<'_>, modes: &[Mode]) -> Option<AnswerRule> {
    let rule = AnswerRule {
        from: read_callers(&section, "from").unwrap_or_default(),
        action: section
            .choice(
                "action",
                &[("answer", AnswerAction::Answer), ("ring", AnswerAction::Ring), ("decline", AnswerAction::Decline)],
            )
            .unwrap_or(AnswerAction::Answer),
        after: section.duration_ms("after_ms", 0, 60_000).unwrap_or(Duration::ZERO),
        mode: section
            .choice("mode", &[("talk", CallMode::Talk), ("listen", CallMode::Listen), ("announce", CallMode::Announce)])
            .unwrap_or_default(),
        conditions: read_conditions(&section, modes),
    };
    if !section.has("action") {
        section.error("action", "is missing", "write action = \"answer\", \"ring\" or \"decline\"");
    }
    section.finish();
    Some(rule)
}

pub(in crate::config) fn read_dtmf(section: Section<'_>, context: RuleContext<'_>) -> Option<DtmfRule> {
    let digits = section.string("digits").map(|digits| digits.to_ascii_uppercase());
    match &digits {
        None if section.has("digits") => {}
        None => section.error("digits", "is missing", "write digits = \"7391\""),
        Some(digits) if digits.is_empty() => section.error("digits", "is empty", "write digits = \"7391\""),
        Some(digits) if digits.len() > 16 || !digits.chars().all(|digit| "0123456789*#ABCD".contains(digit)) => {
            section.error(
                "digits",
                "has characters that are not DTMF digits, or more than 16 digits",
                "write at most 16 digits of 0-9, *, #, A-D",
            );
        }
        Some(_) => {}
    }
    let from = read_callers(&section, "from");
    let run = read_trigger(&section, "run", context);
    if run.is_none() && !section.has("run") {
        section.error(
            "run",
            "is missing: the code would do nothing",
            "write run = { output = \"strike\", pulse_ms = 3000 }",
        );
    }
    if section.is_empty_table("run") {
        section.warning("run", "is empty: the code does nothing");
    }
    let in_band = section.boolean("in_band").unwrap_or(false);
    section.finish();
    Some(DtmfRule { digits: digits?.into(), from, run: run.unwrap_or_default(), in_band })
}

pub(in crate::config) fn read_access(section: Section<'_>) -> AccessConfig {
    let usual = AccessConfig::default();
    let wrong_codes = section.integer("wrong_codes", 1, 100).and_then(|count| u32::try_from(count).ok());
    let access = AccessConfig {
        wrong_codes: wrong_codes.unwrap_or(usual.wrong_codes),
        window: section.duration_s("wrong_s", 10, 86_400).unwrap_or(usual.window),
        lock: section.duration_s("lock_s", 1, 3_600).unwrap_or(usual.lock),
    };
    section.finish();
    access
}

pub(in crate::config) fn read_calls(section: Section<'_>) -> CallsConfig {
    const SECOND: [(&str, SecondCall); 4] = [
        ("reject", SecondCall::Reject),
        ("hold", SecondCall::Hold),
        ("mix", SecondCall::Mix),
        ("replace", SecondCall::Replace),
    ];
    let calls = CallsConfig {
        ring_timeout: section.duration_s("ring_timeout_s", 1, 600).unwrap_or(Duration::from_secs(60)),
        max_talk: section.duration_s("max_talk_s", 1, 86_400).unwrap_or(Duration::from_secs(300)),
        second_call: section.choice("second_call", &SECOND).unwrap_or(SecondCall::Reject),
        press_max_age: section.duration_s("press_max_age_s", 0, 60).unwrap_or(Duration::from_secs(5)),
    };
    section.finish();
    calls
}

pub(in crate::config) fn read_log(section: Section<'_>) -> LogConfig {
    let level = section.filled_string("level").unwrap_or_else(|| "info".into());
    // A text with "=" is a directive, and any other text must be a level: `Targets` would take an unknown word for the
    // name of a module, and nothing would be logged (docs/workarounds.md, "tracing-subscriber: any word is taken for a
    // module").
    let known = if level.contains('=') {
        level.parse::<tracing_subscriber::filter::Targets>().is_ok()
    } else {
        level.parse::<tracing::level_filters::LevelFilter>().is_ok()
    };
    if !known {
        section.error("level", format!("\"{level}\" is not a level"), "write error, warn, info, debug or trace");
    }
    section.finish();
    LogConfig { level }
}
