//! Reads actions: one table, a list of them, or a list of rules with hours.

use std::time::Duration;

use config::{Value, ValueKind};

use super::alarm_keys::{AlarmKey, read_alarm, read_assurance};
use super::mode_tables::{read_conditions, read_mode_change};
use super::names::place;
use super::section::{Section, shown};
use super::sound_tables::read_play;
use crate::config::model::NumberPattern;
use crate::config::model::OutputChange;
use crate::config::model::{
    Action, CallAction, CallMode, Conditions, HangupTarget, LineChoice, Mode, Order, Outcomes, Prompt, Rule, Step,
    Trigger, playable,
};
use crate::config::model::{Line, OutputIndex, OutputKind, OutputPin};
use crate::sip_address::{bare_number, canonical};

/// What the reader of a rule needs to know of the rest of the configuration.
#[derive(Clone, Copy)]
pub(in crate::config) struct RuleContext<'a> {
    pub(in crate::config) outputs: &'a [OutputPin],
    pub(in crate::config) modes: &'a [Mode],
    pub(in crate::config) prompts: &'a [Prompt],
    /// How many lines calls may use.
    pub(in crate::config) lines: u32,
    /// Whether the rule belongs to a sensor. Only a sensor has `for_ms` and `cooldown_s`.
    pub(in crate::config) of_sensor: bool,
    /// Whether the rule belongs to an outcome of a call. A call in it has no outcomes.
    pub(in crate::config) in_outcome: bool,
}

/// Reads a key that holds actions or rules; `None` if it is absent or wrong.
pub(in crate::config) fn read_trigger(
    section: &Section<'_>,
    key: &'static str,
    context: RuleContext<'_>,
) -> Option<Trigger> {
    let value = section.value(key)?;
    let numbers = |items: &[Value]| {
        let texts: Vec<String> = items.iter().filter_map(number_text).collect();
        (!items.is_empty() && texts.len() == items.len()).then(|| texts.join(", "))
    };
    let mut tables: Vec<Section<'_>> = match &value.kind {
        ValueKind::Table(_) => vec![section.section(key)],
        ValueKind::Array(items) => {
            if let Some(numbers) = numbers(items) {
                section.error(
                    key,
                    "is a list of numbers, and not an action",
                    format!("write {key} = {{ call = [{numbers}] }}"),
                );
                return None;
            }
            section.sections(key)
        }
        _ => {
            let action = action_for(value, context);
            section.error(key, format!("{} is not an action", shown(value)), format!("write {key} = {{ {action} }}"));
            return None;
        }
    };
    tables.iter_mut().for_each(|table| table.is_action = true);
    // If an item has a condition, the items are rules, of which the first that matches runs. Otherwise they all run.
    let has_condition = |table: &Section<'_>| table.has("hours") || table.has("when");
    let are_rules = tables.iter().any(has_condition);
    let fallback = tables.iter().position(|table| !has_condition(table));
    let rules: Vec<Rule> = tables
        .into_iter()
        .map(|table| {
            let conditions = read_conditions(&table, context.modes);
            let steps = read_steps(&table, context);
            table.finish();
            Rule { conditions, steps }
        })
        .collect();
    if are_rules {
        if let Some(hidden) = fallback.map(|index| index + 1).filter(|next| *next < rules.len()) {
            let path = format!("{}[{hidden}]", section.path_of(key));
            section.reader.error(
                &path,
                "is never reached: the rule before it has no hours and no when",
                "put the rule without conditions last",
            );
        }
        if rules.iter().all(|rule| rule.steps.is_empty()) && !section.reader.has_error_below(&section.path_of(key)) {
            section.error(key, "has conditions, and no action", "add one beside them, such as call = \"100\"");
        }
        return Some(Trigger { rules });
    }
    let steps: Vec<Step> = rules.into_iter().flat_map(|rule| rule.steps).collect();
    let rules = if steps.is_empty() { Vec::new() } else { vec![Rule { conditions: Conditions::default(), steps }] };
    Some(Trigger { rules })
}

/// The action that a person probably means by a plain value in its place, for a remedy.
fn action_for(value: &Value, context: RuleContext<'_>) -> String {
    let ValueKind::String(word) = &value.kind else {
        return format!("call = {}", number_text(value).unwrap_or("\"100\"".to_owned()));
    };
    match word.as_str() {
        "hangup" => "hangup = \"all\"".to_owned(),
        "answer" => "answer = true".to_owned(),
        "mute" => "mute = true".to_owned(),
        word if context.outputs.iter().any(|output| output.name == word) => {
            format!("output = \"{word}\", pulse_ms = 3000")
        }
        word if playable(word, context.prompts).is_some() => format!("play = \"{word}\""),
        word => format!("call = \"{}\"", alone(word).unwrap_or("100".to_owned())),
    }
}

