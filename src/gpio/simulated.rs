//! Pins in memory, for machines without GPIO: commands and the front panel move them.

use tokio::sync::{mpsc, watch};

use super::OutputPins;
use crate::core::Pin;

/// Simulated inputs and outputs.
pub struct SimulatedPins {
    outputs: watch::Sender<Vec<bool>>,
    edges: mpsc::Sender<(Pin, bool)>,
}

impl SimulatedPins {
    /// Pins at rest. Edges of inputs go to `edges`.
    pub fn new(outputs: usize, edges: mpsc::Sender<(Pin, bool)>) -> Self {
        Self { outputs: watch::Sender::new(vec![false; outputs]), edges }
    }

    /// Moves an input, as a finger or a door would.
    pub async fn set_input(&self, pin: Pin, active: bool) {
        let _ = self.edges.send((pin, active)).await;
    }

    /// The levels of all outputs, and their changes.
    pub fn levels(&self) -> watch::Receiver<Vec<bool>> {
        self.outputs.subscribe()
    }
}

impl OutputPins for SimulatedPins {
    fn set(&self, output: usize, active: bool) {
        self.outputs.send_if_modified(|levels| match levels.get_mut(output) {
            Some(level) if *level != active => {
                *level = active;
                true
            }
            _ => false,
        });
    }
}
