//! The interfaces to the systems of the house that the configuration asks for.

use std::path::PathBuf;

use crate::hooks::Hooks;
use crate::mqtt::MqttInterface;
use crate::station::StationHandle;
use crate::web::WebInterface;

/// The running ones.
pub(super) struct Interfaces {
    web: Option<WebInterface>,
    mqtt: Option<MqttInterface>,
    hooks: Option<Hooks>,
}

impl Interfaces {
    /// Starts them. `folder` keeps what they must remember, such as a certificate; `identifier` is that of the station.
    pub(super) fn start(station: &StationHandle, folder: Option<PathBuf>, identifier: &str) -> Self {
        let control = &station.config().control;
        let web = control.http.clone().map(|http| WebInterface::start(station.clone(), http, folder));
        let mqtt = control.mqtt.clone().map(|mqtt| MqttInterface::start(station.clone(), mqtt, identifier));
        Self { web, mqtt, hooks: Hooks::start(station) }
    }

    /// Stops all of them at the same time.
    pub(super) async fn stop(self) {
        let web = async {
            if let Some(web) = self.web {
                web.stop().await;
            }
        };
        let mqtt = async {
            if let Some(mqtt) = self.mqtt {
                mqtt.stop().await;
            }
        };
        let hooks = async {
            if let Some(hooks) = self.hooks {
                hooks.stop().await;
            }
        };
        tokio::join!(web, mqtt, hooks);
    }
}
