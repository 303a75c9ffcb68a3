//! Plays the pattern of an output as levels over time.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

use super::Pins;
use crate::core::Drive;

/// Plays one pattern per output. Dropping it puts every output to rest.
pub struct OutputPlayer {
    pins: Arc<dyn Pins>,
    patterns: Vec<Pattern>,
}

/// What an output plays.
#[derive(Default)]
struct Pattern {
    task: Option<JoinHandle<()>>,
    /// Counts the commands for this output. A task that was aborted may still be in the middle of a step on another
    /// thread, so a task sets the output only while this count is the one that it started with.
    turn: Arc<Mutex<u64>>,
}

impl Pattern {
    /// Aborts the running task, calls `set` in its place, and returns the new turn.
    fn replace(&mut self, set: impl FnOnce()) -> u64 {
        if let Some(running) = self.task.take() {
            running.abort();
        }
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        *turn += 1;
        set();
        *turn
    }
}

impl OutputPlayer {
    /// A player for this many outputs, all at rest.
    pub fn new(pins: Arc<dyn Pins>, outputs: usize) -> Self {
        let player = Self { pins, patterns: (0..outputs).map(|_| Pattern::default()).collect() };
        (0..outputs).for_each(|output| player.pins.set(output, false));
        player
    }

    /// Sets what an output does from now on.
    pub fn drive(&mut self, output: usize, drive: Drive) {
        let Some(pattern) = self.patterns.get_mut(output) else { return };
        let steps = drive.steps();
        if steps.is_empty() {
            pattern.replace(|| self.pins.set(output, drive == Drive::On));
            return;
        }
        let own = pattern.replace(|| {});
        let (turn, pins) = (Arc::clone(&pattern.turn), Arc::clone(&self.pins));
        pattern.task = Some(tokio::spawn(async move {
            for (active, length) in steps.iter().cycle() {
                {
                    let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                    if *turn != own {
                        return;
                    }
                    pins.set(output, *active);
                }
                tokio::time::sleep(*length).await;
            }
        }));
    }
}

impl Drop for OutputPlayer {
    fn drop(&mut self) {
        for (output, pattern) in self.patterns.iter_mut().enumerate() {
            pattern.replace(|| self.pins.set(output, false));
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_led_that_was_switched_off_is_not_lit_once_more_by_its_pattern() {
        let (reports, _keep) = tokio::sync::mpsc::channel(1);
        let pins = Arc::new(SimulatedPins::new(1, reports));
        let mut player = OutputPlayer::new(Arc::clone(&pins) as Arc<dyn Pins>, 1);
        let levels = pins.levels();
        for round in 0..2_000 {
            player.drive(0, Drive::Blink);
            if round % 2 == 0 {
                std::thread::yield_now();
            }
            player.drive(0, Drive::Off);
            assert!(!levels.borrow()[0]);
            tokio::task::yield_now().await;
            assert!(!levels.borrow()[0], "lit in round {round}");
        }
    }
}
