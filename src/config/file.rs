//! From a file to a [`Config`]: table by table, with every error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::call_tables::{
    check_listening_is_heard, read_access, read_answer, read_calls, read_control, read_dtmf, read_log, read_sounds,
};
use super::core_table::read_core;
use super::error::{ConfigError, ConfigErrors, ConfigWarning, Place};
use super::media_table::{read_audio, read_media};
use super::pin_tables::{read_button, read_gpio, read_output, read_sensor};
use super::read::{Reader, Section};
use super::review::review;
use super::source::merge;
use super::station::*;
use super::trigger::RuleContext;

/// Reads a configuration file with the overrides of the environment.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn load(file: &Path, environment: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    parse(&file.display().to_string(), &read_file(file)?, environment)
}

/// The same, with what is allowed and hardly what somebody wants.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn load_reviewed(
    file: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<(Config, Vec<ConfigWarning>), ConfigErrors> {
    let (config, reader) = read(&file.display().to_string(), &read_file(file)?, environment)?;
    review(&config, &reader);
    Ok((config, reader.into_warnings()))
}

fn read_file(file: &Path) -> Result<String, ConfigErrors> {
    std::fs::read_to_string(file).map_err(|error| {
        ConfigErrors(vec![ConfigError {
            place: Place::File(file.display().to_string()),
            key: String::new(),
            problem: format!("cannot be read: {error}"),
            remedy: "name the file with --config, or write one (see README.md)".into(),
        }])
    })
}

/// Reads a configuration text; `file` gives its name in errors and the folder of relative paths.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn parse(file: &str, text: &str, environment: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    read(file, text, environment).map(|(config, _)| config)
}

/// The configuration, and the reader with what was noted on the way.
fn read(file: &str, text: &str, environment: &BTreeMap<String, String>) -> Result<(Config, Reader), ConfigErrors> {
    let sources = merge(file, text, environment)?;
    let folder = Path::new(file).parent().map(Path::to_owned).unwrap_or_default();
    let reader = Reader::new(sources.origins);
    let root = Section::new(&reader, String::new(), sources.values);
    let context = Context { folder, environment };
    let config = read_config(&root, &context);
    root.finish();
    let errors = reader.take_errors();
    match config {
        Some(config) if errors.is_empty() => Ok((config, reader)),
        _ => Err(ConfigErrors(errors)),
    }
}

/// What it takes to put relays to rest.
#[derive(Debug)]
pub struct OutputsOnly {
    /// `[gpio]`
    pub gpio: GpioConfig,
    /// Those of `[[output]]` that could be read.
    pub outputs: Vec<OutputPin>,
    /// What is wrong with the others.
    pub errors: Vec<ConfigError>,
}

/// Reads the outputs and nothing else: when they are put to rest no secret need be there, and no other part
/// of the configuration need be right.
///
/// # Errors
///
/// The file cannot be read, or is no TOML.
pub fn load_outputs(file: &Path, environment: &BTreeMap<String, String>) -> Result<OutputsOnly, ConfigErrors> {
    let text = read_file(file)?;
    let sources = merge(&file.display().to_string(), &text, environment)?;
    let reader = Reader::new(sources.origins);
    let root = Section::new(&reader, String::new(), sources.values);
    let gpio = read_gpio(root.section("gpio"));
    let outputs = root.sections("output").into_iter().filter_map(read_output).collect();
    Ok(OutputsOnly { gpio, outputs, errors: reader.take_errors() })
}

