//! Commands that talk to a running daemon.

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) use super::Daemon;
use super::output::{self, say};
use super::{Exit, complain, narrate};
use crate::config::PlayTo;
use crate::control::usual_sockets;
use crate::control::{
    ClientError, ControlClient, ErrorKind, EventRecord, FullStatus, ModeRequest, OutputRequest, Reply, Request,
};
use crate::core::{CallState, Status};

/// How often `wait-idle` asks whether a call is up.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The change of an output that `callbox output` asks for.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Change {
    On,
    Off,
    Pulse,
}

impl From<Change> for OutputRequest {
    fn from(change: Change) -> Self {
        match change {
            Change::On => Self::On,
            Change::Off => Self::Off,
            Change::Pulse => Self::Pulse,
        }
    }
}

/// What a mode is to be, for `callbox mode`.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum ModeSet {
    On,
    Off,
    /// The other way round
    Toggle,
    /// As its hours say
    Auto,
}

impl From<ModeSet> for ModeRequest {
    fn from(set: ModeSet) -> Self {
        match set {
            ModeSet::On => Self::On,
            ModeSet::Off => Self::Off,
            ModeSet::Toggle => Self::Toggle,
            ModeSet::Auto => Self::Auto,
        }
    }
}

/// Who hears what `callbox play` plays.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Hearer {
    /// People at the station
    Near,
    /// The far ends of the calls that are up
    Far,
    Both,
}

impl From<Hearer> for PlayTo {
    fn from(to: Hearer) -> Self {
        match to {
            Hearer::Near => Self::Near,
            Hearer::Far => Self::Far,
            Hearer::Both => Self::Both,
        }
    }
}

/// Where a simulated pin is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Level {
    /// A button is pressed, a sensor is open
    On,
    /// At rest
    Off,
}

impl Level {
    /// The request that moves the pin of this name there.
    pub(super) fn of(self, name: String) -> Request {
        Request::Input { name, active: self == Self::On }
    }
}

/// The control sockets to try: the one from the command line, else from the environment, else from the configuration,
/// else the usual ones.
fn socket_paths(daemon: &Daemon) -> Vec<PathBuf> {
    if let Some(path) = &daemon.socket {
        return vec![path.clone()];
    }
    if let Some(path) = std::env::var_os("CALLBOX_CONTROL__SOCKET") {
        return vec![path.into()];
    }
    let folder = daemon.config.parent().unwrap_or(Path::new("/"));
    let configured = std::fs::read_to_string(&daemon.config).ok().and_then(|text| {
        let document = text.parse::<toml_edit::Document<String>>().ok()?;
        document.get("control")?.get("socket")?.as_str().map(|socket| folder.join(socket))
    });
    configured.map_or_else(usual_sockets, |path| vec![path])
}

pub(super) async fn connect(daemon: &Daemon) -> Result<ControlClient, Exit> {
    try_connect(daemon).await.map_err(|first_error| first_error.map_or(Exit::Unreachable, fail))
}

