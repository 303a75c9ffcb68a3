//! Commands that talk to a running daemon.

use std::path::{Path, PathBuf};

use super::{Daemon, Exit, complain};
use crate::control::usual_sockets;
use crate::control::{ClientError, ControlClient, ErrorKind, EventRecord, FullStatus, OutputRequest, Reply, Request};
use crate::core::{CallState, Direction, Fact};

/// What an output is to do.
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

/// The control socket: as told, of the environment, of the configuration, or the usual ones.
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

async fn connect(daemon: &Daemon) -> Result<ControlClient, Exit> {
    let mut first_error = None;
    for path in socket_paths(daemon) {
        match ControlClient::connect(&path).await {
            Ok(client) => return Ok(client),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.map_or(Exit::Unreachable, fail))
}

fn fail(error: ClientError) -> Exit {
    let exit = match error {
        ClientError::Unreachable { .. } => Exit::Unreachable,
        ClientError::Broken(_) => Exit::Failed,
    };
    complain(error);
    exit
}

async fn ask(daemon: &Daemon, request: &Request) -> Result<Reply, Exit> {
    connect(daemon).await?.request(request).await.map_err(fail)
}

fn refused(reply: Reply) -> Exit {
    match reply {
        Reply::Ok(_) | Reply::Status(_) => Exit::Done,
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

pub(super) async fn status(daemon: &Daemon, json: bool) -> Exit {
    let status = match ask(daemon, &Request::Status).await {
        Ok(Reply::Status(status)) => status,
        Ok(reply) => return refused(reply),
        Err(exit) => return exit,
    };
    if json {
        match serde_json::to_string_pretty(&status) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                complain(error);
                return Exit::Failed;
            }
        }
    } else {
        print_status(&status);
    }
    Exit::Done
}

fn print_status(status: &FullStatus) {
    let station = &status.station;
    let reason = |reason: &Option<String>| reason.as_ref().map(|words| format!(" ({words})")).unwrap_or_default();
    println!("callbox   {}, up {}", status.version, duration(status.uptime_s));
    println!("server    {}", status.server);
    println!("session   {}{}", station.session.state, reason(&station.session.reason));
    for line in &station.lines {
        match &line.call {
            None => println!("line {}    {}", line.line, state_words(line.state)),
            Some(call) => {
                let way = if call.direction == Direction::Outgoing { "to" } else { "from" };
                let name = call.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
                let talk = call.talk_s.map(|talk| format!(", {}", duration(talk))).unwrap_or_default();
                let media = if call.media_connected { "" } else { ", no media yet" };
                println!("line {}    {} {way} {}{name}{talk}{media}", line.line, state_words(line.state), call.number);
            }
        }
    }
    let sound = if status.sound.synthetic { "built-in microphone: there is no sound card" } else { "ready" };
    match &station.audio.fault {
        Some(fault) => println!("sound     fault: {fault}"),
        None if !station.audio.ready => println!("sound     starting"),
        None => println!(
            "sound     {sound}, microphone {} dBFS, loudspeaker {} dBFS, volume {}{}",
            status.sound.microphone_dbfs,
            status.sound.loudspeaker_dbfs,
            station.audio.volume,
            if station.audio.muted { ", muted" } else { "" }
        ),
    }
    println!("pins      {}", status.gpio_backend);
    for output in &station.outputs {
        println!("{:<9} {}: {}", output.kind, output.name, format!("{:?}", output.drive).to_lowercase());
    }
    for pin in station.buttons.iter().filter(|pin| pin.active) {
        println!("button    {}: down", pin.name);
    }
    for pin in &station.sensors {
        println!("sensor    {}: {}", pin.name, if pin.active { "open" } else { "closed" });
    }
    if let Some(end) = &station.last_end {
        println!("last call ended with {} {}", end.cause.code, end.cause.text);
    }
}

fn state_words(state: CallState) -> &'static str {
    match state {
        CallState::Idle => "idle",
        CallState::Dialing => "dialing",
        CallState::Alerting => "ringing",
        CallState::Incoming => "incoming call",
        CallState::Answering => "answering call",
        CallState::Established => "in a call",
        CallState::Held => "held call",
        CallState::Ending => "ending call",
    }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
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
    loop {
        match client.next_event().await {
            Ok(Some(event)) if json => match serde_json::to_string(&event) {
                Ok(text) => println!("{text}"),
                Err(error) => complain(error),
            },
            Ok(Some(event)) => println!("{}  {}", time_of(&event), words(&event.fact)),
            Ok(None) => {
                complain("the daemon has stopped");
                return Exit::Unreachable;
            }
            Err(error) => return fail(error),
        }
    }
}

fn time_of(event: &EventRecord) -> String {
    i64::try_from(event.at_ms)
        .ok()
        .and_then(|at| jiff::Timestamp::from_millisecond(at).ok())
        .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S%.3f").to_string())
        .unwrap_or_default()
}

fn words(fact: &Fact) -> String {
    let because = |reason: &Option<String>| reason.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
    match fact {
        Fact::Session { state, reason } => format!("session {state}{}", because(reason)),
        Fact::Press { button, gesture } => format!("button {button}: {gesture:?}").to_lowercase(),
        Fact::Sensor { sensor, opened } => format!("sensor {sensor} {}", if *opened { "opened" } else { "closed" }),
        Fact::PressRefused { button, reason } => format!("button {button}: no call: {reason}"),
        Fact::Call { line, direction, number, state, cause, .. } => {
            let way = if *direction == Direction::Outgoing { "to" } else { "from" };
            let end = cause.as_ref().map(|cause| format!(": {} {}", cause.code, cause.text)).unwrap_or_default();
            let state = if cause.is_some() { "call ended" } else { state_words(*state) };
            format!("line {line}: {state} {way} {number}{end}")
        }
        Fact::Media { connected: true, .. } => "media connected".into(),
        Fact::Media { connected: false, .. } => "media lost".into(),
        Fact::Silence { call_id, missing: Some(missing) } => format!("call {call_id}: no sound, {missing:?}"),
        Fact::Silence { call_id, missing: None } => format!("call {call_id}: sound again"),
        Fact::Repair { call_id, step, outcome } => {
            format!("call {call_id}: repair of its media, {step:?}: {outcome:?}")
        }
        Fact::CoreHears { receiving: true, .. } => "the core server hears us".into(),
        Fact::CoreHears { receiving: false, .. } => "the core server does not hear us".into(),
        Fact::SlowLink { line, lost, .. } => format!("line {line}: {lost} packets lost"),
        Fact::MissedCall { caller } => format!("missed call from {caller}"),
        Fact::Dtmf { matched: true, .. } => "code accepted".into(),
        Fact::Dtmf { locked: true, .. } => "wrong code: codes are off for this call".into(),
        Fact::Dtmf { .. } => "wrong code".into(),
        Fact::Output { output, drive } => format!("output {output} {}", format!("{drive:?}").to_lowercase()),
        Fact::Audio { ready: true, .. } => "sound card ready".into(),
        Fact::Audio { reason, .. } => format!("sound card fault{}", because(reason)),
        Fact::Protocol { problem } => format!("protocol: {problem}"),
    }
}
