//! The loop itself, and the adapters that it owns.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::clock::{Clock, wall_clock_ms};
use super::feeder::Feeder;
use super::handle::{Ask, StationHandle};
use super::memory::Keeper;
use crate::audio::{Audio, AudioStartError, CardChoice, CardControls, CardTiming, SoundBank, SoundError};
use crate::blackbox::Recorder;
use crate::config::{Config, Credentials};
use crate::control::{EventRecord, FullStatus, SoundStatus};
use crate::core::{AudioEvent, By, Effect, Fact, Input, MediaEvent, MediaId, Now, ServerIndex, Station, TokenError};
use crate::gpio::{OutputPlayer, PinReport, Pins, take_pins};
use crate::media::guard::DropCounters;
use crate::media::{MediaAdapter, MediaContext};
use crate::network;
use crate::signaling::{
    Endpoint, LoginRequest, SessionApi, SessionApiError, Socket, SocketReport, TlsError, TokenStore, client_config,
};

/// Inputs of one kind that wait for the loop.
const QUEUE: usize = 256;
/// Events that a slow follower may be behind.
const EVENTS: usize = 512;
/// Packets of calls that one who records may be behind.
const PACKETS: usize = 256;
/// Events that `callbox explain last` can look back on.
const HISTORY: usize = 512;
/// Goodbyes have this long (design.md: a graceful stop within 3 s).
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(2500);

/// What a station is started with, beside its configuration.
pub struct StationOptions {
    /// The configuration.
    pub config: Config,
    /// Where sound comes from.
    pub card: CardChoice,
    /// Addresses to gather candidates from beside those of `media.bind`.
    pub extra_addresses: Vec<SocketAddr>,
    /// `$STATE_DIRECTORY` and `$RUNTIME_DIRECTORY`, as far as they are set.
    pub token_folders: Vec<PathBuf>,
    /// `$RUNTIME_DIRECTORY`: where calls are remembered over a restart.
    pub memory_folder: Option<PathBuf>,
    /// `$STATE_DIRECTORY`: where wrong codes are remembered over a power cut.
    pub state_folder: Option<PathBuf>,
    /// Device id.
    pub identifier: String,
}

/// Why a station cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A CA or client certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A sound file.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// The audio thread.
    #[error(transparent)]
    Audio(#[from] AudioStartError),
    /// The system has no randomness.
    #[error("no random numbers: {0}")]
    Random(String),
}

