//! Tasks that run until they are told to stop.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Becomes true when a task is to stop.
pub(crate) type StopSignal = watch::Receiver<bool>;

/// Returns when the task is to stop.
pub(crate) async fn stopped(signal: &mut StopSignal) {
    let _ = signal.wait_for(|stopped| *stopped).await;
}

/// Tasks with one signal. They end by themselves when they are told to.
pub(crate) struct RunningTasks {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl RunningTasks {
    pub(crate) fn new() -> Self {
        Self { stop: watch::Sender::new(false), tasks: Vec::new() }
    }

    /// The signal for a further task.
    pub(crate) fn signal(&self) -> StopSignal {
        self.stop.subscribe()
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task));
    }

    /// Tells all of them to stop, and ends those that are not done in time.
    pub(crate) async fn stop(self, patience: Duration) {
        let _ = self.stop.send(true);
        let deadline = Instant::now() + patience;
        for mut task in self.tasks {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_ends_by_itself_at_the_signal_and_another_one_when_patience_ends() {
        let (farewell, began) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let mut tasks = RunningTasks::new();
        let (mut signal, said) = (tasks.signal(), Arc::clone(&farewell));
        tasks.spawn(std::future::pending());
        tasks.spawn(async move {
            stopped(&mut signal).await;
            said.store(true, Ordering::Relaxed);
        });
        tasks.stop(Duration::from_secs(2)).await;
        assert!(farewell.load(Ordering::Relaxed));
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }
}
