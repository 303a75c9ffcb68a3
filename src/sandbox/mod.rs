//! The embedded default: a telephony server of its own, a web phone, and a station with a front panel.
//!
//! For a laptop (`callbox sandbox`), as the only server of a household on its LAN, and for the
//! tests. The pure part is [`exchange`]; the rest carries HTTP and WebSockets to it.

mod accounts;
mod auth;
mod certificate;
pub mod exchange;
mod guard;
mod hub;
mod listen;
mod pages;
mod panel;
mod places;
mod routes;
mod session;
mod station;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use accounts::{Account, AccountsError, default_accounts, load_accounts};
pub use certificate::{CertificateError, ServerCertificate};
pub use places::ConnectionLimits;

/// A password that nobody guesses.
///
/// # Errors
///
/// The system has no randomness.
pub fn random_password() -> Result<String, SandboxError> {
    auth::random_text(12).map_err(SandboxError::Random)
}

pub use station::{STATION_NUMBER, default_station};

use crate::audio::CardChoice;
use crate::config::{Config, Credentials, GpioBackend};
use crate::station::{RunningStation, StartError, StationHandle, StationOptions, machine_identifier};
use auth::{Auth, Scope};
use hub::Hub;
use listen::Listener;
use places::Places;
use routes::Shared;

/// Connections that are being served have this long when the sandbox stops.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// What to start.
pub struct SandboxOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Who can log in.
    pub accounts: Vec<Account>,
    /// Names of this server beside its addresses and `localhost`.
    pub host_names: Vec<String>,
    /// The station; its `[core]` is replaced. `None` leaves the station out.
    pub station: Option<Config>,
    /// Where the station's sound comes from.
    pub card: CardChoice,
    /// The server's certificate; needed off loopback.
    pub certificate: Option<ServerCertificate>,
    /// Connections at a time.
    pub limits: ConnectionLimits,
}

/// Why the sandbox cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address.
    #[error("cannot listen on {address}: {problem}; choose another with --listen")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// The system's words.
        problem: std::io::Error,
    },
    /// Off loopback without a certificate.
    #[error("off loopback the sandbox serves https only, and there is no certificate")]
    NoCertificate,
    /// TLS.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The system has no randomness.
    #[error("no random numbers: {0}")]
    Random(String),
    /// The station.
    #[error(transparent)]
    Station(#[from] StartError),
}

/// A running sandbox.
pub struct Sandbox {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its station.
    pub station: Option<RunningStation>,
    /// The front panel asks for the password of the station's account.
    pub panel_needs_login: bool,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Binds, starts the exchange and the station, and serves.
    pub async fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let SandboxOptions { listen, mut accounts, host_names, station, card, certificate, limits } = options;
        let loopback = listen.ip().is_loopback();
        if !loopback && certificate.is_none() {
            return Err(SandboxError::NoCertificate);
        }
        if station.is_some() && !accounts.iter().any(|account| account.number == STATION_NUMBER) {
            let password = random_password()?;
            accounts.push(Account { number: STATION_NUMBER.into(), name: "Door".into(), password });
        }
        let (stop, stopped) = watch::channel(false);
        let auth = Arc::new(Auth::new(accounts.clone()));
        let hub =
            Hub::start(accounts.iter().map(|account| (account.number.clone(), account.name.clone())), stopped.clone());
        let places = Places::new(limits);
        // A name is for those elsewhere who come by a proxy; a real pin opens a real door.
        let real_pins = station
            .as_ref()
            .is_some_and(|station| matches!(station.gpio.backend, GpioBackend::Rppal | GpioBackend::Cdev));
        let panel_needs_login = !loopback || !host_names.is_empty() || real_pins;
        let mut shared = Shared {
            auth: Arc::clone(&auth),
            hub,
            places: Arc::clone(&places),
            station: None,
            panel_needs_login,
            secure: certificate.is_some(),
            host_names,
            stopped: stopped.clone(),
        };
        let listener = Listener::bind(listen, certificate.as_ref(), places).await?;
        let address = listener.address();
        let mut tasks = Vec::new();
        let mut running = None;
        if let Some(config) = station {
            // The station has a door of its own: plain, and on loopback only.
            let private_places = Places::new(limits);
            let private =
                Listener::bind(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0), None, private_places).await?;
            let private_address = private.address();
            let private_shared = Shared { secure: false, panel_needs_login: true, ..shared.clone() };
            tasks.push(tokio::spawn(routes::serve(private, private_shared, stopped.clone())));
            let token = auth.new_token(STATION_NUMBER, Scope::Station).map_err(SandboxError::Random)?;
            let station = start_station(config, private_address, token, card, loopback)?;
            shared.station = Some(station.handle.clone());
            running = Some(station);
        }
        tasks.push(tokio::spawn(routes::serve(listener, shared, stopped)));
        Ok(Self { address, station: running, panel_needs_login, stop, tasks })
    }

    /// The station's handle, where there is one.
    pub fn station_handle(&self) -> Option<StationHandle> {
        self.station.as_ref().map(|station| station.handle.clone())
    }

    /// Stops the station, closes every connection and ends.
    pub async fn stop(self) {
        if let Some(station) = self.station {
            station.stop().await;
        }
        let _ = self.stop.send(true);
        for mut task in self.tasks {
            if tokio::time::timeout(SHUTDOWN_PATIENCE, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

fn start_station(
    mut config: Config,
    core: SocketAddr,
    token: String,
    card: CardChoice,
    loopback: bool,
) -> Result<RunningStation, StartError> {
    if let Ok(url) = url::Url::parse(&format!("http://{core}")) {
        config.core.urls = vec![url];
    }
    config.core.tenant = None;
    config.core.ca_file = None;
    config.core.client_certificate = None;
    config.core.credentials = Credentials::Token(token);
    let extra_addresses = if loopback { vec![SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0)] } else { Vec::new() };
    // A desk has no door: its pins are those of the front panel, unless the configuration wants real ones.
    if config.gpio.backend == GpioBackend::Auto {
        config.gpio.backend = GpioBackend::Simulated;
    }
    let identifier = config.core.identifier.clone().unwrap_or_else(machine_identifier);
    RunningStation::start(StationOptions {
        config,
        card,
        extra_addresses,
        token_folders: Vec::<PathBuf>::new(),
        memory_folder: None,
        state_folder: None,
        identifier,
    })
}
