//! The station over HTTP (`[control] http`): the status page for people, `/healthz` and `/metrics` for what watches it, and
//! the API for the systems of the house. Requests go through the station's handle like those of the control socket.

mod access;
mod api_error;
mod certificate;
mod commands;
mod events;
mod health;
mod metrics;
mod metrics_text;
mod openapi;
mod page;
mod process;
mod reading;
mod state;
mod unknown;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};

use crate::config::{HttpConfig, HttpToken};
use crate::control::InterfaceStatus;
use crate::core::Interface;
use crate::http::{self, Listener, Places, Policy};
use crate::running_tasks::{RunningTasks, StopSignal, stopped};
use crate::station::StationHandle;
use api_error::ApiError;
use certificate::Certificate;
pub use openapi::openapi;
use state::Web;

/// A connection without traffic for this long is closed. A connection with events has traffic more often.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait before listening again after a failure: the address may not be there yet.
const RETRY: Duration = Duration::from_secs(10);
/// How often the certificate is looked at.
const RENEWAL: Duration = Duration::from_secs(3600);
/// When the interface stops, its connections have this long to end.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);
/// Connections at a time.
const LIMITS: http::ConnectionLimits = http::ConnectionLimits { total: 128, per_address: 64 };

/// The running interface.
pub struct WebInterface(RunningTasks);

impl WebInterface {
    /// Starts it. What prevents it from listening becomes a fault in the status, and is tried again: the door must not
    /// depend on it. `folder` keeps the certificate that is made where none is configured.
    pub fn start(station: StationHandle, config: HttpConfig, folder: Option<PathBuf>) -> Self {
        let mut tasks = RunningTasks::new();
        tasks.spawn(keep_listening(station, config, folder, tasks.signal()));
        Self(tasks)
    }

    /// Closes all connections.
    pub async fn stop(self) {
        self.0.stop(SHUTDOWN_PATIENCE).await;
    }
}

async fn keep_listening(station: StationHandle, config: HttpConfig, folder: Option<PathBuf>, mut signal: StopSignal) {
    loop {
        let failure = match listen(&station, &config, folder.as_deref(), signal.clone()).await {
            Ok(()) => return,
            Err(failure) => failure,
        };
        station.tell(Interface::Http, InterfaceStatus::fault(failure)).await;
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = stopped(&mut signal) => return,
        }
    }
}

/// Serves until `stopped`.
///
/// # Errors
///
/// Why it cannot listen, with a remedy.
async fn listen(
    station: &StationHandle,
    config: &HttpConfig,
    folder: Option<&std::path::Path>,
    signal: StopSignal,
) -> Result<(), String> {
    let tokens = match config.token_file.clone() {
        Some(file) => read_tokens(file).await?,
        None => Vec::new(),
    };
    let places = Places::new(LIMITS);
    let certificate = Certificate::of(config, folder).await?;
    let (tls, secure) = (certificate.as_ref().map(Certificate::tls), certificate.is_some());
    let listener = Listener::bind(config.listen, tls, Arc::clone(&places), IDLE_TIMEOUT)
        .map_err(|error| format!("{error}; set control.http to an address and a port that are free"))?;
    let mut host_names = http::machine_names();
    host_names.extend(certificate.as_ref().map(|certificate| certificate.names.clone()).unwrap_or_default());
    let web = Arc::new(Web::new(station.clone(), tokens, places, signal.clone()));
    let counted = Arc::clone(&web);
    let policy = Policy {
        host_names: host_names.into(),
        secure,
        refuse: Arc::new(move |refused| counted.refused.count(ApiError::of(refused)).response()),
    };
    tracing::info!(address = %listener.address(), tls = secure, "status page");
    station.tell(Interface::Http, InterfaceStatus::ready()).await;
    let renewing = async {
        match certificate {
            Some(certificate) => certificate.keep_renewed(station).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = http::serve(listener, routes(web), policy, signal) => {}
        () = renewing => {}
    }
    Ok(())
}

async fn read_tokens(file: PathBuf) -> Result<Vec<HttpToken>, String> {
    let text = tokio::fs::read_to_string(&file).await;
    let text = text.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    HttpToken::parse(&text).map_err(|error| format!("{} {error}; write a token a line", file.display()))
}

fn routes(web: Arc<Web>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(reading::metrics))
        .route("/api/status", get(reading::status))
        .route("/api/faults", get(reading::faults))
        .route("/api/events", get(events::events))
        .route("/api/openapi.json", get(reading::openapi))
        .route("/api/press/{name}", post(commands::press))
        .route("/api/call", post(commands::call))
        .route("/api/hangup", post(commands::hangup))
        .route("/api/answer", post(commands::answer))
        .route("/api/output/{name}", post(commands::output))
        .route("/api/mode/{name}", post(commands::mode))
        .route("/api/play/{name}", post(commands::play))
        .fallback(unknown::no_such_page)
        .method_not_allowed_fallback(unknown::wrong_method)
        .with_state(web)
}
