//! What the core asks of the adapters.

use serde::{Deserialize, Serialize};

use super::command::{CommandId, Done, Refusal};
use super::fact::Fact;
use super::memory::Memory;
use crate::config::{CallMode, Drive, OutputIndex, Sound};
use crate::mutant::{Mutant, mutant};
use crate::signaling::{Candidate, ClientMessage};

/// One thing to do. Whoever drives the core drains them, in order, before the next input.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Open the session's WebSocket; answered by `SocketEvent::Opened` or `Failed`.
    Connect {
        /// Which server.
        server: ServerIndex,
        /// Take the session over from another connection.
        force: bool,
    },
    /// Close the socket, if it is open. Nothing of that socket is an input afterwards.
    Disconnect {
        /// Close code to tell the server.
        code: u16,
    },
    /// Send one message on the open socket.
    Send(ClientMessage),
    /// Ask a server whether it is there; answered by `Input::Probed`.
    Probe(ServerIndex),
    /// What must outlive this process, in place of what it remembered before.
    Remember(Memory),
    /// The token that was used last is dead: another one, where there is one, is used from now on.
    TokenRefused,
    /// Get a new token by the session API; answered by `Input::Token`.
    ObtainToken,
    /// Act on a peer connection.
    Media(MediaId, MediaCommand),
    /// What is heard where, from now on.
    Scene(Scene),
    /// Play a sound once, over whatever the scene says.
    Play {
        /// Which.
        sound: Sound,
        /// Also into every call that is up.
        to_calls: bool,
    },
    /// Drive an output.
    Drive(OutputIndex, Drive),
    /// Answer a command.
    Reply(CommandId, Result<Done, Refusal>),
    /// Something happened that people and programs may want to know.
    Fact(Fact),
}

/// A server by its place in `core.url`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServerIndex(pub usize);

/// Names a peer connection; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MediaId(pub u32);

/// What to do with a peer connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaCommand {
    /// Make it where there is none, and an offer; answered by `LocalOffer`, then candidates.
    Offer,
    /// Make it with this remote offer; answered by `LocalAnswer` or `Refused`.
    Answer {
        /// The far end's SDP.
        offer: String,
    },
    /// Apply the far end's answer to our offer; ignored in any other state.
    ApplyAnswer {
        /// The far end's SDP.
        answer: String,
    },
    /// Answer a re-offer; answered by `LocalAnswer` or `Refused`. Rolls an offer of our own back.
    AnswerUpdate {
        /// The far end's SDP.
        offer: String,
    },
    /// A candidate of the far end.
    AddCandidate(Candidate),
    /// Offer again with new ICE credentials; answered by `LocalOffer`.
    RestartIce,
    /// Send digits as RFC 4733 events.
    SendDigits(String),
    /// Close it and forget it. The id is dead.
    Close,
}

/// The whole of what is heard where: a function of the station's state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scene {
    /// The calls that carry sound, in order of their lines.
    pub calls: Vec<SceneCall>,
    /// Calls hear each other.
    pub mixed: bool,
    /// A sound that repeats until the scene changes.
    pub tone: Option<Sound>,
    /// Loudspeaker, 0 to 100.
    pub volume: u8,
    /// The microphone is silent everywhere.
    pub muted: bool,
}

/// One call in the scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SceneCall {
    /// Its peer connection.
    pub media: MediaId,
    /// The microphone goes into it.
    pub microphone: bool,
    /// It is heard at the loudspeaker.
    pub loudspeaker: bool,
}

impl SceneCall {
    /// A call that is up, in this mode.
    pub fn established(media: MediaId, mode: CallMode) -> Self {
        Self {
            media,
            microphone: mode != CallMode::Announce || mutant(Mutant::MicrophoneInAnnouncement),
            loudspeaker: mode != CallMode::Listen,
        }
    }
}