/// The number alone, from a text that also has an address, a name, spaces or brackets.
fn alone(text: &str) -> Option<String> {
    let number: String = bare_number(text).chars().filter(|character| !" ()/".contains(*character)).collect();
    is_number(&number).then_some(number)
}

/// The number to call in a value, in quotes; `None` if the value is not such a number.
fn number_text(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::String(text) if is_number(text) => Some(format!("\"{text}\"")),
        ValueKind::I64(number) if *number >= 0 => Some(format!("\"{number}\"")),
        _ => None,
    }
}

fn read_steps(table: &Section<'_>, context: RuleContext<'_>) -> Vec<Step> {
    let after = table.duration_ms("after_ms", 0, 3_600_000).unwrap_or(Duration::ZERO);
    let lasting = table.duration_ms("for_ms", 1, 3_600_000).unwrap_or(Duration::ZERO);
    let cooldown = table.duration_s("cooldown_s", 1, 86_400).unwrap_or(Duration::ZERO);
    const ACTIONS: [&str; 10] =
        ["answer", "hangup", "output", "play", "volume", "mute", "mode", "talk", "hook", "call"];
    let alarm = read_alarm(table);
    for key in ACTIONS.iter().chain(&["alarm", "confirm", "say"]).filter(|key| table.is_blank(key) && **key != "call") {
        table.error(key, "is empty", "say what it is, or leave it out");
    }
    if !ACTIONS.iter().any(|key| table.has(key)) && alarm != AlarmKey::End {
        let timing = if context.of_sensor { &["after_ms", "for_ms", "cooldown_s"][..] } else { &["after_ms"] };
        for key in timing.iter().filter(|key| table.has(key)) {
            table.error(key, "means nothing without an action", "add one beside it, such as call = \"100\"");
        }
    }
    let mut actions = Vec::new();
    // Answering comes first, because it replaces the other actions of the same press.
    match table.boolean("answer") {
        Some(true) => actions.push(Action::Answer),
        Some(false) => table.error("answer", "is false, which is no action", "write answer = true, or leave it out"),
        None => {}
    }
    actions.extend(read_hangup(table).map(Action::Hangup));
    actions.extend(read_output(table, context.outputs));
    actions.extend(read_play(table, context.prompts).map(Action::Play));
    if let Some(volume) = table.integer("volume", 0, 100) {
        actions.push(Action::Volume(u8::try_from(volume).unwrap_or(100)));
    }
    if let Some(muted) = table.boolean("mute") {
        actions.push(Action::Mute(muted));
    }
    actions.extend(read_mode_change(table, context.modes));
    actions.extend(read_talk(table).map(Action::Talk));
    actions.extend(read_hook(table).map(Action::Hook));
    actions.extend((alarm == AlarmKey::End).then_some(Action::EndAlarm));
    let call = read_call(table, alarm == AlarmKey::Raise, context);
    let calls = call.is_some();
    actions.extend(call.map(Action::Call));
    read_timing(table, context, calls);
    if alarm == AlarmKey::Raise && !table.has("call") {
        table.error("alarm", "means nothing without call", "add call, or write alarm = \"end\"");
    }
    const OF_CALL: [&str; 10] =
        ["ring_s", "order", "line", "confirm", "confirm_s", "say", "answered", "no_answer", "failed", "ended"];
    const OF_PLAY: [&str; 3] = ["to", "repeat", "in_call"];
    let needs =
        [("call", OF_CALL.as_slice()), ("output", ["pulse_ms", "set"].as_slice()), ("play", OF_PLAY.as_slice())];
    for (needed, keys) in needs {
        let is_there = |key: &str| table.has(key) || table.is_blank(key);
        let also_of_mode = |key: &str| key == "set" && is_there("mode");
        for key in keys.iter().filter(|key| table.has(key) && !is_there(needed) && !also_of_mode(key)) {
            table.error(key, format!("means nothing without {needed}"), format!("add {needed}, or leave it out"));
        }
    }
    actions.into_iter().map(|action| Step { after, lasting, cooldown, action }).collect()
}

