//! The interface between a call and the sound card: 10 ms of mono samples in each direction.
//!
//! Media implements it, and audio calls it from its real-time thread. Neither knows the other.

pub(crate) use callbox_dsp::{Resampler, power};

/// Length of a frame in milliseconds.
pub const FRAME_MS: u32 = 10;

/// Samples in a frame at this rate.
pub const fn frame_samples(rate_hz: u32) -> usize {
    (rate_hz / (1000 / FRAME_MS)) as usize
}

/// The sound of one call. Only the audio thread calls it, so it must not allocate, lock, log or wait.
pub trait CallSound: Send {
    /// Fills a frame with what the far end says, or with silence if nothing came.
    fn hear(&mut self, frame: &mut [f32]);
    /// Takes a frame that the far end is to hear.
    fn say(&mut self, frame: &[f32]);
    /// Whether this is a measurement of the microphone. If so, the frames for [`Self::say`] are not limited.
    fn measures(&self) -> bool {
        false
    }
}
