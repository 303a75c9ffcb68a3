//! `callbox sandbox`: a server with a web phone, and a station with a front panel.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::output::{say, say_error};
use clap::Args;

use super::interfaces::Interfaces;
use super::login::read_secret;
use super::{Exit, complain, environment, listen_address, load, logging, run::wait_for_signal};
use crate::audio::CardChoice;
use crate::config::{Config, IceTransport, IceUrl};
use crate::control::ControlServer;
use crate::http::{machine_names, own_addresses};
use crate::sandbox::{
    Account, ConnectionLimits, STATION_NUMBER, Sandbox, SandboxOptions, ServerCertificate, SharedIceServers,
    default_accounts, default_station, load_accounts, random_password,
};

#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Address to listen on; https only, unless it is a loopback address
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8642", value_parser = listen_address)]
    listen: SocketAddr,
    /// File with account tables: number, name, password
    #[arg(long, value_name = "FILE")]
    accounts: Option<PathBuf>,
    /// Start the server without a station
    #[arg(long, conflicts_with = "config")]
    no_station: bool,
    /// Configuration of the station; its [core] is replaced
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Control socket of the station, for `callbox press` and similar commands
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Folder for the CA and the server's certificate
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Certificate chain of the server
    #[arg(long, value_name = "F", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the server
    #[arg(long, value_name = "F", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A name of this server, in addition to its addresses; may be repeated
    #[arg(long, value_name = "NAME")]
    host_name: Vec<String>,
    /// A STUN or TURN server that clients are told, such as turn:HOST:3478; may be repeated
    #[arg(long, value_name = "URL")]
    ice_server: Vec<IceUrl>,
    /// File with the secret that the TURN servers share (`static-auth-secret` of coturn)
    #[arg(long, value_name = "F")]
    turn_secret_file: Option<PathBuf>,
    /// Use the built-in microphone even if there is a sound card
    #[arg(long)]
    no_sound_card: bool,
}

pub(super) async fn sandbox(args: SandboxArgs) -> Exit {
    logging::start("warn,callbox=info");
    match start(args).await {
        Ok((sandbox, control)) => {
            let interfaces = sandbox
                .station_handle()
                .map(|station| Interfaces::start(&station, data_folder(), &identifier_of(&station)));
            wait_for_signal().await;
            if let Some(interfaces) = interfaces {
                interfaces.stop().await;
            }
            drop(control);
            sandbox.stop().await;
            Exit::Done
        }
        Err(exit) => exit,
    }
}

/// The identifier of the sandbox's station.
fn identifier_of(station: &crate::station::StationHandle) -> String {
    let configured = station.config().core.identifier.clone();
    configured.map_or_else(crate::station::machine_identifier, Into::into)
}

fn usage(error: impl std::fmt::Display) -> Exit {
    complain(error);
    Exit::Usage
}

async fn start(args: SandboxArgs) -> Result<(Sandbox, Option<ControlServer>), Exit> {
    let loopback = args.listen.ip().is_loopback();
    let accounts = accounts(&args, loopback)?;
    let station = station(&args, &accounts)?;
    let ice_servers = ice_servers(&args)?;
    let mut host_names = args.host_name.clone();
    let addresses = own_addresses(args.listen.ip());
    let certificate = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(ServerCertificate::load(certificate, key).map_err(usage)?),
        _ if loopback => None,
        _ => {
            host_names.extend(machine_names());
            let folder = args
                .data
                .clone()
                .or_else(data_folder)
                .ok_or_else(|| usage("there is no folder for the certificate; name one with --data"))?;
            Some(ServerCertificate::make(&folder, &host_names, &addresses).map_err(usage)?)
        }
    };
    let own_socket = station.as_ref().and_then(|config| config.control.socket.clone());
    let socket = args.socket.clone().or(own_socket);
    let message = certificate.as_ref().map(certificate_text);
    let options = SandboxOptions {
        listen: args.listen,
        accounts: accounts.clone(),
        host_names,
        station,
        card: if args.no_sound_card { CardChoice::Synthetic } else { CardChoice::AlsaOrSynthetic },
        certificate,
        limits: ConnectionLimits::default(),
        ice_servers,
    };
    let sandbox = Sandbox::start(options).map_err(usage)?;
    let control = match (&socket, sandbox.station_handle()) {
        (_, None) => None,
        (Some(path), Some(handle)) => match ControlServer::bind(path, handle).await {
            Ok(server) => Some(server),
            Err(error) => {
                sandbox.stop().await;
                return Err(usage(error));
            }
        },
        // Nobody asked for a control socket: if none can be made, the front panel is enough.
        (None, Some(handle)) => ControlServer::bind_configured(None, handle).await.ok(),
    };
    if let Some(control) = &control {
        say!("Control    {}", control.path().display());
    }
    announce(&sandbox, &accounts, args.accounts.is_none(), message, &addresses);
    Ok((sandbox, control))
}

