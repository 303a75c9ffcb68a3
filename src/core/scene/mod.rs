//! What is heard: the sound card, the settings that people change for a while, and the scene that follows from all of
//! them.

mod setting;
mod state;

pub(super) use state::SceneState;
