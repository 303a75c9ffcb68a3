//! `[prompts]`, and the action `play`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use super::index::PromptIndex;
use super::sound::Sound;

/// A WAV file under a name of its own (docs/configuration.md, "`[prompts]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// Unique among prompts and sounds.
    pub name: String,
    pub path: PathBuf,
    /// How long it lasts.
    pub length: Duration,
}

/// A WAV file in place of a built-in sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SoundFile {
    pub sound: Sound,
    pub path: PathBuf,
    /// How long it lasts.
    pub length: Duration,
}

/// Something that `play` can play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Playable {
    Sound(Sound),
    Prompt(PromptIndex),
}

/// Who hears what is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlayTo {
    /// The loudspeaker of the station.
    #[default]
    Near,
    /// The far ends of the calls that are up.
    Far,
    Both,
}

impl PlayTo {
    /// Whether the loudspeaker of the station plays it.
    pub fn is_near(self) -> bool {
        self != Self::Far
    }

    /// Whether the far ends hear it.
    pub fn is_far(self) -> bool {
        self != Self::Near
    }
}

/// What becomes of something that is played when there is a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum InCall {
    /// It ends when a call begins. In a call that is there already it is played.
    #[default]
    Yield,
    /// It is played after the call. If a call interrupts it, it begins again after that.
    Wait,
    /// It is played in any case.
    Play,
}

/// The action `play`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayAction {
    pub what: Playable,
    pub to: PlayTo,
    /// How many times, at least once.
    pub repeat: u32,
    pub in_call: InCall,
}

impl PlayAction {
    /// To be played once.
    pub fn once(what: Playable, to: PlayTo) -> Self {
        Self { what, to, repeat: 1, in_call: InCall::default() }
    }
}

impl Config {
    /// The name of a sound or prompt.
    pub fn name_of(&self, what: Playable) -> &str {
        match what {
            Playable::Sound(sound) => sound.name(),
            Playable::Prompt(PromptIndex(index)) => self.prompts.get(index).map_or("", |prompt| &prompt.name),
        }
    }

    /// The sound or prompt of this name.
    pub fn playable(&self, name: &str) -> Option<Playable> {
        playable(name, &self.prompts)
    }

    /// How long a sound or prompt lasts.
    pub fn length_of(&self, what: Playable) -> Duration {
        match what {
            Playable::Sound(sound) => {
                let file = self.sounds.iter().find(|file| file.sound == sound);
                file.map_or(sound.built_in_length(), |file| file.length)
            }
            Playable::Prompt(PromptIndex(index)) => self.prompts.get(index).map_or(Duration::ZERO, |one| one.length),
        }
    }
}

/// The sound or prompt of this name.
pub(in crate::config) fn playable(name: &str, prompts: &[Prompt]) -> Option<Playable> {
    let sound = || Sound::ALL.into_iter().find(|sound| sound.name() == name).map(Playable::Sound);
    let prompt = prompts.iter().position(|prompt| prompt.name == name);
    prompt.map(PromptIndex).map(Playable::Prompt).or_else(sound)
}
