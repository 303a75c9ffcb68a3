//! The configuration as types, one file for each group of tables.

mod action;
mod audio;
mod calls;
mod code;
mod hours;
mod index;
mod input;
mod local_time;
mod media;
mod number;
mod output;
mod pcm_name;
mod pin;
mod server;
mod sound;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use action::{Action, CallAction, HangupTarget, LineChoice, Order, Rule, Step, Trigger};
pub use audio::{AudioConfig, CAPTURE_GAIN_DB, Echo};
pub use calls::{AnswerAction, AnswerRule, CallMode, CallsConfig, SecondCall};
pub use code::{AccessConfig, DtmfRule};
pub use hours::{Hours, HoursError};
pub use index::{ButtonIndex, OutputIndex, SensorIndex};
pub use input::{Again, Button, Sensor};
pub use local_time::{LocalTime, Weekday};
pub use media::{Codec, IceServer, MediaConfig};
pub use number::NumberPattern;
pub use output::{Drive, OutputChange, OutputKind, OutputPin, ShownState};
pub use pcm_name::{PcmName, PcmNameError, UsbCard};
pub use pin::{Active, GpioBackend, GpioConfig, InputPin, PinName, Pull};
pub use server::{CoreConfig, Credentials, Takeover};
pub use sound::Sound;

/// A whole, valid configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `[core]`
    pub core: CoreConfig,
    /// `[media]`
    pub media: MediaConfig,
    /// `[audio]`
    pub audio: AudioConfig,
    /// `[gpio]`
    pub gpio: GpioConfig,
    /// `[[button]]`
    pub buttons: Vec<Button>,
    /// `[[sensor]]`
    pub sensors: Vec<Sensor>,
    /// `[[output]]`
    pub outputs: Vec<OutputPin>,
    /// `[sounds]`
    pub sounds: Vec<(Sound, PathBuf)>,
    /// `[[answer]]`
    pub answers: Vec<AnswerRule>,
    /// `[[dtmf]]`
    pub dtmf: Vec<DtmfRule>,
    /// `[access]`
    pub access: AccessConfig,
    /// `[calls]`
    pub calls: CallsConfig,
    /// `[control]`
    pub control: ControlConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// `[control]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlConfig {
    /// Path of the control socket; the usual place where absent.
    pub socket: Option<PathBuf>,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// Directive of `tracing_subscriber::EnvFilter`: `info`, `debug`, `callbox=trace`.
    pub level: String,
}