/// Connects to the first control socket that answers. If none does, the error is that of the first one; `None` if there
/// is no socket to try.
async fn try_connect(daemon: &Daemon) -> Result<ControlClient, Option<ClientError>> {
    let mut first_error = None;
    for path in socket_paths(daemon) {
        match ControlClient::connect(&path).await {
            Ok(client) => return Ok(client),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error)
}

/// The status of a running daemon; `None` if there is none.
pub(super) async fn status_if_running(daemon: &Daemon) -> Option<Status> {
    match try_connect(daemon).await.ok()?.request(&Request::Status).await {
        Ok(Reply::Status(status)) => Some(status.station),
        _ => None,
    }
}

pub(super) fn fail(error: ClientError) -> Exit {
    let exit = match error {
        ClientError::Unreachable { .. } => Exit::Unreachable,
        ClientError::Broken(_) => Exit::Failed,
    };
    complain(error);
    exit
}

pub(super) async fn ask(daemon: &Daemon, request: &Request) -> Result<Reply, Exit> {
    connect(daemon).await?.request(request).await.map_err(fail)
}

/// Sends a request, and returns what is wrong instead of telling it.
pub(super) async fn ask_quietly(daemon: &Daemon, request: &Request) -> Result<Reply, String> {
    let none = || "there is no control socket to try".to_owned();
    let client = try_connect(daemon).await.map_err(|error| error.map_or_else(none, |error| error.to_string()));
    client?.request(request).await.map_err(|error| error.to_string())
}

pub(super) fn refused(reply: Reply) -> Exit {
    match reply {
        Reply::Ok(_) | Reply::Status(_) | Reply::Explanation(_) | Reply::Dump(_) => Exit::Done,
        Reply::Note(note) => {
            say!("{note}");
            Exit::Done
        }
        Reply::Error(error) => {
            complain(&error.message);
            match error.kind {
                ErrorKind::Failed => Exit::Failed,
                ErrorKind::Usage => Exit::Usage,
                ErrorKind::Refused => Exit::Refused,
            }
        }
    }
}

pub(super) async fn request(daemon: &Daemon, request: Request) -> Exit {
    match ask(daemon, &request).await {
        Ok(reply) => refused(reply),
        Err(exit) => exit,
    }
}

/// Returns as soon as no call is up.
pub(super) async fn wait_idle(daemon: &Daemon, patience: Duration) -> Exit {
    let wait = async {
        loop {
            match ask(daemon, &Request::Status).await {
                Ok(Reply::Status(status)) if status.station.lines.iter().all(|line| line.state == CallState::Idle) => {
                    return Exit::Done;
                }
                // If no daemon is running, no call is up. No other error proves that, so the wait goes on.
                Err(Exit::Unreachable) => return Exit::Unreachable,
                _ => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    };
    tokio::time::timeout(patience, wait).await.unwrap_or_else(|_| {
        complain(format!("a call is still up after {} s", patience.as_secs()));
        Exit::Failed
    })
}

/// Asks for the status. Whatever else happens has been printed, with its exit code.
async fn status_of(daemon: &Daemon) -> Result<Box<FullStatus>, Exit> {
    match ask(daemon, &Request::Status).await? {
        Reply::Status(status) => Ok(status),
        reply => Err(refused(reply)),
    }
}

pub(super) async fn status(daemon: &Daemon, json: bool) -> Exit {
    let status = match status_of(daemon).await {
        Ok(status) => status,
        Err(exit) => return exit,
    };
    if json {
        match serde_json::to_string_pretty(&status) {
            Ok(text) => say!("{text}"),
            Err(error) => {
                complain(error);
                return Exit::Failed;
            }
        }
    } else {
        super::status::print_status(&status);
    }
    Exit::Done
}

/// Prints which modes are on, and why: one of them, or all.
pub(super) async fn modes(daemon: &Daemon, name: Option<&str>) -> Exit {
    let status = match status_of(daemon).await {
        Ok(status) => status,
        Err(exit) => return exit,
    };
    let modes = &status.station.modes;
    if let Some(name) = name.filter(|name| !modes.iter().any(|mode| mode.name == *name)) {
        let names: Vec<String> = modes.iter().map(|mode| format!("\"{}\"", mode.name)).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        complain(format!("there is no mode \"{name}\"; there are: {names}"));
        return Exit::Usage;
    }
    if modes.is_empty() {
        say!("there are no modes; [modes] in the configuration defines them");
    }
    for mode in modes.iter().filter(|mode| name.is_none_or(|name| mode.name == name)) {
        say!("{}", super::status::mode_line(mode));
    }
    Exit::Done
}

/// Prints how the alarms stand.
pub(super) async fn alarms(daemon: &Daemon) -> Exit {
    let alarms = match status_of(daemon).await {
        Ok(status) => status.station.alarms,
        Err(exit) => return exit,
    };
    if alarms.is_empty() {
        say!("there is no alarm");
    }
    alarms.iter().for_each(super::status::print_alarm);
    Exit::Done
}

pub(super) async fn events(daemon: &Daemon, json: bool) -> Exit {
    let mut client = match connect(daemon).await {
        Ok(client) => client,
        Err(exit) => return exit,
    };
    match client.request(&Request::Events).await {
        Ok(Reply::Ok(_)) => {}
        Ok(reply) => return refused(reply),
        Err(error) => return fail(error),
    }
    while !output::reader_is_gone() {
        match client.next::<EventRecord>().await {
            Ok(Some(event)) if json => narrate::print_json(&event),
            Ok(Some(event)) => say!("{}  {}", narrate::time_of(&event), event.fact),
            Ok(None) => {
                complain("the daemon has stopped");
                return Exit::Unreachable;
            }
            Err(error) => return fail(error),
        }
    }
    Exit::Done
}
