//! HTTPS requests for what happens (`[[hook]]`): the record of `callbox events --json` as the body, signed.

mod delivery;
mod events;
mod signature;
mod test;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinHandle;

use crate::config::{CoreConfig, Hook};
use crate::control::{Controlled, EventRecord, InterfaceStatus};
use crate::core::Interface;
use crate::running_tasks::{RunningTasks, StopSignal, stopped};
use crate::signaling::Connector;
use crate::station::StationHandle;
use delivery::Delivery;
use events::Filter;
pub use test::test;

/// Requests of one hook that can wait. Further ones are given up.
const MAX_WAITING: usize = 64;
const TOO_MUCH: &str = "its receiver is slower than what happens";
/// When the station stops, what waits has this long to be delivered.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// The running hooks.
pub struct Hooks(RunningTasks);

impl Hooks {
    /// Starts a task for each hook, so that a receiver that is slow delays no other one. `None`: there are no hooks.
    pub fn start(station: &StationHandle) -> Option<Self> {
        let hooks = station.config().hooks.clone();
        if hooks.is_empty() {
            return None;
        }
        let mut tasks = RunningTasks::new();
        let (reports, results) = mpsc::channel(hooks.len());
        tasks.spawn(tell(station.clone(), hooks.len(), results));
        // The first task that needs it makes it: it reads the CAs of the machine.
        let connector = Arc::new(OnceCell::new());
        for (index, hook) in hooks.into_iter().enumerate() {
            let hook = RunningHook { index, hook, station: station.clone(), reports: reports.clone() };
            tasks.spawn(hook.run(Arc::clone(&connector), tasks.signal()));
        }
        Some(Self(tasks))
    }

    /// Delivers what waits, for a short time.
    pub async fn stop(self) {
        self.0.stop(SHUTDOWN_PATIENCE).await;
    }
}

async fn make_connector(core: CoreConfig) -> Result<Connector, String> {
    let made = tokio::task::spawn_blocking(move || Connector::to_receiver(&core)).await;
    made.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// How a hook stands.
struct Report {
    /// Its place among the hooks.
    index: usize,
    fault: Option<String>,
    given_up: u64,
}

/// Tells the station how all hooks stand together: the first fault, and what all of them have given up.
async fn tell(station: StationHandle, count: usize, mut reports: mpsc::Receiver<Report>) {
    let mut hooks: Vec<(Option<String>, u64)> = vec![(None, 0); count];
    loop {
        let fault = hooks.iter().find_map(|(fault, _)| fault.clone());
        let given_up = hooks.iter().map(|(_, given_up)| given_up).sum();
        station.tell(Interface::Hooks, InterfaceStatus { ready: fault.is_none(), fault, given_up }).await;
        let Some(Report { index, fault, given_up }) = reports.recv().await else { return };
        if let Some(hook) = hooks.get_mut(index) {
            *hook = (fault, given_up);
        }
    }
}

struct RunningHook {
    index: usize,
    hook: Hook,
    station: StationHandle,
    reports: mpsc::Sender<Report>,
}

impl RunningHook {
    /// Delivers one request after the other, in the order of the events.
    async fn run(self, connector: Arc<OnceCell<Connector>>, mut signal: StopSignal) {
        let mut facts = self.station.events();
        let core = self.station.config().core.clone();
        let connector = match connector.get_or_try_init(|| make_connector(core)).await {
            Ok(connector) => connector.clone(),
            Err(problem) => return self.unusable(problem).await,
        };
        let delivery = Arc::new(Delivery::new(&self.hook, connector));
        let mut waiting: VecDeque<Bytes> = VecDeque::new();
        let mut given_up = GivenUp::default();
        let mut running: Option<JoinHandle<Result<(), String>>> = None;
        let (mut stopping, mut filter) = (false, Filter::default());
        loop {
            if running.is_none()
                && let Some(body) = waiting.pop_front()
            {
                let delivery = Arc::clone(&delivery);
                running = Some(tokio::spawn(async move { delivery.deliver(body).await }));
            }
            if stopping && running.is_none() {
                return;
            }
            tokio::select! {
                record = facts.recv(), if !stopping => match record {
                    Ok(record) => self.take(&record, &mut filter, &mut waiting, &mut given_up).await,
                    // The station tells more than can be counted; what was missed is given up.
                    Err(RecvError::Lagged(missed)) => self.give_up(missed, TOO_MUCH, &mut given_up).await,
                    Err(RecvError::Closed) => stopping = true,
                },
                result = joined(&mut running) => {
                    running = None;
                    self.delivered(result, &mut given_up).await;
                }
                () = stopped(&mut signal), if !stopping => stopping = true,
            }
        }
    }

    async fn unusable(&self, fault: String) {
        self.report(&GivenUp { count: 0, fault: Some(fault) }).await;
    }

    /// Puts an event into the queue, if the hook is for it.
    async fn take(
        &self,
        record: &EventRecord,
        filter: &mut Filter,
        waiting: &mut VecDeque<Bytes>,
        given_up: &mut GivenUp,
    ) {
        if !filter.passes(&self.hook.on, &record.fact) {
            return;
        }
        let Ok(body) = serde_json::to_vec(record) else { return };
        if waiting.len() >= MAX_WAITING {
            return self.give_up(1, TOO_MUCH, given_up).await;
        }
        waiting.push_back(body.into());
    }

    async fn delivered(&self, result: Result<(), String>, given_up: &mut GivenUp) {
        match result {
            Ok(()) if given_up.fault.take().is_some() => self.report(given_up).await,
            Ok(()) => {}
            Err(problem) => self.give_up(1, &problem, given_up).await,
        }
    }

    /// Counts what is given up. The words stay those of the first time, until a request is taken again.
    async fn give_up(&self, count: u64, problem: &str, given_up: &mut GivenUp) {
        given_up.count += count;
        let (index, host) = (self.index, self.hook.url.host_str().unwrap_or_default());
        given_up.fault.get_or_insert_with(|| {
            format!("hook[{index}] to {host}: {problem}; requests are given up until it answers")
        });
        self.report(given_up).await;
    }

    async fn report(&self, given_up: &GivenUp) {
        let report = Report { index: self.index, fault: given_up.fault.clone(), given_up: given_up.count };
        // The station may have stopped.
        let _ = self.reports.send(report).await;
    }
}

/// Requests that were given up since the start, and why, as long as none is taken.
#[derive(Default)]
struct GivenUp {
    count: u64,
    fault: Option<String>,
}

/// The result of the delivery that runs; never, if none runs.
async fn joined(running: &mut Option<JoinHandle<Result<(), String>>>) -> Result<(), String> {
    match running {
        Some(task) => task.await.unwrap_or_else(|error| Err(error.to_string())),
        None => std::future::pending().await,
    }
}
