//! Starts a station: its adapters, its core, and the event loop between them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::clock::{Clock, wall_clock_ms};
use super::counters::FactCounter;
use super::event_loop::{EventLoop, Queues, Reports, Results};
use super::handle::StationHandle;
use super::history::History;
use super::ice_servers::IceServerStore;
use super::memory::{self, Keeper};
use super::server_time::ServerTime;
use crate::audio::{Audio, AudioStartError, CardChoice, SoundBank, SoundError};
use crate::blackbox::Recorder;
use crate::config::Config;
use crate::core::{AudioEvent, By, MediaEvent, MediaId, Memory, ServerIndex, Station, Time};
use crate::gpio::{OutputPlayer, take_pins};
use crate::media::guard::DropCounters;
use crate::media::rtpdump::CallPacket;
use crate::media::{IceAddresses, MediaAdapter, MediaContext, MediaMeters, TurnContext, TurnFaults};
use crate::network;
use crate::reader::Verifier;
use crate::signaling::{Connector, Endpoint, TlsError, TokenStore};

/// The number of reports of one kind that can wait for the loop.
const QUEUE: usize = 256;
/// The number of results of one kind that can wait for the loop. Only one task at a time sends them.
const RESULTS: usize = 4;
/// The number of facts that a slow client of `callbox events` may be behind.
const EVENTS: usize = 512;
/// The number of packets that a slow client of `callbox dump --packets` may be behind.
const PACKETS: usize = 256;

pub struct StationOptions {
    pub config: Config,
    pub card: CardChoice,
    /// Addresses to gather candidates from, beside those of `media.bind`.
    pub extra_addresses: Vec<SocketAddr>,
    /// `$STATE_DIRECTORY` and `$RUNTIME_DIRECTORY`, if they are set.
    pub token_folders: Vec<PathBuf>,
    /// `$RUNTIME_DIRECTORY`, where calls are kept over a restart.
    pub memory_folder: Option<PathBuf>,
    /// `$STATE_DIRECTORY`, where the counts of wrong codes are kept over a power cut.
    pub state_folder: Option<PathBuf>,
    pub identifier: String,
}

/// Why a station cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A CA certificate or client certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A sound file cannot be used.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// The audio thread cannot be started.
    #[error(transparent)]
    Audio(#[from] AudioStartError),
    #[error("the system provides no random numbers: {0}")]
    Random(String),
}

