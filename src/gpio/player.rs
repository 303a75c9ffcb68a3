//! Turns what an output is to do into levels over time.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Pins;
use crate::core::Drive;

/// Plays one pattern per output. Dropping it puts every output to rest.
pub struct OutputPlayer {
    pins: Arc<dyn Pins>,
    patterns: Vec<Option<JoinHandle<()>>>,
}

impl OutputPlayer {
    /// A player for this many outputs, all at rest.
    pub fn new(pins: Arc<dyn Pins>, outputs: usize) -> Self {
        let player = Self { pins, patterns: (0..outputs).map(|_| None).collect() };
        (0..outputs).for_each(|output| player.pins.set(output, false));
        player
    }

    /// What an output does from now on.
    pub fn drive(&mut self, output: usize, drive: Drive) {
        let Some(pattern) = self.patterns.get_mut(output) else { return };
        if let Some(running) = pattern.take() {
            running.abort();
        }
        let steps = drive.steps();
        if steps.is_empty() {
            self.pins.set(output, drive == Drive::On);
            return;
        }
        let pins = Arc::clone(&self.pins);
        *pattern = Some(tokio::spawn(async move {
            for (active, length) in steps.iter().cycle() {
                pins.set(output, *active);
                tokio::time::sleep(*length).await;
            }
        }));
    }
}

impl Drop for OutputPlayer {
    fn drop(&mut self) {
        for (output, pattern) in self.patterns.iter_mut().enumerate() {
            if let Some(running) = pattern.take() {
                running.abort();
            }
            self.pins.set(output, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpio::SimulatedPins;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_blinking_led_is_on_and_off_by_turns_and_rests_when_told() {
        let (reports, _keep) = tokio::sync::mpsc::channel(1);
        let pins = Arc::new(SimulatedPins::new(1, reports));
        let mut player = OutputPlayer::new(Arc::clone(&pins) as Arc<dyn Pins>, 1);
        let levels = pins.levels();
        player.drive(0, Drive::Blink);
        let mut seen = Vec::new();
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(499)).await;
            seen.push(levels.borrow()[0]);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(seen, [true, false, true, false]);
        player.drive(0, Drive::On);
        assert!(levels.borrow()[0]);
        drop(player);
        assert!(!levels.borrow()[0]);
    }
}
