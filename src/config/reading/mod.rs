//! Makes typed values from tables: each table has its reader, and every error is collected.

mod alarm_keys;
mod call_tables;
mod characters;
mod control_tables;
mod door_table;
mod file_paths;
mod media_table;
mod mode_tables;
mod named_files;
mod names;
mod pin_tables;
mod reader_tables;
mod schedule_table;
mod section;
mod server_table;
mod sound_tables;
mod source;
mod trigger;

use call_tables::{read_access, read_answer, read_calls, read_dtmf, read_log};
pub(super) use characters::review_characters;
use control_tables::{MOST_HOOKS, read_control, read_hook};
use door_table::{Names, exit_buttons, read_door};
pub(super) use file_paths::FilePaths;
pub use file_paths::resolve_secret_file;
use media_table::{read_audio, read_media};
use mode_tables::{read_calendar, read_modes};
use pin_tables::{read_button, read_sensor};
pub(super) use pin_tables::{read_gpio, read_output};
use reader_tables::{check_codes, read_code, read_reader};
use schedule_table::read_schedule;
pub(super) use section::{Reader, Section};
use server_table::read_core;
use sound_tables::{check_listening_is_heard, read_prompts, read_sounds};
pub(super) use source::merge;
use trigger::RuleContext;
pub(crate) use trigger::is_number;

use super::model::{
    AnswerRule, Button, Code, Config, DoorConfig, Hook, OutputPin, PinName, Reader as ConfiguredReader, Schedule,
    Sensor,
};

/// Reads all tables.
pub(super) fn read_config(root: &Section<'_>, files: &FilePaths<'_>) -> Option<Config> {
    let core = read_core(&root.section("core"), files);
    let media = read_media(root.section("media"), files);
    let audio = read_audio(root.section("audio"));
    let gpio = read_gpio(root.section("gpio"));
    let outputs = named(root, "output", read_output, |output: &OutputPin| &output.name);
    let lines = core.as_ref().map_or(2, |core| core.lines);
    let modes = read_modes(root.section("modes"));
    let calendar = read_calendar(&root.section("calendar"));
    let prompts = read_prompts(&root.section("prompts"), files);
    let rules =
        RuleContext { outputs: &outputs, modes: &modes, prompts: &prompts, lines, of_sensor: false, in_outcome: false };
    let exits = exit_buttons(root);
    let buttons = named(root, "button", |section| read_button(section, &exits, rules), |button: &Button| &button.name);
    let sensors = named(root, "sensor", |section| read_sensor(section, rules), |sensor: &Sensor| &sensor.name);
    let schedules =
        named(root, "schedule", |section| read_schedule(section, rules), |schedule: &Schedule| &schedule.name);
    let names = Names { buttons: &buttons, sensors: &sensors, outputs: &outputs };
    let doors = named(root, "door", |section| read_door(section, &names, rules), |door: &DoorConfig| &door.name);
    let readers = named(root, "reader", read_reader, |reader: &ConfiguredReader| &reader.name);
    let codes = root.sections("code").into_iter();
    let codes: Vec<(Code, _)> = codes.filter_map(|section| read_code(section, &readers, files, rules)).collect();
    check_codes(root, &readers, &codes);
    check_pins(root, &buttons, &sensors, &outputs);
    check_exclusive(root, &outputs);
    let answers: Vec<AnswerRule> =
        root.sections("answer").into_iter().filter_map(|section| read_answer(section, &modes)).collect();
    let hooks: Vec<Hook> = root.sections("hook").into_iter().filter_map(|section| read_hook(section, files)).collect();
    if hooks.len() > MOST_HOOKS {
        root.error("hook", format!("{} hooks are too many", hooks.len()), format!("write at most {MOST_HOOKS}"));
    }
    let sounds = read_sounds(root.section("sounds"), files);
    check_listening_is_heard(root, &answers, &sounds);
    Some(Config {
        media,
        audio,
        gpio,
        sounds,
        calendar,
        answers,
        dtmf: root.sections("dtmf").into_iter().filter_map(|section| read_dtmf(section, rules)).collect(),
        access: read_access(root.section("access")),
        calls: read_calls(root.section("calls")),
        control: read_control(root.section("control"), files),
        hooks,
        log: read_log(root.section("log")),
        codes: codes.into_iter().map(|(code, _)| code).collect(),
        readers,
        schedules,
        modes,
        prompts,
        doors,
        outputs,
        buttons,
        sensors,
        core: core?,
    })
}

/// Reads the tables of a list, each of which has a name. Reports names that occur more than once.
fn named<T>(
    root: &Section<'_>,
    key: &'static str,
    read: impl FnMut(Section<'_>) -> Option<T>,
    name: impl Fn(&T) -> &String,
) -> Vec<T> {
    let items: Vec<T> = root.sections(key).into_iter().filter_map(read).collect();
    for (index, item) in items.iter().enumerate() {
        if items.iter().take(index).any(|earlier| name(earlier) == name(item)) {
            let path = format!("{key}[{index}].name");
            root.reader.error(&path, format!("\"{}\" is used twice", name(item)), "give each its own name");
        }
    }
    items
}

/// Reports a word in `exclusive` that excludes no other output.
fn check_exclusive(root: &Section<'_>, outputs: &[OutputPin]) {
    for (index, output) in outputs.iter().enumerate() {
        let Some(word) = &output.exclusive else { continue };
        let others = || outputs.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
        if !others().any(|other| output.excludes(other)) {
            let names: Vec<String> = others().map(|other| format!("\"{}\"", other.name)).collect();
            root.reader.error(
                &format!("output[{index}].exclusive"),
                format!("\"{word}\" is not another output, and no other output has this word"),
                format!(
                    "write the name of the output that must be off ({}), or the same word at both",
                    names.join(", ")
                ),
            );
        }
    }
}

/// Reports pins that are used more than once.
fn check_pins(root: &Section<'_>, buttons: &[Button], sensors: &[Sensor], outputs: &[OutputPin]) {
    let all = buttons
        .iter()
        .enumerate()
        .map(|(index, button)| (format!("button[{index}].pin"), &button.name, &button.input.pin))
        .chain(
            sensors
                .iter()
                .enumerate()
                .map(|(index, sensor)| (format!("sensor[{index}].pin"), &sensor.name, &sensor.input.pin)),
        )
        .chain(
            outputs
                .iter()
                .enumerate()
                .map(|(index, output)| (format!("output[{index}].pin"), &output.name, &output.pin)),
        );
    let mut seen: Vec<(&String, &PinName)> = Vec::new();
    for (path, name, pin) in all {
        if let Some((other, _)) = seen.iter().find(|(_, taken)| *taken == pin) {
            root.reader.error(
                &path,
                format!("the pin of \"{name}\" is also that of \"{other}\""),
                "give each its own pin",
            );
        }
        seen.push((name, pin));
    }
}
