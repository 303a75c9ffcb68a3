//! `[[hook]]`: HTTPS requests for what happens.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

/// A request for what happens (docs/configuration.md, "`[[hook]]`").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    pub on: Vec<HookEvent>,
    pub url: Url,
    /// The key of the signature. `None`: requests are not signed.
    pub secret_file: Option<PathBuf>,
}

/// What a hook is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookEvent {
    /// A button was pressed.
    Press,
    /// A press, a sensor, a door, a schedule or a keypad did not become a call.
    Refused,
    /// A call changed its state.
    Call,
    CallEnded,
    MissedCall,
    /// A watched door has come to another state.
    Door,
    Sensor,
    /// A code was typed or a card shown.
    Code,
    Output,
    Mode,
    Alarm,
    /// The session with the server changed.
    Session,
    /// Something does not work, or works again.
    Fault,
    /// The action `hook` of a rule.
    Custom,
}

impl HookEvent {
    /// All of them, with their words in `on`.
    pub const WORDS: [(&'static str, Self); 14] = [
        ("press", Self::Press),
        ("refused", Self::Refused),
        ("call", Self::Call),
        ("call_ended", Self::CallEnded),
        ("missed_call", Self::MissedCall),
        ("door", Self::Door),
        ("sensor", Self::Sensor),
        ("code", Self::Code),
        ("output", Self::Output),
        ("mode", Self::Mode),
        ("alarm", Self::Alarm),
        ("session", Self::Session),
        ("fault", Self::Fault),
        ("custom", Self::Custom),
    ];

    /// Its word in `on`.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, event)| *event == self).map_or("", |(word, _)| word)
    }
}
