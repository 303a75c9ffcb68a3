//! Pins: a trait for what drives them, the simulated backend, and the player of LED patterns.

mod player;
mod simulated;

pub use player::OutputPlayer;
pub use simulated::SimulatedPins;

/// Drives output pins. Levels are logical: `active` has been applied by the backend.
pub trait OutputPins: Send + Sync {
    /// Makes the n-th `[[output]]` active or puts it to rest. Must not wait.
    fn set(&self, output: usize, active: bool);
}
