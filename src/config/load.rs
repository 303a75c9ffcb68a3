//! From a file to a [`Config`]: table by table, with every error.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{ConfigError, ConfigErrors, ConfigWarning, Place};
use super::model::{Config, GpioConfig, OutputPin};
use super::reading::{Context, Reader, Section, merge, read_config, read_gpio, read_output};
use super::review::review;

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
