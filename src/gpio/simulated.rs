//! Pins in memory, for machines without GPIO: commands and the front panel move them.

use tokio::sync::{mpsc, watch};

use super::{PinReport, Pins};
use crate::core::Pin;

/// Simulated inputs and outputs.
pub struct SimulatedPins {
    outputs: watch::Sender<Vec<bool>>,
    reports: mpsc::Sender<PinReport>,
}

impl SimulatedPins {
    /// Pins at rest. Edges of inputs go to `reports`.
    pub fn new(outputs: usize, reports: mpsc::Sender<PinReport>) -> Self {
        Self { outputs: watch::Sender::new(vec![false; outputs]), reports }
    }

    /// The levels of all outputs, and their changes.
    pub fn levels(&self) -> watch::Receiver<Vec<bool>> {
        self.outputs.subscribe()
    }
}

impl Pins for SimulatedPins {
    fn set(&self, output: usize, active: bool) {
        self.outputs.send_if_modified(|levels| match levels.get_mut(output) {
            Some(level) if *level != active => {
                *level = active;
                true
            }
            _ => false,
        });
    }

    fn move_input(&self, pin: Pin, active: bool) -> bool {
        // If the event loop does not read its queue, edges are lost, as on a wire.
        let _ = self.reports.try_send(PinReport::edge(pin, active, None));
        true
    }

    fn backend(&self) -> &'static str {
        "simulated"
    }
}