/// A station that runs until it is stopped.
pub struct RunningStation {
    /// Talks to it.
    pub handle: StationHandle,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl RunningStation {
    /// Starts the adapters and the loop.
    pub fn start(options: StationOptions) -> Result<Self, StartError> {
        let StationOptions { config, card, extra_addresses, token_folders, memory_folder, state_folder, identifier } =
            options;
        let config = Arc::new(config);
        let tls = client_config(config.core.ca_file.as_deref(), config.core.client_certificate.as_ref())?;
        let sounds = SoundBank::new(config.audio.rate_hz, &config.sounds)?;
        let (audio_events, audio_queue) = mpsc::channel(QUEUE);
        let audio = Arc::new(Audio::start(&config.audio, sounds, card, audio_events)?);
        let (media_events, media_queue) = mpsc::channel(QUEUE);
        let attached = Arc::clone(&audio);
        let (packets, _) = broadcast::channel(PACKETS);
        let dropped = Arc::new(DropCounters::default());
        let context = MediaContext {
            config: config.media.clone(),
            extra_addresses,
            rate_hz: config.audio.rate_hz,
            in_band: config.dtmf.iter().any(|rule| rule.in_band),
            dropped: Arc::clone(&dropped),
            packets: packets.clone(),
            attach: Box::new(move |media, sound| attached.attach(media, sound)),
        };
        let (pin_reports, pin_queue) = mpsc::channel(QUEUE);
        let pins = take_pins(&config, pin_reports);
        let player = OutputPlayer::new(Arc::clone(&pins), config.outputs.len());
        let (asks, ask_queue) = mpsc::channel(QUEUE);
        let (events, _) = broadcast::channel(EVENTS);
        let handle = StationHandle {
            by: By::Station,
            config: Arc::clone(&config),
            asks,
            events: events.clone(),
            packets,
            pins: Arc::clone(&pins),
        };
        let (stop, stopped) = oneshot::channel();
        let clock = Clock::new();
        let transaction_seed = wall_clock_ms().saturating_mul(1000);
        let mut station = Station::new(Arc::clone(&config), seed()?, transaction_seed, clock.now());
        station.recall(super::memory::recall(memory_folder.as_deref(), state_folder.as_deref(), clock.now().at));
        let (address_changes, address_queue) = mpsc::channel(4);
        let watcher = network::watch(address_changes).map_err(|error| tracing::warn!(%error, "network")).ok();
        let (socket_reports, socket_queue) = mpsc::channel(QUEUE);
        let (token_results, token_queue) = mpsc::channel(4);
        let (probe_results, probe_queue) = mpsc::channel(4);
        let event_loop = Loop {
            endpoints: config
                .core
                .urls
                .iter()
                .map(|url| Endpoint::new(url.clone(), config.core.tenant.clone()))
                .collect(),
            keeper: Keeper::new(memory_folder, state_folder, clock),
            watcher,
            server: ServerIndex(0),
            tokens: Arc::new(TokenStore::new(config.core.credentials.clone(), token_folders)),
            media: MediaAdapter::new(context, media_events),
            dropped,
            config,
            tls,
            identifier,
            clock,
            station,
            audio,
            pins: Arc::clone(&pins),
            player,
            socket: None,
            generation: 0,
            replies: Vec::new(),
            next_command: 0,
            events,
            socket_reports,
            token_results,
            probe_results,
            recorder: Recorder::default(),
            history: VecDeque::new(),
            told_summary: String::new(),
        };
        let queues = Queues {
            sockets: socket_queue,
            tokens: token_queue,
            addresses: address_queue,
            probes: probe_queue,
            media: media_queue,
            audio: audio_queue,
            pins: pin_queue,
            asks: ask_queue,
        };
        let task = tokio::spawn(event_loop.run(queues, stopped));
        Ok(Self { handle, stop, task })
    }

    /// Hangs up, puts outputs to rest, and ends.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

fn seed() -> Result<u64, StartError> {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(|error| StartError::Random(error.to_string()))?;
    Ok(u64::from_ne_bytes(bytes))
}

struct Queues {
    sockets: mpsc::Receiver<SocketReport>,
    tokens: mpsc::Receiver<Result<(), TokenError>>,
    addresses: mpsc::Receiver<Vec<IpAddr>>,
    probes: mpsc::Receiver<bool>,
    media: mpsc::Receiver<(MediaId, MediaEvent)>,
    audio: mpsc::Receiver<AudioEvent>,
    pins: mpsc::Receiver<PinReport>,
    asks: mpsc::Receiver<Ask>,
}

struct Loop {
    config: Arc<Config>,
    endpoints: Vec<Endpoint>,
    /// The server that was connected to last.
    server: ServerIndex,
    keeper: Keeper,
    watcher: Option<JoinHandle<()>>,
    tls: Arc<ClientConfig>,
    tokens: Arc<TokenStore>,
    identifier: String,
    clock: Clock,
    station: Station,
    audio: Arc<Audio>,
    media: MediaAdapter,
    dropped: Arc<DropCounters>,
    pins: Arc<dyn Pins>,
    player: OutputPlayer,
    socket: Option<Socket>,
    generation: u64,
    replies: Vec<(crate::core::CommandId, oneshot::Sender<Result<crate::core::Done, crate::core::Refusal>>)>,
    next_command: u64,
    events: broadcast::Sender<EventRecord>,
    socket_reports: mpsc::Sender<SocketReport>,
    token_results: mpsc::Sender<Result<(), TokenError>>,
    probe_results: mpsc::Sender<bool>,
    recorder: Recorder,
    history: VecDeque<EventRecord>,
    /// `STATUS=` at systemd.
    told_summary: String,
}

impl Loop {
    async fn run(mut self, mut queues: Queues, mut stopped: oneshot::Receiver<()>) {
        self.feed(Input::Tick);
        let mut give_up = None;
        let mut feeder = Feeder::new(self.clock.now().at);
        loop {
            let deadline = self.station.next_deadline().map(|deadline| self.clock.instant(deadline.at));
            let input = tokio::select! {
                Some(report) = queues.sockets.recv() => {
                    // Words of a socket that was given up are of no interest.
                    if report.generation != self.generation {
                        continue;
                    }
                    Input::Socket(report.event)
                }
                Some(result) = queues.tokens.recv() => Input::Token(result),
                Some(addresses) = queues.addresses.recv() => Input::Addresses(addresses),
                Some(answered) = queues.probes.recv() => Input::Probed { answered },
                Some((media, event)) = queues.media.recv() => Input::Media(media, event),
                Some(event) = queues.audio.recv() => Input::Audio(event),
                Some(report) = queues.pins.recv() => {
                    self.feed_pin(report);
                    Input::Tick
                }
                Some(ask) = queues.asks.recv() => match ask {
                    Ask::Status(reply) => {
                        let _ = reply.send(self.status());
                        continue;
                    }
                    Ask::Explain(reply) => {
                        let _ = reply.send(self.last_call());
                        continue;
                    }
                    Ask::Dump(reply) => {
                        let _ = reply.send(self.recorder.dump());
                        continue;
                    }
                    Ask::Reload(config, reply) => {
                        let _ = reply.send(self.reload(*config));
                        continue;
                    }
                    Ask::Command(by, command, reply) => {
                        self.next_command += 1;
                        let id = crate::core::CommandId(self.next_command);
                        self.replies.push((id, reply));
                        Input::Command(id, by, command)
                    }
                },
                () = sleep_until(deadline.unwrap_or_else(far_future)) => {
                    // After a stall: a finger that was lifted in time is not held for long.
                    while let Ok(report) = queues.pins.try_recv() {
                        self.feed_pin(report);
                    }
                    Input::Tick
                }
                _ = &mut stopped, if give_up.is_none() => {
                    give_up = Some(tokio::time::Instant::now() + SHUTDOWN_PATIENCE);
                    Input::Shutdown
                }
                () = sleep_until(give_up.unwrap_or_else(far_future)) => break,
                () = due(feeder.as_ref()) => {
                    if let Some(feeder) = &mut feeder {
                        feeder.look(&self.audio.meters, self.station.session_due(), self.clock.now().at);
                    }
                    continue;
                }
            };
            self.feed(input);
            self.audio.collect();
            if give_up.is_some() && self.station.is_at_rest() {
                break;
            }
        }
        if let Some(socket) = self.socket.take() {
            socket.close(1000);
        }
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
        self.keeper.finish().await;
    }

    fn endpoint(&self, ServerIndex(index): ServerIndex) -> Option<Endpoint> {
        self.endpoints.get(index).or_else(|| self.endpoints.first()).cloned()
    }

    fn feed(&mut self, input: Input) {
        self.feed_at(self.clock.now(), input);
    }

    /// An edge counts from when it was, however late it is told.
    fn feed_pin(&mut self, report: PinReport) {
        let now = self.clock.now();
        let at = report.at.map_or(now.at, |at| self.clock.time(at)).min(now.at);
        self.feed_at(Now { at, ..now }, report.input);
    }

    fn feed_at(&mut self, now: Now, input: Input) {
        self.recorder.record(&self.station, now, &input);
        self.station.handle(now, input);
        while let Some(effect) = self.station.poll_effect() {
            self.carry_out(effect);
        }
    }

    /// The black box begins anew: what it holds was decided by other rules.
    fn reload(&mut self, config: Config) -> Vec<&'static str> {
        let (config, waits) = crate::config::reload(&self.config, config);
        self.config = Arc::new(config);
        self.station.reconfigure(Arc::clone(&self.config));
        while let Some(effect) = self.station.poll_effect() {
            self.carry_out(effect);
        }
        self.recorder = Recorder::default();
        waits
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { server, force } => {
                self.generation += 1;
                self.server = server;
                self.socket = self.endpoint(server).map(|endpoint| {
                    Socket::open(
                        endpoint,
                        Arc::clone(&self.tls),
                        Arc::clone(&self.tokens),
                        force,
                        self.generation,
                        self.socket_reports.clone(),
                    )
                });
            }
            Effect::Probe(server) => self.probe(server),
            Effect::Remember(memory) => self.keeper.keep(memory),
            Effect::Disconnect { code } => {
                self.generation += 1;
                if let Some(socket) = self.socket.take() {
                    socket.close(code);
                }
            }
            Effect::Send(message) => {
                let sent = self.socket.as_ref().is_some_and(|socket| socket.send(&message));
                if !sent {
                    tracing::warn!("a message could not be queued: the socket is gone or stands still");
                }
            }
            Effect::TokenRefused => {
                let tokens = Arc::clone(&self.tokens);
                tokio::spawn(async move { tokens.refuse().await });
            }
            Effect::ObtainToken => self.obtain_token(),
            Effect::Media(media, command) => self.media.command(media, command),
            Effect::Scene(scene) => self.audio.set_scene(&scene),
            Effect::Play { sound, to_calls } => self.audio.play(sound, to_calls),
            Effect::Drive(output, drive) => self.player.drive(output.0, drive),
            Effect::Reply(id, result) => {
                if let Some(index) = self.replies.iter().position(|(of, _)| *of == id) {
                    let (_, reply) = self.replies.swap_remove(index);
                    let _ = reply.send(result);
                }
            }
            Effect::Fact(fact) => self.tell(fact),
        }
    }

