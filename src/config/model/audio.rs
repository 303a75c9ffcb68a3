//! `[audio]`: the sound card and what happens to the sound of its microphone.

use serde::{Deserialize, Serialize};

use super::pcm_name::PcmName;

/// What `audio.capture_gain_db` may be.
pub const CAPTURE_GAIN_DB: (i32, i32) = (-40, 40);

/// `[audio]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioConfig {
    /// The microphone's device.
    pub capture: PcmName,
    /// The loudspeaker's device.
    pub playback: PcmName,
    /// 48000 or 16000, samples per second.
    pub rate_hz: u32,
    /// Echo canceller.
    pub echo: Echo,
    /// Noise suppression on the capture path.
    pub noise_suppression: bool,
    /// Automatic gain on the capture path.
    pub gain_control: bool,
    /// Fixed gain on the capture path, within [`CAPTURE_GAIN_DB`].
    pub capture_gain_db: i32,
    /// Loudspeaker at start, 0 to 100.
    pub volume: u8,
}

/// `audio.echo`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Echo {
    /// The canceller.
    Full,
    /// One talks, the other listens.
    HalfDuplex,
    /// No processing.
    Off,
}
