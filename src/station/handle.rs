//! A handle to a running station: it takes requests and delivers facts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};

use crate::blackbox::Dump;
use crate::config::{Config, DEFAULT_PULSE, ModeChange, ModeIndex, OutputIndex, Playable, Sound};
use crate::control::{
    Controlled, ErrorKind, EventRecord, FullStatus, InterfaceStatus, ModeRequest, OutputRequest, Reply, ReplyError,
    Request,
};
use crate::core::{ButtonIndex, By, Command, Done, Interface, Line, OutputChange, Pin, Refusal, SensorIndex};
use crate::gpio::Pins;
use crate::media::rtpdump::CallPacket;
use crate::reader::Verifier;

/// What the handle asks the loop to do.
pub(super) enum Ask {
    Command(By, Command, oneshot::Sender<Result<Done, Refusal>>),
    Status(oneshot::Sender<FullStatus>),
    Explain(oneshot::Sender<Vec<EventRecord>>),
    Dump(oneshot::Sender<Option<Dump>>),
    Reload(Box<Config>, Verifier, oneshot::Sender<Vec<&'static str>>),
    Interface(Interface, InterfaceStatus),
}

/// A handle to a running station. It is cheap to clone.
#[derive(Clone)]
pub struct StationHandle {
    /// Who sends the requests.
    pub(super) by: By,
    pub(super) config: Arc<Config>,
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) events: broadcast::Sender<EventRecord>,
    pub(super) packets: broadcast::Sender<CallPacket>,
    pub(super) pins: Arc<dyn Pins>,
}

fn error(kind: ErrorKind, message: impl Into<String>) -> Reply {
    Reply::Error(ReplyError { kind, message: message.into() })
}

/// A list for messages, such as `"bell", "gate"`.
fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

impl StationHandle {
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Applies the changes that are possible during calls. Returns the keys that apply only after the next start.
    pub async fn reload(&self, config: Config) -> Vec<&'static str> {
        let (reply, answer) = oneshot::channel();
        let codes = config.clone();
        let verifier = tokio::task::spawn_blocking(move || Verifier::new(&codes)).await.unwrap_or_default();
        if self.asks.send(Ask::Reload(Box::new(config), verifier, reply)).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }

    /// Tells how an interface to the systems of the house stands.
    pub async fn tell(&self, interface: Interface, status: InterfaceStatus) {
        // The station may have stopped.
        let _ = self.asks.send(Ask::Interface(interface, status)).await;
    }

    async fn command(&self, command: Command) -> Reply {
        let (reply, answer) = oneshot::channel();
        if self.asks.send(Ask::Command(self.by.clone(), command, reply)).await.is_err() {
            return stopped();
        }
        match answer.await {
            Ok(Ok(Done::Now)) => Reply::Ok(true),
            Ok(Ok(done)) => Reply::Note(done.to_string()),
            Ok(Err(refusal)) => {
                // A command that can never be carried out is bad usage. One that cannot be carried out now is refused.
                let kind = match refusal {
                    Refusal::BadDigits(_) | Refusal::NoSuchLine { .. } => ErrorKind::Usage,
                    Refusal::NotRegistered(_)
                    | Refusal::NoFreeLine
                    | Refusal::NoCall(_)
                    | Refusal::Excluded { .. }
                    | Refusal::Rests { .. }
                    | Refusal::NoSoundCard
                    | Refusal::AlarmIsOn
                    | Refusal::TooManyActions
                    | Refusal::TooManyAlarms
                    | Refusal::ShuttingDown => ErrorKind::Refused,
                };
                error(kind, refusal.to_string())
            }
            Err(_) => stopped(),
        }
    }

    async fn status(&self) -> Reply {
        let (reply, answer) = oneshot::channel();
        if self.asks.send(Ask::Status(reply)).await.is_err() {
            return stopped();
        }
        answer.await.map_or_else(|_| stopped(), |status| Reply::Status(Box::new(status)))
    }

    async fn explain(&self) -> Reply {
        let (reply, answer) = oneshot::channel();
        if self.asks.send(Ask::Explain(reply)).await.is_err() {
            return stopped();
        }
        answer.await.map_or_else(|_| stopped(), Reply::Explanation)
    }

    async fn dump(&self, unredacted: bool) -> Reply {
        let (reply, answer) = oneshot::channel();
        if self.asks.send(Ask::Dump(reply)).await.is_err() {
            return stopped();
        }
        let Ok(dump) = answer.await else { return stopped() };
        let Some(dump) = dump else { return error(ErrorKind::Refused, "nothing has been recorded yet") };
        let mut seed = [0_u8; 8];
        if let Err(problem) = getrandom::fill(&mut seed) {
            return error(ErrorKind::Failed, format!("no random numbers, so secrets cannot be replaced: {problem}"));
        }
        let seed = (!unredacted).then(|| u64::from_ne_bytes(seed));
        // The text may have some megabytes, so it is not made on the event loop.
        match tokio::task::spawn_blocking(move || dump.to_text(seed)).await {
            Ok(Ok(text)) => Reply::Dump(text),
            Ok(Err(problem)) => error(ErrorKind::Failed, problem.to_string()),
            Err(problem) => error(ErrorKind::Failed, problem.to_string()),
        }
    }

    fn input(&self, name: &str, active: bool) -> Reply {
        let button =
            self.config.buttons.iter().position(|button| button.name == name).map(ButtonIndex).map(Pin::Button);
        let sensor =
            self.config.sensors.iter().position(|sensor| sensor.name == name).map(SensorIndex).map(Pin::Sensor);
        match button.or(sensor) {
            Some(pin) if self.pins.move_input(pin, active) => Reply::Ok(true),
            Some(_) => error(
                ErrorKind::Refused,
                format!("the pin of \"{name}\" is not simulated; `callbox press` presses a button"),
            ),
            None => {
                let buttons = self.config.buttons.iter().map(|button| &button.name);
                let names = list(buttons.chain(self.config.sensors.iter().map(|sensor| &sensor.name)));
                error(ErrorKind::Usage, format!("there is no button or sensor \"{name}\"; there are: {names}"))
            }
        }
    }
}

