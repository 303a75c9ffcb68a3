//! `[sounds]`, `[prompts]`, and the action `play`.

use std::path::Path;
use std::time::Duration;

use super::file_paths::FilePaths;
use super::names::{NAME_REMEDY, name_problem};
use super::section::Section;
use crate::config::model::*;
use crate::wav::{Wav, WavError};

/// The longest file that takes the place of a built-in sound.
const MAX_SOUND: Duration = Duration::from_secs(30);
/// The longest prompt.
const MAX_PROMPT: Duration = Duration::from_secs(120);
/// All prompts together. They are in memory while the station runs, some 100 kB a second.
const MAX_PROMPTS: Duration = Duration::from_secs(300);
/// The most prompts.
const MOST_PROMPTS: usize = 64;

pub(in crate::config) fn read_sounds(section: Section<'_>, files: &FilePaths<'_>) -> Vec<SoundFile> {
    let sounds = Sound::ALL
        .into_iter()
        .filter_map(|sound| {
            let path = files.path(&section.filled_string(sound.name())?);
            let wav = read_file(&section, sound.name(), &path, MAX_SOUND);
            // A visitor who hears nothing believes that nothing happens, and leaves.
            if sound == Sound::Ringback && wav.as_ref().is_some_and(Wav::is_silent) {
                let problem = format!("{} is silent: a visitor would hear nothing while it rings", path.display());
                section.error(sound.name(), problem, "name a file that can be heard");
            }
            Some(SoundFile { sound, path, length: wav.map(|wav| wav.length()).unwrap_or_default() })
        })
        .collect();
    section.finish();
    sounds
}

pub(in crate::config) fn read_prompts(section: &Section<'_>, files: &FilePaths<'_>) -> Vec<Prompt> {
    let mut prompts = Vec::new();
    for (name, file) in section.texts() {
        let problem = name_problem(&name);
        if let Some(problem) = problem {
            section.error(&name, problem, NAME_REMEDY);
        } else if Sound::ALL.iter().any(|sound| sound.name() == name) {
            section.error(&name, "is the name of a built-in sound", "choose another name, or put it into [sounds]");
        }
        let path = files.path(&file);
        let length = read_file(section, &name, &path, MAX_PROMPT).map(|wav| wav.length()).unwrap_or_default();
        prompts.push(Prompt { name, path, length });
    }
    let length: Duration = prompts.iter().map(|prompt| prompt.length).sum();
    if prompts.len() > MOST_PROMPTS {
        let remedy = format!("name at most {MOST_PROMPTS}");
        section.reader.error(&section.path, format!("{} prompts are too many", prompts.len()), remedy);
    } else if length > MAX_PROMPTS {
        let problem = format!("the prompts last {} s in all", length.as_secs());
        let remedy = format!("name at most {} s: they are kept in memory", MAX_PROMPTS.as_secs());
        section.reader.error(&section.path, problem, remedy);
    }
    prompts
}

/// Reads a file; an error if it cannot be played.
fn read_file(section: &Section<'_>, key: &str, path: &Path, longest: Duration) -> Option<Wav> {
    let problem = match Wav::read_short(path, longest) {
        Err(error @ WavError::TooLong { .. }) => {
            (error.to_string(), format!("name a file of at most {} s", longest.as_secs()))
        }
        Err(error) => (error.to_string(), "name a PCM WAV file".to_owned()),
        Ok(wav) if wav.channels > 2 => {
            (format!("has {} channels", wav.channels), "make it mono or stereo: sox FILE -c 1 NEW.wav".to_owned())
        }
        Ok(wav) => return Some(wav),
    };
    section.error(key, format!("{} {}", path.display(), problem.0), problem.1);
    None
}

/// Reports an `answer` sound that nobody would hear, if an `[[answer]]` rule listens: people at the station must hear
/// that somebody begins to listen.
pub(in crate::config) fn check_listening_is_heard(root: &Section<'_>, answers: &[AnswerRule], sounds: &[SoundFile]) {
    let listens = answers.iter().any(|rule| rule.mode == CallMode::Listen);
    let tone = sounds.iter().find(|file| file.sound == Sound::Answer).map(|file| &file.path);
    if let Some(path) = tone.filter(|_| listens)
        && Wav::read_short(path, MAX_SOUND).is_ok_and(|wav| !wav.is_heard())
    {
        root.reader.error(
            "sounds.answer",
            format!("{} is hardly audible, and an [[answer]] listens: nobody would know", path.display()),
            "name a file with a fifth of a second of audible sound, or leave it out",
        );
    }
}

/// Reads `play` with `to`, `repeat` and `in_call`.
pub(in crate::config) fn read_play(table: &Section<'_>, prompts: &[Prompt]) -> Option<PlayAction> {
    let name = table.filled_string("play");
    let to =
        table.choice("to", &[("near", PlayTo::Near), ("far", PlayTo::Far), ("both", PlayTo::Both)]).unwrap_or_default();
    let repeat = table.integer("repeat", 1, 100).and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    let in_call = table
        .choice("in_call", &[("yield", InCall::Yield), ("wait", InCall::Wait), ("play", InCall::Play)])
        .unwrap_or_default();
    if to == PlayTo::Far && in_call == InCall::Wait {
        table.error("in_call", "\"wait\" waits for the end of the call that is to hear it", "leave it out");
    }
    let name = name?;
    let what = playable_of(table, "play", &name, prompts)?;
    Some(PlayAction { what, to, repeat, in_call })
}

/// The prompt or sound of this name. An error if there is none.
pub(in crate::config) fn playable_of(
    table: &Section<'_>,
    key: &str,
    name: &str,
    prompts: &[Prompt],
) -> Option<Playable> {
    let found = playable(name, prompts);
    if found.is_none() {
        let prompts = prompts.iter().map(|prompt| prompt.name.as_str());
        let names: Vec<&str> = prompts.chain(Sound::ALL.iter().map(|sound| sound.name())).collect();
        let name = crate::plain_text::shortened(name);
        let remedy = format!("add it to [prompts], or write one of {}", names.join(", "));
        table.error(key, format!("there is no prompt or sound \"{name}\""), remedy);
    }
    found
}
