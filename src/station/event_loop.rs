//! The one event loop: everything that happens becomes an input of the core, one after the other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::clock::Clock;
use super::counters::FactCounter;
use super::handle::Ask;
use super::history::History;
use super::ice_servers::IceServerStore;
use super::memory::Keeper;
use super::server_time::ServerTime;
use super::watchdog::WatchdogTimer;
use crate::audio::Audio;
use crate::blackbox::Recorder;
use crate::config::Config;
use crate::control::{EventRecord, InterfaceStatus};
use crate::core::{
    AudioEvent, CommandId, Done, Fact, IceServersAnswer, Input, Interface, MediaEvent, MediaId, Now, Refusal,
    ServerIndex, Station, Time, TokenError,
};
use crate::gpio::{OutputPlayer, PinReport, Pins};
use crate::media::guard::DropCounters;
use crate::media::{MediaAdapter, MediaMeters, TurnFaults};
use crate::reader::Verifier;
use crate::signaling::{Connector, Endpoint, Socket, SocketReport, TokenStore};

/// Pending hangups have this long when the station stops. systemd waits for longer (`TimeoutStopSec=`).
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(2500);

/// What the loop waits for.
pub(super) struct Queues {
    pub(super) reports: Reports,
    pub(super) pins: mpsc::Receiver<PinReport>,
    pub(super) asks: mpsc::Receiver<Ask>,
}

/// What the adapters other than the pins report.
pub(super) struct Reports {
    pub(super) sockets: mpsc::Receiver<SocketReport>,
    pub(super) tokens: mpsc::Receiver<Result<(), TokenError>>,
    pub(super) ice_servers: mpsc::Receiver<IceServersAnswer>,
    pub(super) addresses: mpsc::Receiver<Vec<IpAddr>>,
    pub(super) probes: mpsc::Receiver<bool>,
    pub(super) media: mpsc::Receiver<(MediaId, MediaEvent)>,
    pub(super) audio: mpsc::Receiver<AudioEvent>,
    /// Keys, faults and checked codes of readers.
    pub(super) readers: mpsc::Receiver<Input>,
}

/// Where the tasks that the loop starts send their results.
pub(super) struct Results {
    pub(super) sockets: mpsc::Sender<SocketReport>,
    pub(super) tokens: mpsc::Sender<Result<(), TokenError>>,
    pub(super) ice_servers: mpsc::Sender<IceServersAnswer>,
    pub(super) probes: mpsc::Sender<bool>,
    pub(super) readers: mpsc::Sender<Input>,
}

/// The core, and the adapters that carry its effects out.
pub(super) struct EventLoop {
    pub(super) config: Arc<Config>,
    pub(super) endpoints: Vec<Endpoint>,
    /// The server that was connected to last.
    pub(super) server: ServerIndex,
    pub(super) keeper: Keeper,
    pub(super) network_watcher: Option<JoinHandle<()>>,
    pub(super) connector: Connector,
    pub(super) tokens: Arc<TokenStore>,
    pub(super) ice_servers: IceServerStore,
    pub(super) identifier: String,
    pub(super) clock: Clock,
    pub(super) server_time: ServerTime,
    pub(super) station: Station,
    pub(super) audio: Arc<Audio>,
    pub(super) media: MediaAdapter,
    pub(super) dropped: Arc<DropCounters>,
    pub(super) turn_faults: Arc<TurnFaults>,
    pub(super) pins: Arc<dyn Pins>,
    pub(super) player: OutputPlayer,
    pub(super) verifier: Verifier,
    pub(super) socket: Option<Socket>,
    /// Counts the sockets: reports of an earlier one are not taken.
    pub(super) generation: u64,
    pub(super) replies: Vec<(CommandId, oneshot::Sender<Result<Done, Refusal>>)>,
    pub(super) next_command: u64,
    pub(super) events: broadcast::Sender<EventRecord>,
    pub(super) results: Results,
    pub(super) recorder: Recorder,
    pub(super) history: History,
    pub(super) counter: FactCounter,
    pub(super) media_meters: Arc<MediaMeters>,
    /// What the interfaces to the systems of the house have reported.
    pub(super) interfaces: BTreeMap<Interface, InterfaceStatus>,
    /// When the input happened that is being handled. That may be earlier than now: an edge has a time of its own.
    pub(super) happened: Time,
    /// `STATUS=` as systemd has it.
    pub(super) told_summary: String,
}