fn output(config: &Config, name: &str) -> Result<OutputIndex, Reply> {
    config.outputs.iter().position(|output| output.name == name).map(OutputIndex).ok_or_else(|| {
        let names = list(config.outputs.iter().map(|output| &output.name));
        error(ErrorKind::Usage, format!("there is no output \"{name}\"; there are: {names}"))
    })
}

fn button(config: &Config, name: &str) -> Result<ButtonIndex, Reply> {
    config.buttons.iter().position(|button| button.name == name).map(ButtonIndex).ok_or_else(|| {
        let names = list(config.buttons.iter().map(|button| &button.name));
        error(ErrorKind::Usage, format!("there is no button \"{name}\"; there are: {names}"))
    })
}

fn mode(config: &Config, name: &str) -> Result<ModeIndex, Reply> {
    config.modes.iter().position(|mode| mode.name == name).map(ModeIndex).ok_or_else(|| {
        let names = list(config.modes.iter().map(|mode| &mode.name));
        error(ErrorKind::Usage, format!("there is no mode \"{name}\"; there are: {names}"))
    })
}

fn playable(config: &Config, name: &str) -> Result<Playable, Reply> {
    config.playable(name).ok_or_else(|| {
        let prompts = config.prompts.iter().map(|prompt| prompt.name.clone());
        let names: Vec<String> = prompts.chain(Sound::ALL.iter().map(|one| one.name().to_owned())).collect();
        let names = list(names.iter());
        error(ErrorKind::Usage, format!("there is no prompt or sound \"{name}\"; there are: {names}"))
    })
}

/// Returns the command that a request asks for, with its names resolved. Otherwise returns the reply.
///
/// # Errors
///
/// The request names something that the configuration does not have, or it is not a command.
pub fn command_of(config: &Config, request: Request) -> Result<Command, Reply> {
    Ok(match request {
        Request::Press { name, gesture } => Command::Press { button: button(config, &name)?, gesture },
        Request::Call { number, line } if crate::config::is_number(&number) => {
            Command::Call { number, line: line.map(Line) }
        }
        Request::Call { number, .. } => {
            let message = format!("\"{number}\" is not a number; a number has digits and + * # - _ .");
            return Err(error(ErrorKind::Usage, message));
        }
        Request::Hangup { line } => Command::Hangup { line: line.map(Line) },
        Request::Answer { line } => Command::Answer { line: line.map(Line) },
        Request::Hold => Command::Hold,
        Request::Unhold => Command::Unhold,
        Request::Dtmf { digits } => Command::Dtmf(digits),
        Request::Mute { keep } => Command::Mute { muted: true, keep },
        Request::Unmute => Command::Mute { muted: false, keep: false },
        Request::Volume { volume, .. } if volume > 100 => {
            return Err(error(ErrorKind::Usage, format!("volume {volume} is out of range; write 0 to 100")));
        }
        Request::Volume { volume, keep } => Command::Volume { volume, keep },
        Request::EndAlarms => Command::EndAlarms,
        Request::Play { name, to } => Command::Play { what: playable(config, &name)?, to },
        Request::Mode { name, set } => Command::Mode {
            mode: mode(config, &name)?,
            change: match set {
                ModeRequest::On => ModeChange::On,
                ModeRequest::Off => ModeChange::Off,
                ModeRequest::Toggle => ModeChange::Toggle,
                ModeRequest::Auto => ModeChange::Auto,
            },
        },
        Request::Output { change: OutputRequest::On | OutputRequest::Off, ms: Some(_), .. } => {
            return Err(error(ErrorKind::Usage, "ms is the length of a pulse; write pulse in place of on"));
        }
        Request::Output { name, change, ms } => {
            let output = output(config, &name)?;
            let usual = || config.outputs.get(output.0).map_or(DEFAULT_PULSE, |output| output.pulse);
            let change = match change {
                OutputRequest::On => OutputChange::On,
                OutputRequest::Off => OutputChange::Off,
                OutputRequest::Pulse => OutputChange::Pulse(ms.map_or_else(usual, Duration::from_millis)),
            };
            Command::Output { output, change }
        }
        Request::Status
        | Request::Events
        | Request::Packets
        | Request::Input { .. }
        | Request::Explain
        | Request::Dump { .. } => {
            return Err(error(ErrorKind::Failed, "this request is not a command"));
        }
    })
}

fn stopped() -> Reply {
    error(ErrorKind::Failed, "the station has stopped")
}

impl Controlled for StationHandle {
    fn on_behalf_of(&self, by: By) -> Self {
        Self { by, ..self.clone() }
    }

    async fn request(&self, request: Request) -> Reply {
        match request {
            Request::Status => self.status().await,
            Request::Input { name, active } => {
                tracing::info!(name, active, by = %self.by, "a simulated pin is moved");
                self.input(&name, active)
            }
            Request::Explain => self.explain().await,
            Request::Dump { unredacted } => self.dump(unredacted).await,
            request => match command_of(&self.config, request) {
                Ok(command) => self.command(command).await,
                Err(reply) => reply,
            },
        }
    }

    fn events(&self) -> broadcast::Receiver<EventRecord> {
        self.events.subscribe()
    }

    fn packets(&self) -> broadcast::Receiver<CallPacket> {
        tracing::warn!(by = %self.by, "the far ends' packets are recorded");
        self.packets.subscribe()
    }
}