    fn tell(&mut self, fact: Fact) {
        log(&fact);
        if fact.changes_summary() {
            let words = super::feeder::summary(&self.station.status());
            if words != self.told_summary {
                // Without systemd there is nobody to tell.
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&words)]);
                self.told_summary = words;
            }
        }
        let record = EventRecord { at_ms: wall_clock_ms(), fact };
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(record.clone());
        // Nobody may be listening.
        let _ = self.events.send(record);
    }

    /// Everything about the call that ended last, and what the session did meanwhile.
    fn last_call(&self) -> Vec<EventRecord> {
        super::history::last_call(&self.history)
    }

    fn probe(&self, server: ServerIndex) {
        let Some(endpoint) = self.endpoint(server) else { return };
        let api = SessionApi::new(endpoint, Arc::clone(&self.tls));
        let results = self.probe_results.clone();
        tokio::spawn(async move {
            let _ = results.send(api.answers().await).await;
        });
    }

    fn obtain_token(&self) {
        let Some(endpoint) = self.endpoint(self.server) else { return };
        let api = SessionApi::new(endpoint, Arc::clone(&self.tls));
        let tokens = Arc::clone(&self.tokens);
        let credentials = self.config.core.credentials.clone();
        let identifier = self.identifier.clone();
        let results = self.token_results.clone();
        tokio::spawn(async move {
            tokens.refuse().await;
            let result = log_in(&api, credentials, identifier).await;
            let result = match result {
                Ok(token) => {
                    tokens.renew(token).await;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            let _ = results.send(result).await;
        });
    }

    fn status(&self) -> FullStatus {
        let meters = &self.audio.meters;
        let CardControls { playback, capture } = meters.controls().clone();
        let CardTiming { capture_period_ms, playback_period_ms, lead_ms } = meters.card_timing();
        FullStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            server: self.endpoint(self.server).map(|endpoint| endpoint.shown()).unwrap_or_default(),
            identifier: self.identifier.clone(),
            gpio_backend: self.pins.backend().to_owned(),
            uptime_s: self.clock.uptime_s(),
            dropped_datagrams: self.dropped.read(),
            sound: SoundStatus {
                microphone_dbfs: meters.microphone_dbfs(),
                loudspeaker_dbfs: meters.loudspeaker_dbfs(),
                xruns: meters.xruns.load(std::sync::atomic::Ordering::Relaxed),
                synthetic: meters.synthetic.load(std::sync::atomic::Ordering::Relaxed),
                realtime: meters.realtime.load(std::sync::atomic::Ordering::Relaxed),
                longest_frame_us: meters.longest_frame_us.load(std::sync::atomic::Ordering::Relaxed),
                longest_frame_wall_us: meters.longest_frame_wall_us.load(std::sync::atomic::Ordering::Relaxed),
                capture_period_ms,
                playback_period_ms,
                lead_ms,
                playback_control: playback,
                capture_control: capture,
            },
            station: self.station.status(),
        }
    }
}