/// Reads a configuration whose `[core]` somebody else provides: it may be absent or incomplete.
pub fn parse_without_core(
    file: &str,
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigErrors> {
    let mut environment = environment.clone();
    // Values that are valid and will be replaced.
    environment.insert("CALLBOX_CORE__URL".into(), "https://localhost".into());
    environment.insert("CALLBOX_CORE__TOKEN".into(), "replaced".into());
    let without_core = strip_core(text);
    parse(file, &without_core, &environment)
}

/// The text with the lines of `[core]` blank, so that line numbers stay.
fn strip_core(text: &str) -> String {
    let mut in_core = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let head = line.trim_start();
        if head.starts_with('[') {
            in_core = head.starts_with("[core]");
        }
        if !in_core {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

/// Where relative paths count from.
pub(super) struct Context<'a> {
    folder: PathBuf,
    pub(super) environment: &'a BTreeMap<String, String>,
}

impl Context<'_> {
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    pub(super) fn secret(&self, text: &str) -> PathBuf {
        let credentials = self.environment.get("CREDENTIALS_DIRECTORY").map(Path::new);
        resolve_secret_file(text, credentials, &self.folder)
    }
}

/// Files for secrets resolve against `$CREDENTIALS_DIRECTORY` first, then against the
/// configuration's folder. A file `secrets/token` is the credential `secrets_token`, as systemd names the
/// files of a folder that it loads (systemd.exec(5), `LoadCredential=`).
pub fn resolve_secret_file(text: &str, credentials: Option<&Path>, folder: &Path) -> PathBuf {
    let loaded = |credentials: &Path| {
        [text.to_owned(), text.replace('/', "_")]
            .map(|name| credentials.join(name))
            .into_iter()
            .find(|path| path.exists())
    };
    credentials.and_then(loaded).unwrap_or_else(|| folder.join(text))
}

fn read_config(root: &Section<'_>, context: &Context<'_>) -> Option<Config> {
    let core = read_core(&root.section("core"), context);
    let media = read_media(root.section("media"), context);
    let audio = read_audio(root.section("audio"));
    let gpio = read_gpio(root.section("gpio"));
    let outputs = unique(
        root,
        "output",
        root.sections("output").into_iter().filter_map(read_output).collect(),
        |output: &OutputPin| &output.name,
    );
    let lines = core.as_ref().map_or(2, |core| core.lines);
    let rules = RuleContext { outputs: &outputs, lines, of_sensor: false };
    let buttons = unique(
        root,
        "button",
        root.sections("button").into_iter().filter_map(|section| read_button(section, rules)).collect(),
        |button: &Button| &button.name,
    );
    let sensors = unique(
        root,
        "sensor",
        root.sections("sensor").into_iter().filter_map(|section| read_sensor(section, rules)).collect(),
        |sensor: &Sensor| &sensor.name,
    );
    check_pins(root, &buttons, &sensors, &outputs);
    check_exclusive(root, &outputs);
    let answers: Vec<AnswerRule> = root.sections("answer").into_iter().filter_map(read_answer).collect();
    let sounds = read_sounds(root.section("sounds"), context);
    check_listening_is_heard(root, &answers, &sounds);
    Some(Config {
        media,
        audio,
        gpio,
        sounds,
        answers,
        dtmf: root.sections("dtmf").into_iter().filter_map(|section| read_dtmf(section, rules)).collect(),
        access: read_access(root.section("access")),
        calls: read_calls(root.section("calls")),
        control: read_control(root.section("control"), context),
        log: read_log(root.section("log")),
        outputs,
        buttons,
        sensors,
        core: core?,
    })
}

/// Reports names that occur twice.
fn unique<T>(root: &Section<'_>, key: &str, items: Vec<T>, name: impl Fn(&T) -> &String) -> Vec<T> {
    for (index, item) in items.iter().enumerate() {
        if items.iter().take(index).any(|earlier| name(earlier) == name(item)) {
            let path = format!("{key}[{index}].name");
            root.reader.error(&path, format!("\"{}\" is there twice", name(item)), "give each its own name");
        }
    }
    items
}

/// A word that no other output shares excludes nothing.
fn check_exclusive(root: &Section<'_>, outputs: &[OutputPin]) {
    for (index, output) in outputs.iter().enumerate() {
        let Some(word) = &output.exclusive else { continue };
        let others = || outputs.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
        if !others().any(|other| output.excludes(other)) {
            let names: Vec<String> = others().map(|other| format!("\"{}\"", other.name)).collect();
            root.reader.error(
                &format!("output[{index}].exclusive"),
                format!("\"{word}\" is no other output, and no other output has this word"),
                format!(
                    "write the name of the output that must be off ({}), or the same word at both",
                    names.join(", ")
                ),
            );
        }
    }
}

/// One pin, one use.
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
