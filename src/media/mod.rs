//! One peer connection per call: SDP, ICE, codecs, jitter buffer, DTMF.
//!
//! [`MediaAdapter`] passes the core's `MediaCommand`s to one task per call, and these tasks send `MediaEvent`s back.
//! The sound of a call goes through a [`crate::sound::CallSound`], which the audio thread drives.

mod authentic;
mod call_sound;
mod conceal;
mod decode;
mod g711;
pub mod guard;
mod guarded_socket;
mod ice_addresses;
mod identity;
mod library;
mod meters;
pub mod offline;
mod packets;
mod peer;
mod peer_events;
pub mod probe;
mod reader;
mod receive;
mod relay_flush;
mod repeats;
mod reports;
pub mod rtpdump;
mod sdp;
mod send;
mod tap;
mod target_delay;
mod task;
mod telephone_events;
mod transmit;
mod turn;
mod wire_types;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, watch};

use crate::config::MediaConfig;
use crate::core::{MediaCommand, MediaEvent, MediaId};
use crate::sound::CallSound;

use rtpdump::CallPacket;

pub use ice_addresses::{IceAddresses, keep_resolved};
pub(crate) use library::OPUS_TYPE;
pub use meters::MediaMeters;
pub use receive::ReceiveCounters;
pub use sdp::DescriptionError;
pub use turn::{TurnContext, TurnFaults};

/// Number of commands that can wait for a call's task.
const COMMANDS: usize = 64;

/// Why the media of a call cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// An operation of the WebRTC library failed. The library's own message is in the log, at level debug.
    #[error("the WebRTC library could not {0}")]
    Library(&'static str),
    #[error("the {0} could not be created; there may be too little memory")]
    Codec(&'static str),
    #[error(transparent)]
    Description(#[from] sdp::DescriptionError),
    /// The far end's DTLS certificate has changed, and a peer connection cannot follow it to another one (RFC 8842,
    /// section 3.1).
    #[error("the far end answered with another DTLS certificate, so it is another endpoint")]
    AnotherEndpoint,
    /// An operation of the operating system failed. Holds its error text.
    #[error("{0}")]
    System(String),
}

impl MediaError {
    fn codec(what: &'static str) -> impl Fn(opus::Error) -> Self {
        move |error| {
            tracing::debug!(%error, "the {what} could not be created");
            Self::Codec(what)
        }
    }

    fn system(error: rustix::io::Errno) -> Self {
        Self::System(error.to_string())
    }

    /// The library's own message is meant for its authors, and may quote data from outside. So it goes only to the log
    /// (docs/workarounds.md, "webrtc: errors quote whole packets" and "libraries: error texts are for programmers").
    fn library<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| {
            let error = crate::plain_text::shortened(&error.to_string());
            tracing::debug!(error, "the WebRTC library could not {what}");
            Self::Library(what)
        }
    }
}

/// What the task of every call needs.
pub struct MediaContext {
    /// Codecs and addresses.
    pub config: MediaConfig,
    /// The STUN and TURN servers for the next peer connection.
    pub ice_servers: watch::Receiver<Arc<IceAddresses>>,
    /// What streams to TURN servers need.
    pub turn: TurnContext,
    /// Further addresses to gather candidates from: loopback for the sandbox.
    pub extra_addresses: Vec<SocketAddr>,
    /// Sample rate of the sound card.
    pub rate_hz: u32,
    /// Detect DTMF digits in the far end's sound.
    pub in_band: bool,
    /// Counts what the guard of each call drops.
    pub dropped: Arc<guard::DropCounters>,
    /// Counts what each call receives.
    pub meters: Arc<MediaMeters>,
    /// Gets the packets of the far end while somebody records them.
    pub packets: broadcast::Sender<CallPacket>,
    pub attach: Attach,
}

/// Hands a call's sound to the audio thread, or takes it back with `None`.
pub type Attach = Box<dyn Fn(MediaId, Option<Box<dyn CallSound>>) + Send + Sync>;

/// Passes media commands to the tasks of the calls.
pub struct MediaAdapter {
    context: Arc<MediaContext>,
    events: mpsc::Sender<(MediaId, MediaEvent)>,
    tasks: HashMap<MediaId, mpsc::Sender<MediaCommand>>,
}

impl MediaAdapter {
    /// Creates an adapter that reports to `events`.
    pub fn new(context: MediaContext, events: mpsc::Sender<(MediaId, MediaEvent)>) -> Self {
        Self { context: Arc::new(context), events, tasks: HashMap::new() }
    }

    /// Carries out a command. `Offer` and `Answer` create the peer connection if there is none.
    pub fn command(&mut self, media: MediaId, command: MediaCommand) {
        let making = matches!(command, MediaCommand::Offer | MediaCommand::Answer { .. });
        if making && !self.tasks.contains_key(&media) {
            let setup = match &command {
                MediaCommand::Answer { offer } => sdp::Remote::parse(offer).ok().and_then(|offer| offer.setup()),
                _ => None,
            };
            self.make(media, setup);
        }
        let closing = command == MediaCommand::Close;
        // A flood of candidates must not end the call: candidates that do not fit into the queue are dropped.
        let may_be_lost = matches!(command, MediaCommand::AddCandidate(_));
        let delivered = self.tasks.get(&media).is_some_and(|commands| commands.try_send(command).is_ok());
        if closing {
            // The task ends at this command, or when its sender is dropped.
            self.tasks.remove(&media);
        } else if !delivered && !may_be_lost && self.tasks.remove(&media).is_some() {
            let events = self.events.clone();
            tokio::spawn(async move {
                let failed = MediaEvent::Failed("the call's media task does not respond".into());
                let _ = events.send((media, failed)).await;
            });
        }
    }

    fn make(&mut self, media: MediaId, setup: Option<sdp::Setup>) {
        let (commands, queue) = mpsc::channel(COMMANDS);
        let context = Arc::clone(&self.context);
        // Each call has a certificate of its own: a different fingerprint tells the far end that this is another
        // endpoint.
        let identity = Arc::new(identity::Identity::default());
        let task = task::run(media, context, identity, queue, self.events.clone(), setup);
        tokio::spawn(task);
        self.tasks.insert(media, commands);
    }

    /// Number of peer connections that have not been closed.
    pub fn open_connections(&self) -> usize {
        self.tasks.len()
    }
}
