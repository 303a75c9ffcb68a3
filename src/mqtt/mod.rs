//! The station at an MQTT broker (`[control] mqtt_url`): its states as retained messages, presses as they happen, commands,
//! and the announcement of all that to Home Assistant (MQTT 3.1.1; Home Assistant, "MQTT discovery").

mod backoff;
mod check;
mod commands;
mod connection;
mod discovery;
mod entities;
mod faults;
mod options;
mod states;
mod topics;

use std::time::Duration;

use crate::config::MqttConfig;
use crate::control::{Controlled, InterfaceStatus};
use crate::core::{By, Interface};
use crate::running_tasks::{RunningTasks, StopSignal, stopped};
use crate::station::StationHandle;
use backoff::Backoff;
pub use check::{Step, check};
use connection::{Connection, Ended};
use entities::Entities;
use topics::Topics;

/// When the station stops, its farewell has this long to be sent.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// The running interface.
pub struct MqttInterface(RunningTasks);

impl MqttInterface {
    /// Starts it. A broker that is away is a fault in the status, and is tried again; the door does not depend on it.
    /// `identifier` is that of the station.
    pub fn start(station: StationHandle, config: MqttConfig, identifier: &str) -> Self {
        let mut tasks = RunningTasks::new();
        let topics = Topics::new(&config.prefix, identifier, config.discovery.clone());
        tasks.spawn(keep_connected(station, config, topics, tasks.signal()));
        Self(tasks)
    }

    /// Says farewell to the broker.
    pub async fn stop(self) {
        self.0.stop(SHUTDOWN_PATIENCE).await;
    }
}

async fn keep_connected(station: StationHandle, config: MqttConfig, topics: Topics, mut signal: StopSignal) {
    let entities = Entities::of(station.config());
    let station = station.on_behalf_of(By::Mqtt);
    let mut backoff = Backoff::default();
    loop {
        let began = tokio::time::Instant::now();
        let ended = match options::options(&config, &topics).await {
            Ok(options) => {
                let connection = Connection::new(&station, &topics, &entities, options);
                connection.run(&mut signal).await
            }
            Err(fault) => Ended::Fault(fault),
        };
        let fault = match ended {
            Ended::Stopped => return,
            Ended::Fault(fault) => format!("{}:{}: {fault}", config.host(), config.port()),
        };
        station.tell(Interface::Mqtt, InterfaceStatus::fault(fault)).await;
        tokio::select! {
            () = tokio::time::sleep(backoff.next(began.elapsed())) => {}
            () = stopped(&mut signal) => return,
        }
    }
}
