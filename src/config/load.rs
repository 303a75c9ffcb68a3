//! Makes a [`Config`] from a file, table by table, and collects every error.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{ConfigError, ConfigErrors, ConfigWarning, Place};
use super::model::{Config, GpioConfig, OutputPin};
use super::reading::{FilePaths, Reader, Section, merge, read_config, read_gpio, read_output, review_characters};
use super::review::review;

/// Reads a configuration file, with the overrides from the environment.
///
/// # Errors
///
/// Everything that is wrong with the configuration.
pub fn load(file: &Path, environment: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    parse(&file.display().to_string(), &read_file(file)?, environment)
}

/// Reads a configuration like [`load`], and also returns warnings about what is allowed but probably not intended.
///
/// # Errors
///
/// Everything that is wrong with the configuration.
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

/// Reads a configuration text. `file` is its name in errors, and relative paths count from the folder of `file`.
///
/// # Errors
///
/// Everything that is wrong with the configuration.
pub fn parse(file: &str, text: &str, environment: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    read(file, text, environment).map(|(config, _)| config)
}

/// Returns the configuration, and the reader with the warnings that were noted.
fn read(file: &str, text: &str, environment: &BTreeMap<String, String>) -> Result<(Config, Reader), ConfigErrors> {
    let sources = merge(file, text, environment)?;
    let folder = Path::new(file).parent().map(Path::to_owned).unwrap_or_default();
    let reader = Reader::new(sources.origins);
    review_characters(&sources.values, &reader);
    let root = Section::new(&reader, String::new(), sources.values);
    let files = FilePaths { folder, environment };
    let config = read_config(&root, &files);
    root.finish();
    let errors = reader.take_errors();
    match config {
        Some(config) if errors.is_empty() => Ok((config, reader)),
        _ => Err(ConfigErrors(errors)),
    }
}

/// The part of a configuration that is needed to switch outputs to rest.
#[derive(Debug)]
pub struct OutputsOnly {
    pub gpio: GpioConfig,
    /// The outputs that could be read.
    pub outputs: Vec<OutputPin>,
    /// What is wrong with `[gpio]` and with the other outputs.
    pub errors: Vec<ConfigError>,
}

/// Reads `[gpio]` and the outputs only. Outputs can therefore be switched to rest while secrets are missing, and while
/// other parts of the configuration are wrong.
///
/// # Errors
///
/// The file cannot be read, or it is not valid TOML.
pub fn load_outputs(file: &Path, environment: &BTreeMap<String, String>) -> Result<OutputsOnly, ConfigErrors> {
    let text = read_file(file)?;
    let sources = merge(&file.display().to_string(), &text, environment)?;
    let reader = Reader::new(sources.origins);
    let root = Section::new(&reader, String::new(), sources.values);
    let gpio = read_gpio(root.section("gpio"));
    let outputs = root.sections("output").into_iter().filter_map(read_output).collect();
    Ok(OutputsOnly { gpio, outputs, errors: reader.take_errors() })
}

/// Reads a configuration whose `[core]` the caller will replace, so that it may be absent or incomplete.
///
/// # Errors
///
/// Everything that is wrong with the rest of the configuration.
pub fn parse_without_core(
    file: &str,
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigErrors> {
    let mut environment = environment.clone();
    // These values are valid, and the caller replaces them.
    environment.insert("CALLBOX_CORE__URL".into(), "https://localhost".into());
    environment.insert("CALLBOX_CORE__TOKEN".into(), "replaced".into());
    let without_core = strip_core(text);
    parse(file, &without_core, &environment)
}

/// Makes the lines of `[core]` blank, but for the identifier of the station. The line numbers stay the same.
fn strip_core(text: &str) -> String {
    let mut in_core = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let head = line.trim_start();
        if head.starts_with('[') {
            in_core = head.starts_with("[core]");
        }
        if !in_core || head.starts_with("[core]") || head.starts_with("identifier") {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}