/// Checks whether `after_ms`, `for_ms` and `cooldown_s` are allowed here and go together.
fn read_timing(table: &Section<'_>, context: RuleContext<'_>, calls: bool) {
    for key in ["for_ms", "cooldown_s"] {
        if table.has(key) && !context.of_sensor {
            table.error(key, "is for sensors: a press and a code have no state that lasts", "leave it out");
        }
    }
    if table.has("for_ms") && table.has("after_ms") {
        table.error("for_ms", "is given together with after_ms", "keep for_ms, which demands that the state lasts");
    } else if context.of_sensor && calls && table.has("after_ms") {
        table.warning(
            "after_ms",
            "calls after this time in any case, also if the sensor is back at rest by then; \
             for_ms calls only if the state lasts",
        );
    }
}

fn read_call(table: &Section<'_>, alarm: bool, context: RuleContext<'_>) -> Option<CallAction> {
    let numbers = table.strings("call");
    let assurance = read_assurance(table, alarm, context.prompts);
    let outcomes = read_outcomes(table, context);
    let line = read_line(table, "line");
    if let Some(LineChoice::Number(Line(number))) = line
        && number >= context.lines
    {
        table.error("line", format!("{number} is not used: core.lines is {}", context.lines), "leave it out");
    }
    let ring = table.duration_s("ring_s", 1, 600);
    let order =
        table.choice("order", &[("serial", Order::Serial), ("parallel", Order::Parallel)]).unwrap_or(Order::Serial);
    let numbers = numbers?;
    if numbers.is_empty() {
        table.error("call", "is an empty list", "write a number, or a list of them");
        return None;
    }
    let good = check_numbers(table, &numbers);
    if good && order == Order::Parallel {
        check_parallel(table, &numbers, line, context);
    }
    good.then_some(CallAction {
        numbers: numbers.into_iter().map(Into::into).collect(),
        line: line.unwrap_or(LineChoice::Any),
        ring,
        order,
        assurance,
        outcomes,
    })
}

/// Says what is wrong with numbers to call. Returns whether all can be called.
fn check_numbers(table: &Section<'_>, numbers: &[String]) -> bool {
    let mut good = true;
    for number in numbers.iter().filter(|number| !is_number(number)) {
        good = false;
        let shown: String = number.chars().take(60).collect();
        match alone(number) {
            Some(bare) => {
                let is_address = number.contains(['@', ':', '<']);
                let problem =
                    if is_address { "is an address; the server knows the host" } else { "is not a number to call" };
                table.error("call", format!("\"{shown}\" {problem}"), format!("write the number alone: \"{bare}\""));
            }
            None => table.error(
                "call",
                format!("\"{shown}\" is not a number to call"),
                "write digits, letters and + * # - _ . without spaces",
            ),
        }
    }
    let twice =
        numbers.iter().enumerate().find(|(index, number)| numbers.iter().take(*index).any(|other| other == *number));
    if let Some((_, number)) = twice {
        table.warning("call", format!("names {number} twice: it rings there again after everybody else"));
    }
    good
}

/// Warns where not all numbers ring at once, though they are to.
fn check_parallel(table: &Section<'_>, numbers: &[String], line: Option<LineChoice>, context: RuleContext<'_>) {
    let of_one_line = matches!(line, Some(LineChoice::Number(_)));
    if numbers.len() > 1 && of_one_line {
        table.warning("order", "is parallel on one line: the numbers ring in turn; leave line out");
    }
    let at_once = usize::try_from(context.lines).unwrap_or(usize::MAX);
    if !of_one_line && numbers.len() > at_once {
        table.warning(
            "order",
            format!(
                "only {at_once} of the {} numbers ring at once: core.lines allows no more; the others follow in turn",
                numbers.len()
            ),
        );
    }
}

/// Reads what happens at the end of a call.
fn read_outcomes(table: &Section<'_>, context: RuleContext<'_>) -> Outcomes {
    const KEYS: [&str; 4] = ["answered", "no_answer", "failed", "ended"];
    if context.in_outcome {
        for key in KEYS.into_iter().filter(|key| table.value(key).is_some()) {
            let remedy = "leave it out: only a call that is not an outcome itself has outcomes";
            table.error(key, "is an outcome in an outcome", remedy);
        }
        return Outcomes::default();
    }
    let context = RuleContext { of_sensor: false, in_outcome: true, ..context };
    let read = |key| read_trigger(table, key, context).unwrap_or_default();
    let [answered, no_answer, failed, ended] = KEYS.map(read);
    Outcomes { answered, no_answer, failed, ended }
}

/// Whether the station can call this text: 1 to 64 letters, digits and `+*#-_.`, which may all be in the user part of a
/// SIP address.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "+*#-_.".contains(character))
}

