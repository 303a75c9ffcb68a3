//! What is heard where.
//!
//! [`SceneState`] knows the sound card, and the volume and the mute that people have changed for a while. From these
//! and from the calls it derives the [`Scene`](super::Scene), and queues it as an effect whenever it changes.

mod setting;
mod state;

pub(super) use state::SceneState;