fn accounts(args: &SandboxArgs, loopback: bool) -> Result<Vec<Account>, Exit> {
    match &args.accounts {
        Some(file) => load_accounts(file).map_err(usage),
        // A host name means that clients come from other machines through a proxy: they must not know the password.
        None if loopback && !args.host_name.is_empty() => {
            let password = random_password().map_err(usage)?;
            let fresh = |account: Account| Account { password: password.clone(), ..account };
            Ok(default_accounts().into_iter().map(fresh).collect())
        }
        None if loopback => Ok(default_accounts()),
        None => Err(usage(
            "the default accounts have a well-known password, so they are for loopback only; write an accounts file \
             and name it with --accounts",
        )),
    }
}

fn ice_servers(args: &SandboxArgs) -> Result<SharedIceServers, Exit> {
    let urls = args.ice_server.clone();
    let secret = match &args.turn_secret_file {
        Some(file) => read_secret(file).map_err(usage)?,
        None => match urls.iter().find(|url| url.transport != IceTransport::Stun) {
            Some(url) => {
                let message =
                    format!("{url} needs the secret of the TURN server: name its file with --turn-secret-file");
                return Err(usage(message));
            }
            None => String::new(),
        },
    };
    Ok(SharedIceServers { urls, secret: secret.into() })
}

fn station(args: &SandboxArgs, accounts: &[Account]) -> Result<Option<Config>, Exit> {
    match &args.config {
        _ if args.no_station => Ok(None),
        None => default_station(accounts).map(Some).map_err(usage),
        Some(file) => {
            // The sandbox replaces [core], so a missing key there is not an error.
            let mut environment = environment();
            environment.retain(|name, _| !name.starts_with("CALLBOX_CORE__"));
            let text = std::fs::read_to_string(file).map_err(|error| usage(format!("{}: {error}", file.display())))?;
            match crate::config::parse_without_core(&file.display().to_string(), &text, &environment) {
                Ok(config) => Ok(Some(config)),
                Err(_) if !file.exists() => load(file).map(Some),
                Err(errors) => {
                    say_error!("{errors}");
                    Err(Exit::Usage)
                }
            }
        }
    }
}

fn certificate_text(certificate: &ServerCertificate) -> String {
    match &certificate.ca_file {
        Some(ca_file) => format!(
            "CA         {}\n           SHA-256 {}\n           \
             a station trusts it with this line in [core]:  ca_file = \"{}\"\n           \
             a phone trusts it after you install it there as a CA",
            ca_file.display(),
            certificate.fingerprint,
            ca_file.display()
        ),
        None => format!("Certificate SHA-256 {}", certificate.fingerprint),
    }
}

fn announce(
    sandbox: &Sandbox,
    accounts: &[Account],
    well_known: bool,
    certificate: Option<String>,
    addresses: &[IpAddr],
) {
    let scheme = if certificate.is_some() { "https" } else { "http" };
    let shown = if sandbox.address.ip().is_unspecified() {
        addresses.iter().find(|address| !address.is_loopback()).copied().unwrap_or(sandbox.address.ip())
    } else {
        sandbox.address.ip()
    };
    let base = format!("{scheme}://{}", SocketAddr::new(shown, sandbox.address.port()));
    say!("Web phone  {base}/");
    if sandbox.station.is_some() {
        say!("Station    {base}/station  (its number is \"{STATION_NUMBER}\")");
    }
    if well_known {
        let password = accounts.first().map(|account| account.password.as_str()).unwrap_or_default();
        say!("Accounts   100 to 109, password {password}");
    } else {
        let numbers: Vec<&str> = accounts.iter().map(|account| account.number.as_str()).collect();
        say!("Accounts   {}", numbers.join(", "));
    }
    if sandbox.panel_needs_login
        && sandbox.station.is_some()
        && !accounts.iter().any(|account| account.number == STATION_NUMBER)
    {
        say!("Panel      locked: to give it a password, add an account \"{STATION_NUMBER}\" to the accounts file");
    }
    if let Some(message) = certificate {
        say!("{message}");
    }
    if let Some(station) = sandbox.station_handle() {
        tokio::spawn(async move { tell_sound(&station).await });
    }
}

/// Prints where the station's sound comes from, as soon as that is known.
async fn tell_sound(station: &crate::station::StationHandle) {
    use crate::control::{Controlled, Reply, Request};
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if let Reply::Status(status) = station.request(Request::Status).await
            && status.station.audio.ready
        {
            if status.sound.synthetic {
                say!("Sound      built-in microphone (a melody): this machine has no sound card");
            } else {
                say!("Sound      the default sound card");
            }
            return;
        }
    }
}

fn data_folder() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")))?;
    Some(base.join("callbox/sandbox"))
}
