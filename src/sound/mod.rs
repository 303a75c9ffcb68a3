//! The seam between a call and the sound card: 10 ms of mono samples each way.
//!
//! Media implements it, audio calls it from its real-time thread, and neither knows the other.

pub(crate) use callbox_dsp::{Resampler, power};

/// Length of a frame in milliseconds.
pub const FRAME_MS: u32 = 10;

/// Samples of a frame at a rate.
pub const fn frame_samples(rate_hz: u32) -> usize {
    (rate_hz / (1000 / FRAME_MS)) as usize
}

/// The sound of one call. Called from the audio thread only: it must neither allocate, lock,
/// log nor wait.
pub trait CallSound: Send {
    /// Fills a frame with what the far end says, silence where nothing came.
    fn hear(&mut self, frame: &mut [f32]);
    /// Takes a frame of what the far end is to hear.
    fn say(&mut self, frame: &[f32]);
    /// It measures what the microphone gives: nothing is bent to make room for a sum.
    fn measures(&self) -> bool {
        false
    }
}
