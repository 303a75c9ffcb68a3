//! The sandbox: an embedded telephony server, a web phone, and a station with a front panel.
//!
//! It runs on a laptop (`callbox sandbox`), as the only server of a household on its LAN, and in the tests.
//! [`exchange`] is the pure part. The other modules connect it to HTTP and WebSockets.

mod accounts;
mod auth;
mod door;
pub mod exchange;
mod hub;
mod ice_servers;
mod pages;
mod panel;
mod routes;
mod serve;
mod session;
mod shared;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use accounts::{Account, AccountsError, default_accounts, load_accounts};
pub use ice_servers::SharedIceServers;

/// A random password of 12 letters and digits.
///
/// # Errors
///
/// The system provides no random numbers.
pub fn random_password() -> Result<String, SandboxError> {
    auth::random_text(12).map_err(SandboxError::Random)
}

pub use door::{STATION_NUMBER, default_station};

use crate::audio::CardChoice;
use crate::config::{Config, Credentials, GpioBackend, ServerTrust};
pub use crate::http::{CertificateError, ConnectionLimits, ServerCertificate};
use crate::http::{ListenError, Listener, Places};
use crate::station::{RunningStation, StartError, StationHandle, StationOptions, machine_identifier};
use auth::{Auth, Scope};
use hub::Hub;
use shared::Shared;

/// When the sandbox stops, each listener has this long to finish its connections.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// What a sandbox consists of.
pub struct SandboxOptions {
    pub listen: SocketAddr,
    /// The accounts that can log in.
    pub accounts: Vec<Account>,
    /// Names of this server, in addition to its addresses and `localhost`.
    pub host_names: Vec<String>,
    /// The configuration of the station. The sandbox replaces the server and the credentials in its `[core]`. `None`
    /// starts no station.
    pub station: Option<Config>,
    /// The sound card of the station.
    pub card: CardChoice,
    /// The server's certificate. It is required unless `listen` is a loopback address.
    pub certificate: Option<ServerCertificate>,
    pub limits: ConnectionLimits,
    /// The STUN and TURN servers that clients are told.
    pub ice_servers: SharedIceServers,
}

/// Why the sandbox cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("{0}; choose another with --listen")]
    Listen(#[source] ListenError),
    /// The address is not a loopback address, and there is no certificate.
    #[error("the sandbox serves only https on addresses other than loopback, and there is no certificate")]
    NoCertificate,
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The system provides no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
    #[error(transparent)]
    Station(#[from] StartError),
}

/// A running sandbox.
pub struct Sandbox {
    /// The bound address. Its port is the real one, also if port 0 was requested.
    pub address: SocketAddr,
    pub station: Option<RunningStation>,
    /// Whether the front panel asks for the password of the station's account.
    pub panel_needs_login: bool,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Binds the address, starts the exchange and the station, and serves requests.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the station cannot start.
    pub fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let SandboxOptions { listen, mut accounts, host_names, station, card, certificate, limits, ice_servers } =
            options;
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
        // On loopback the panel needs no login, with two exceptions: a host name means that people elsewhere may come
        // through a proxy, and a real pin opens a real door.
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
            ice_servers: Arc::new(ice_servers),
            stopped: stopped.clone(),
        };
        let tls = certificate.as_ref().map(ServerCertificate::tls_config).transpose().map_err(SandboxError::Tls)?;
        let tls = tls.map(|tls| watch::channel(tls).1);
        let listener = Listener::bind(listen, tls, places, serve::IDLE_TIMEOUT).map_err(SandboxError::Listen)?;
        let address = listener.address();
        let mut tasks = Vec::new();
        let mut running = None;
        if let Some(config) = station {
            // The station connects to its own listener, which is on loopback only and has no TLS.
            let private_places = Places::new(limits);
            let any_port = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0);
            let private = Listener::bind(any_port, None, private_places, serve::IDLE_TIMEOUT);
            let private = private.map_err(SandboxError::Listen)?;
            let private_address = private.address();
            let private_shared = Shared { secure: false, panel_needs_login: true, ..shared.clone() };
            tasks.push(tokio::spawn(serve::serve(private, private_shared, stopped.clone())));
            let token = auth.new_token(STATION_NUMBER, Scope::Station).map_err(SandboxError::Random)?;
            let station = start_station(config, private_address, token, card, loopback)?;
            shared.station = Some(station.handle.clone());
            running = Some(station);
        }
        tasks.push(tokio::spawn(serve::serve(listener, shared, stopped)));
        Ok(Self { address, station: running, panel_needs_login, stop, tasks })
    }

    /// The handle of the station, if the sandbox has one.
    pub fn station_handle(&self) -> Option<StationHandle> {
        self.station.as_ref().map(|station| station.handle.clone())
    }

    /// Stops the station, closes all connections and stops the server.
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
    server: SocketAddr,
    token: String,
    card: CardChoice,
    loopback: bool,
) -> Result<RunningStation, StartError> {
    if let Ok(url) = url::Url::parse(&format!("http://{server}")) {
        config.core.urls = vec![url];
    }
    config.core.tenant = None;
    config.core.trust = ServerTrust::default();
    config.core.proxy = None;
    config.core.client_certificate = None;
    config.core.credentials = Credentials::Token(token.into());
    // docs/workarounds.md, "webrtc: wildcard addresses skip loopback and link-local".
    let extra_addresses = if loopback { vec![SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0)] } else { Vec::new() };
    // `auto` means simulated pins here, which the front panel moves: a desk has no door. Real pins must be configured.
    if config.gpio.backend == GpioBackend::Auto {
        config.gpio.backend = GpioBackend::Simulated;
    }
    let identifier = config.core.identifier.clone().map_or_else(machine_identifier, Into::into);
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