/// A station that runs until it is stopped.
pub struct RunningStation {
    pub handle: StationHandle,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl RunningStation {
    /// Starts the adapters and the loop.
    ///
    /// # Errors
    ///
    /// A file that the configuration names cannot be used, or the audio thread cannot be started.
    pub fn start(options: StationOptions) -> Result<Self, StartError> {
        let config = Arc::new(options.config.clone());
        let (asks, ask_queue) = mpsc::channel(QUEUE);
        let (pin_reports, pin_queue) = mpsc::channel(QUEUE);
        let handle = StationHandle {
            by: By::Station,
            asks,
            events: broadcast::channel(EVENTS).0,
            packets: broadcast::channel(PACKETS).0,
            pins: take_pins(&config, pin_reports),
            config: Arc::clone(&config),
        };
        let (event_loop, reports) = make_loop(options, config, &handle)?;
        let queues = Queues { reports, pins: pin_queue, asks: ask_queue };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(event_loop.run(queues, stopped));
        Ok(Self { handle, stop, task })
    }

    /// Hangs up, puts all outputs to rest, and ends the loop.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Makes the adapters, the core, and the queues of their reports.
fn make_loop(
    options: StationOptions,
    config: Arc<Config>,
    handle: &StationHandle,
) -> Result<(EventLoop, Reports), StartError> {
    let StationOptions { card, extra_addresses, token_folders, memory_folder, state_folder, identifier, .. } = options;
    let connector = Connector::to_core(&config.core)?;
    let sounds = SoundBank::new(config.audio.rate_hz, &config.sounds, &config.prompts)?;
    let Channels { results, audio, media, addresses, reports } = Channels::new();
    let card = Arc::new(Audio::start(&config.audio, sounds, card, audio)?);
    let ice_servers = IceServerStore::new(&config.media.ice_servers);
    let shared = Shared::new(&config, handle, &ice_servers)?;
    let (dropped, turn_faults) = (Arc::clone(&shared.dropped), Arc::clone(&shared.turn.faults));
    let media_meters = Arc::clone(&shared.meters);
    let context = media_context(&config, extra_addresses, &card, shared);
    let network_watcher = network::watch(addresses).map_err(|error| tracing::warn!(%error, "network")).ok();
    crate::reader::start(&config, &results.readers);
    let clock = Clock::new();
    let recalled = memory::recall(memory_folder.as_deref(), state_folder.as_deref(), clock.now().at);
    let station = recalled_station(&config, recalled.clone(), clock)?;
    let endpoint = |url: &url::Url| Endpoint::new(url.clone(), config.core.tenant.clone());
    let event_loop = EventLoop {
        endpoints: config.core.urls.iter().map(endpoint).collect(),
        server: ServerIndex(0),
        keeper: Keeper::new(memory_folder, state_folder, clock, &recalled),
        network_watcher,
        connector,
        tokens: Arc::new(TokenStore::new(config.core.credentials.clone(), token_folders)),
        ice_servers,
        identifier,
        clock,
        server_time: ServerTime::default(),
        station,
        audio: card,
        media: MediaAdapter::new(context, media),
        dropped,
        turn_faults,
        pins: Arc::clone(&handle.pins),
        player: OutputPlayer::new(Arc::clone(&handle.pins), config.outputs.len()),
        socket: None,
        generation: 0,
        replies: Vec::new(),
        next_command: 0,
        events: handle.events.clone(),
        results,
        verifier: Verifier::new(&config),
        recorder: Recorder::default(),
        history: History::default(),
        counter: FactCounter::default(),
        media_meters,
        interfaces: BTreeMap::new(),
        happened: Time(0),
        told_summary: String::new(),
        config,
    };
    Ok((event_loop, reports))
}

/// A station that knows what the previous process remembered.
fn recalled_station(config: &Arc<Config>, recalled: Memory, clock: Clock) -> Result<Station, StartError> {
    let transaction_seed = wall_clock_ms().saturating_mul(1000);
    let mut station = Station::new(Arc::clone(config), seed()?, transaction_seed, clock.now());
    station.recall(recalled);
    Ok(station)
}

/// The queues of all reports, with their senders.
struct Channels {
    results: Results,
    audio: mpsc::Sender<AudioEvent>,
    media: mpsc::Sender<(MediaId, MediaEvent)>,
    addresses: mpsc::Sender<Vec<IpAddr>>,
    reports: Reports,
}

impl Channels {
    fn new() -> Self {
        let (sockets, socket_reports) = mpsc::channel(QUEUE);
        let (tokens, token_results) = mpsc::channel(RESULTS);
        let (ice_servers, ice_server_answers) = mpsc::channel(RESULTS);
        let (probes, probe_results) = mpsc::channel(RESULTS);
        let (readers, reader_inputs) = mpsc::channel(QUEUE);
        let (audio, audio_events) = mpsc::channel(QUEUE);
        let (media, media_events) = mpsc::channel(QUEUE);
        let (addresses, address_changes) = mpsc::channel(RESULTS);
        let reports = Reports {
            sockets: socket_reports,
            tokens: token_results,
            ice_servers: ice_server_answers,
            addresses: address_changes,
            probes: probe_results,
            media: media_events,
            audio: audio_events,
            readers: reader_inputs,
        };
        Self { results: Results { sockets, tokens, ice_servers, probes, readers }, audio, media, addresses, reports }
    }
}

/// What peer connections share with the rest of the station.
struct Shared {
    turn: TurnContext,
    ice_servers: watch::Receiver<Arc<IceAddresses>>,
    dropped: Arc<DropCounters>,
    meters: Arc<MediaMeters>,
    packets: broadcast::Sender<CallPacket>,
}

impl Shared {
    fn new(config: &Config, handle: &StationHandle, ice_servers: &IceServerStore) -> Result<Self, TlsError> {
        let connector = Connector::to_turn(&config.core)?;
        Ok(Self {
            turn: TurnContext { connector, faults: Arc::new(TurnFaults::default()) },
            ice_servers: ice_servers.addresses(),
            dropped: Arc::new(DropCounters::default()),
            meters: Arc::new(MediaMeters::default()),
            packets: handle.packets.clone(),
        })
    }
}

fn media_context(config: &Config, extra_addresses: Vec<SocketAddr>, card: &Arc<Audio>, shared: Shared) -> MediaContext {
    let attached = Arc::clone(card);
    let Shared { turn, ice_servers, dropped, meters, packets } = shared;
    MediaContext {
        config: config.media.clone(),
        ice_servers,
        turn,
        extra_addresses,
        rate_hz: config.audio.rate_hz,
        in_band: config.dtmf.iter().any(|rule| rule.in_band),
        dropped,
        meters,
        packets,
        attach: Box::new(move |media, sound| attached.attach(media, sound)),
    }
}

fn seed() -> Result<u64, StartError> {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(|error| StartError::Random(error.to_string()))?;
    Ok(u64::from_ne_bytes(bytes))
}