/// Never where nobody watches.
async fn due(feeder: Option<&Feeder>) {
    match feeder {
        Some(feeder) => feeder.due().await,
        None => std::future::pending().await,
    }
}

fn far_future() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(86_400)
}

async fn log_in(api: &SessionApi, credentials: Credentials, identifier: String) -> Result<String, TokenError> {
    let secret = async |path: PathBuf| {
        tokio::fs::read_to_string(&path)
            .await
            .map(|text| text.trim().to_owned())
            .map_err(|error| TokenError::Failed(format!("{}: {error}", path.display())))
    };
    let mut request = LoginRequest {
        bundle_id: None,
        kind: "linux".into(),
        identifier,
        login: None,
        password: None,
        config_token: None,
    };
    match credentials {
        Credentials::Login { login, password_file } => {
            request.login = Some(login);
            request.password = Some(secret(password_file).await?);
        }
        Credentials::ConfigTokenFile(path) => request.config_token = Some(secret(path).await?),
        Credentials::Token(_) | Credentials::TokenFile(_) => return Err(TokenError::NotConfigured),
    }
    api.login(&request).await.map(|response| response.token).map_err(|error| match error {
        SessionApiError::Refused(words) => TokenError::Refused(words),
        SessionApiError::Failed(words) => TokenError::Failed(words),
        SessionApiError::NotYetValid(words) => TokenError::NotYetValid(words),
    })
}

