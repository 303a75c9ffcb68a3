//! `[audio]`: the sound card, and the processing of the microphone signal.

use serde::{Deserialize, Serialize};

use super::pcm_name::PcmName;

/// The least and the greatest value of `audio.capture_gain_db`.
pub const CAPTURE_GAIN_DB: (i32, i32) = (-40, 40);

/// The table `[audio]` (docs/configuration.md, "`[audio]`").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioConfig {
    /// The PCM of the microphone.
    pub capture: PcmName,
    /// The PCM of the loudspeaker.
    pub playback: PcmName,
    /// 48000 or 16000.
    pub rate_hz: u32,
    pub echo: Echo,
    /// Noise suppression of the microphone signal.
    pub noise_suppression: bool,
    /// Automatic gain control of the microphone signal.
    pub gain_control: bool,
    /// Fixed gain of the microphone signal, within [`CAPTURE_GAIN_DB`].
    pub capture_gain_db: i32,
    /// Volume of the loudspeaker, 0 to 100.
    pub volume: u8,
}

/// What is done against echo (`audio.echo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Echo {
    /// The echo canceller.
    Full,
    /// One end talks while the other one listens.
    HalfDuplex,
    /// Nothing.
    Off,
}