fn read_line(table: &Section<'_>, key: &'static str) -> Option<LineChoice> {
    let value = table.value(key)?;
    if matches!(&value.kind, ValueKind::String(text) if text == "any") {
        return Some(LineChoice::Any);
    }
    let line = match &value.kind {
        ValueKind::I64(line) => u32::try_from(*line).ok().filter(|line| *line <= 1),
        _ => None,
    };
    if line.is_none() {
        table.error(key, format!("{} is not a line", shown(value)), "write 0, 1 or \"any\"");
    }
    line.map(Line).map(LineChoice::Number)
}

fn read_hangup(table: &Section<'_>) -> Option<HangupTarget> {
    let value = table.value("hangup")?;
    if matches!(&value.kind, ValueKind::String(text) if text == "all") {
        return Some(HangupTarget::All);
    }
    match &value.kind {
        ValueKind::I64(0 | 1) => table
            .integer("hangup", 0, 1)
            .and_then(|line| u32::try_from(line).ok())
            .map(|line| HangupTarget::Line(Line(line))),
        _ => {
            table.error("hangup", format!("{} is not a line", shown(value)), "write \"all\", 0 or 1");
            None
        }
    }
}

fn read_output(table: &Section<'_>, outputs: &[OutputPin]) -> Option<Action> {
    let name = table.filled_string("output");
    let pulse = table.duration_ms("pulse_ms", 1, 600_000);
    table.value("set");
    let name = name?;
    let set = table.choice("set", &[("on", OutputChange::On), ("off", OutputChange::Off)]);
    let names = outputs.iter().map(|output| output.name.as_str());
    let index = place(table, "output", "output", &name, names, "add an [[output]] of this name")?;
    if let (Some(length), Some(OutputKind::Relay { max_on })) = (pulse, outputs.get(index).map(|output| &output.kind))
        && length > *max_on
    {
        table.warning(
            "pulse_ms",
            format!("is longer than {name} may be on: it goes off after its max_on_ms, {} ms", max_on.as_millis()),
        );
    }
    let change = match (pulse, set) {
        (Some(length), None) => OutputChange::Pulse(length),
        (None, Some(change)) => change,
        (Some(_), Some(_)) => {
            table.error("set", "pulse_ms and set are given together", "keep one of them");
            return None;
        }
        // The value of `pulse_ms` or `set` is wrong, and that error has already been reported.
        (None, None) if table.has("pulse_ms") || table.has("set") => return None,
        (None, None) => {
            table.error("output", "does nothing", "add pulse_ms = 3000, or set = \"on\"");
            return None;
        }
    };
    Some(Action::Output { output: OutputIndex(index), change })
}

fn read_talk(table: &Section<'_>) -> Option<CallMode> {
    table.choice("talk", &[("talk", CallMode::Talk), ("listen", CallMode::Listen), ("announce", CallMode::Announce)])
}

/// The longest text of `hook`, in characters.
const MAX_HOOK: usize = 200;

fn read_hook(table: &Section<'_>) -> Option<String> {
    let text = table.filled_string("hook")?;
    if text.chars().count() > MAX_HOOK {
        table.error("hook", "is too long", format!("write at most {MAX_HOOK} characters"));
        return None;
    }
    Some(text)
}

/// Reads a key that holds patterns of numbers; `None` if it is absent.
pub(in crate::config) fn read_callers(section: &Section<'_>, key: &'static str) -> Option<Vec<NumberPattern>> {
    let texts = section.strings(key)?;
    if texts.is_empty() {
        section.error(key, "is an empty list, which admits nobody", "write a number, or leave it out");
    }
    for text in &texts {
        let number = text.trim_end_matches('*');
        // `100@example.com` is a number of another domain than the account's own.
        let number = match number.split_once('@') {
            Some((user, domain)) if !domain.contains('@') && (!domain.is_empty() || text.ends_with('*')) => user,
            _ => number,
        };
        if number.is_empty()
            || number.chars().all(|character| !character.is_whitespace() && !"@:<>\"".contains(character))
        {
            continue;
        }
        let shown: String = text.chars().take(60).collect();
        match alone(text) {
            Some(bare) if text.contains(['@', ':', '<']) => section.error(
                key,
                format!("\"{shown}\" is not a number; callers are identified by their numbers alone"),
                format!("write the number alone: \"{bare}\""),
            ),
            _ => section.error(key, format!("\"{shown}\" is not a number"), "write a number or its start: \"2*\""),
        }
    }
    let pattern = |text: &String| match text.split_once('@') {
        Some((number, domain)) => NumberPattern::new(&format!("{number}@{}", canonical(domain))),
        None => NumberPattern::new(text),
    };
    Some(texts.iter().map(pattern).collect())
}