/// A fact as a log event, at the level of its weight: words for people, and for programs the fields in the
/// journal, whose names begin with `fact.` (a terminal leaves them out).
fn log(fact: &Fact) {
    match fact {
        Fact::Session { state, .. } => tracing::info!(fact.state = %state, "{fact}"),
        Fact::Press { button, gesture, by } => {
            tracing::info!(fact.button = button, fact.gesture = ?gesture, fact.by = %by, "{fact}");
        }
        Fact::Sensor { sensor, opened } => tracing::info!(fact.sensor = sensor, fact.opened = opened, "{fact}"),
        Fact::Pin { name, fault: Some(_) } => tracing::warn!(fact.pin = name, "{fact}"),
        Fact::Pin { name, fault: None } => tracing::info!(fact.pin = name, "{fact}"),
        Fact::PressRefused { button, .. } => tracing::warn!(fact.button = button, "{fact}"),
        Fact::SensorRefused { sensor, .. } => tracing::warn!(fact.sensor = sensor, "{fact}"),
        Fact::NoTelephoneEvents { call_id } => tracing::warn!(fact.call_id = call_id, "{fact}"),
        Fact::Call { call_id, line, direction, number, state, cause, by, .. } => {
            let code = cause.as_ref().map_or(0, |cause| cause.code);
            tracing::info!(fact.call_id = call_id, fact.line = line.0, fact.direction = ?direction, fact.number = number, fact.state = ?state, fact.code = code, fact.by = %by, "{fact}");
        }
        Fact::Media { call_id, connected } => {
            tracing::info!(fact.call_id = call_id, fact.connected = connected, "{fact}")
        }
        Fact::Silence { call_id, missing: Some(missing) } => {
            tracing::warn!(fact.call_id = call_id, fact.missing = ?missing, "{fact}")
        }
        Fact::Silence { call_id, missing: None } => tracing::info!(fact.call_id = call_id, "{fact}"),
        Fact::Repair { call_id, step, outcome } => {
            tracing::warn!(fact.call_id = call_id, fact.step = ?step, fact.outcome = ?outcome, "{fact}");
        }
        Fact::ServerHears { call_id, receiving } => {
            tracing::info!(fact.call_id = call_id, fact.receiving = receiving, "{fact}")
        }
        Fact::SlowLink { line, uplink, lost } => {
            tracing::warn!(fact.line = line.0, fact.uplink = uplink, fact.lost = lost, "{fact}")
        }
        Fact::MissedCall { caller } => tracing::info!(fact.caller = caller, "{fact}"),
        Fact::Dtmf { call_id, number, matched: true, .. } => {
            tracing::info!(fact.call_id = call_id, fact.number = number, fact.matched = true, "{fact}")
        }
        Fact::Dtmf { call_id, number, matched: false, locked, .. } => {
            tracing::warn!(
                fact.call_id = call_id,
                fact.number = number,
                fact.matched = false,
                fact.locked = locked,
                "{fact}"
            )
        }
        Fact::Output { output, drive, by } => {
            tracing::info!(fact.output = output, fact.drive = ?drive, fact.by = %by, "{fact}");
        }
        Fact::OutputRefused { output, by, .. } => tracing::warn!(fact.output = output, fact.by = %by, "{fact}"),
        Fact::Mute { muted, by } => tracing::info!(fact.muted = muted, fact.by = %by, "{fact}"),
        Fact::Volume { volume, by } => tracing::info!(fact.volume = volume, fact.by = %by, "{fact}"),
        Fact::Command { command, by } => tracing::info!(fact.command = command, fact.by = %by, "{fact}"),
        Fact::CallRefused { number, .. } => tracing::info!(fact.number = number, "{fact}"),
        Fact::Audio { ready: true, .. } => tracing::info!(fact.ready = true, "{fact}"),
        Fact::Microphone { fault: Some(_) } => tracing::warn!("{fact}"),
        Fact::Microphone { fault: None } => tracing::info!("{fact}"),
        Fact::Audio { ready: false, .. } => tracing::warn!(fact.ready = false, "{fact}"),
        Fact::Protocol { .. } => tracing::warn!(fact.protocol = true, "{fact}"),
    }
}