impl EventLoop {
    /// Runs until `stopped`, and until the pending hangups have been said.
    pub(super) async fn run(mut self, mut queues: Queues, mut stopped: oneshot::Receiver<()>) {
        self.feed(Input::Tick);
        let mut give_up_at = None;
        let mut watchdog = WatchdogTimer::new(self.clock.now().at);
        loop {
            let deadline = self.station.next_deadline().map(|deadline| self.clock.instant(deadline.at));
            let input = tokio::select! {
                input = next_report(&mut queues.reports, self.generation) => input,
                Some(report) = queues.pins.recv() => {
                    self.feed_pin(report);
                    Some(Input::Tick)
                }
                Some(ask) = queues.asks.recv() => self.ask(ask),
                () = sleep_until(deadline.unwrap_or_else(far_future)) => {
                    // After a stall, these reports come first: a button that was released in time is not a long press.
                    while let Ok(report) = queues.pins.try_recv() {
                        self.feed_pin(report);
                    }
                    Some(Input::Tick)
                }
                _ = &mut stopped, if give_up_at.is_none() => {
                    give_up_at = Some(Instant::now() + SHUTDOWN_PATIENCE);
                    Some(Input::Shutdown)
                }
                () = sleep_until(give_up_at.unwrap_or_else(far_future)) => break,
                () = due(watchdog.as_ref()) => {
                    if let Some(watchdog) = &mut watchdog {
                        watchdog.check(&self.audio.meters, self.station.session_due(), self.clock.now().at);
                    }
                    None
                }
            };
            let Some(input) = input else { continue };
            self.feed(input);
            self.audio.collect();
            if give_up_at.is_some() && self.station.is_at_rest() {
                break;
            }
        }
        self.close().await;
    }

    async fn close(self) {
        if let Some(socket) = self.socket {
            socket.close(1000);
        }
        if let Some(watcher) = &self.network_watcher {
            watcher.abort();
        }
        self.keeper.finish().await;
    }

    /// Answers what needs no input; a command becomes one.
    fn ask(&mut self, ask: Ask) -> Option<Input> {
        // Whoever asked may be gone.
        match ask {
            Ask::Status(reply) => {
                let _ = reply.send(self.status());
            }
            Ask::Explain(reply) => {
                let _ = reply.send(self.history.last_call());
            }
            Ask::Dump(reply) => {
                let _ = reply.send(self.recorder.dump());
            }
            Ask::Reload(config, verifier, reply) => {
                let _ = reply.send(self.reload(*config, verifier));
            }
            Ask::Interface(interface, status) => self.note_interface(interface, status),
            Ask::Command(by, command, reply) => {
                self.next_command += 1;
                let id = CommandId(self.next_command);
                self.replies.push((id, reply));
                return Some(Input::Command(id, by, command));
            }
        }
        None
    }

    /// Reports a fault of an interface, or its end, once.
    fn note_interface(&mut self, interface: Interface, status: InterfaceStatus) {
        let before = self.interfaces.insert(interface, status.clone()).unwrap_or_default();
        if before.fault != status.fault {
            self.happened = self.clock.now().at;
            self.report(Fact::Interface { interface, fault: status.fault });
        }
    }

    fn feed(&mut self, input: Input) {
        if matches!(input, Input::Addresses(_)) {
            self.ice_servers.network_changed();
        }
        if let Input::Socket(event) = &input {
            self.server_time.note(event, &self.clock);
        }
        if let Some(ahead_ms) = self.server_time.take_news(&self.clock) {
            self.feed_at(self.clock.now(), Input::ServerTime { ahead_ms });
        }
        self.feed_at(self.clock.now(), input);
    }

    /// An edge counts from when it happened, however late it is reported.
    fn feed_pin(&mut self, report: PinReport) {
        let now = self.clock.now();
        let at = report.at.map_or(now.at, |at| self.clock.time(at)).min(now.at);
        self.feed_at(Now { at, ..now }, report.input);
    }

    fn feed_at(&mut self, now: Now, input: Input) {
        self.happened = now.at;
        self.recorder.record(&self.station, now, &input);
        self.station.handle(now, input);
        self.carry_out_effects();
    }

    /// Takes over a new configuration; returns the keys that wait for the next start. The black box begins anew: what it
    /// holds was decided by other rules.
    fn reload(&mut self, config: Config, verifier: Verifier) -> Vec<&'static str> {
        let codes = config.codes.clone();
        let (config, waits) = crate::config::reload(&self.config, config);
        if config.codes == codes {
            self.verifier = verifier;
        }
        self.config = Arc::new(config);
        self.station.reconfigure(Arc::clone(&self.config));
        self.carry_out_effects();
        self.recorder = Recorder::default();
        waits
    }
}

/// The next report of an adapter other than the pins; `None` where it must not be taken.
async fn next_report(reports: &mut Reports, generation: u64) -> Option<Input> {
    tokio::select! {
        // A socket that was given up may still report.
        Some(report) = reports.sockets.recv() => {
            (report.generation == generation).then_some(Input::Socket(report.event))
        }
        Some(result) = reports.tokens.recv() => Some(Input::Token(result)),
        Some(addresses) = reports.addresses.recv() => Some(Input::Addresses(addresses)),
        Some(answer) = reports.ice_servers.recv() => Some(Input::IceServers(answer)),
        Some(answered) = reports.probes.recv() => Some(Input::Probed { answered }),
        Some((media, event)) = reports.media.recv() => Some(Input::Media(media, event)),
        Some(event) = reports.audio.recv() => Some(Input::Audio(event)),
        Some(input) = reports.readers.recv() => Some(input),
        // Every adapter has stopped.
        else => std::future::pending().await,
    }
}

/// When the watchdog must be checked: never, where nobody watches.
async fn due(watchdog: Option<&WatchdogTimer>) {
    match watchdog {
        Some(watchdog) => watchdog.due().await,
        None => std::future::pending().await,
    }
}

fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(86_400)
}
