//! One peer connection a call: SDP, ICE, codecs, jitter buffer, DTMF.
//!
//! [`MediaAdapter`] carries the core's `MediaCommand`s to one task per call and brings back
//! `MediaEvent`s. The sound of a call leaves through a [`crate::sound::CallSound`], which the
//! audio thread drives.

mod authentic;
mod call_sound;
mod conceal;
mod decode;
mod delay;
mod dtmf;
mod g711;
pub mod guard;
mod guarded_socket;
pub mod offline;
mod packets;
mod peer;
mod receive;
mod repeats;
mod reports;
pub mod rtpdump;
mod sdp;
mod send;
mod tap;
mod task;
mod wire_types;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};

use crate::config::MediaConfig;
use crate::core::{MediaCommand, MediaEvent, MediaId};
use crate::sound::CallSound;

use rtpdump::CallPacket;

pub(crate) use peer::OPUS_TYPE;
pub use receive::ReceiveCounters;
pub use sdp::DescriptionError;

/// Commands that wait for a call's task.
const COMMANDS: usize = 64;

/// Why media cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The WebRTC library could not do something; its own words are in the log, at level debug.
    #[error("the WebRTC library could not {0}")]
    Library(&'static str),
    /// A codec could not be made.
    #[error("no {0} can be made here; there may be too little memory")]
    Codec(&'static str),
    /// The far end's description cannot be taken.
    #[error(transparent)]
    Description(#[from] sdp::DescriptionError),
    /// A peer connection cannot follow the far end to another DTLS certificate (RFC 8842, section 3.1).
    #[error("the far end answered as another endpoint")]
    AnotherEndpoint,
    /// The operating system refused something.
    #[error("{0}")]
    System(String),
}

impl MediaError {
    fn codec(what: &'static str) -> impl Fn(opus::Error) -> Self {
        move |error| {
            tracing::debug!(%error, "no {what}");
            Self::Codec(what)
        }
    }

    fn system(error: rustix::io::Errno) -> Self {
        Self::System(error.to_string())
    }

    /// What the library says is for its authors, and may quote what came from outside.
    fn library<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| {
            let error = crate::plain_text::shortened(&error.to_string());
            tracing::debug!(error, "the WebRTC library could not {what}");
            Self::Library(what)
        }
    }
}

/// What every call's task needs.
pub struct MediaContext {
    /// Codecs, addresses, STUN and TURN.
    pub config: MediaConfig,
    /// Further addresses to gather from: loopback for the sandbox.
    pub extra_addresses: Vec<SocketAddr>,
    /// The sound card's rate, samples per second.
    pub rate_hz: u32,
    /// Listen for digits in the far end's sound.
    pub in_band: bool,
    /// Counts what the guard of each call drops.
    pub dropped: Arc<guard::DropCounters>,
    /// Takes the packets of the far end while somebody records them.
    pub packets: broadcast::Sender<CallPacket>,
    /// The way to the audio thread.
    pub attach: Attach,
}

/// Gives a call's sound to the audio thread, or takes it back with `None`.
pub type Attach = Box<dyn Fn(MediaId, Option<Box<dyn CallSound>>) + Send + Sync>;

/// Carries media commands to the tasks of the calls.
pub struct MediaAdapter {
    context: Arc<MediaContext>,
    events: mpsc::Sender<(MediaId, MediaEvent)>,
    tasks: HashMap<MediaId, mpsc::Sender<MediaCommand>>,
}

impl MediaAdapter {
    /// An adapter that reports to `events`.
    pub fn new(context: MediaContext, events: mpsc::Sender<(MediaId, MediaEvent)>) -> Self {
        Self { context: Arc::new(context), events, tasks: HashMap::new() }
    }

    /// Carries out a command. `Offer` and `Answer` make the peer connection.
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
        // A flood of candidates must not end the call: those that find no room are dropped.
        let may_be_lost = matches!(command, MediaCommand::AddCandidate(_));
        let delivered = self.tasks.get(&media).is_some_and(|commands| commands.try_send(command).is_ok());
        if closing {
            // The task ends at the command, or when its sender drops.
            self.tasks.remove(&media);
        } else if !delivered && !may_be_lost && self.tasks.remove(&media).is_some() {
            let events = self.events.clone();
            tokio::spawn(async move {
                let failed = MediaEvent::Failed("the call's media stands still".into());
                let _ = events.send((media, failed)).await;
            });
        }
    }

    fn make(&mut self, media: MediaId, setup: Option<sdp::Setup>) {
        let (commands, queue) = mpsc::channel(COMMANDS);
        let context = Arc::clone(&self.context);
        // A certificate of its own each: another fingerprint tells the far end that this is another endpoint.
        let identity = Arc::new(peer::Identity::default());
        let task = task::run(media, context, identity, queue, self.events.clone(), setup);
        tokio::spawn(task);
        self.tasks.insert(media, commands);
    }

    /// Peer connections that have not been closed.
    pub fn open_connections(&self) -> usize {
        self.tasks.len()
    }
}
