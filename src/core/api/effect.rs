//! What the core asks of the adapters.

use serde::{Deserialize, Serialize};

use super::command::{Done, Refusal};
use super::fact::Fact;
use super::id::{CommandId, MediaId, ServerIndex};
use super::memory::Memory;
use crate::config::{CallMode, CodeIndex, Drive, OutputIndex, PlayTo, Playable, Sound};
use crate::mutant::{Mutant, mutant};
use crate::secret::{DoorCode, Sdp};
use crate::signaling::{Candidate, ClientMessage};

/// One thing that the core asks an adapter to do. The driver of the core drains all effects, in order, before the next
/// input.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Open the session's WebSocket; answered by `SocketEvent::Opened` or `Failed`.
    Connect {
        server: ServerIndex,
        /// Take the session over from another connection.
        force: bool,
    },
    /// Close the socket, if it is open. Nothing that this socket reports afterwards may become an input.
    Disconnect {
        /// The close code that the server gets.
        code: u16,
    },
    /// Send one message on the open socket.
    Send(ClientMessage),
    /// Find out whether a server answers. The result is `Input::Probed`.
    Probe(ServerIndex),
    /// Store what must outlive this process, in place of what was stored before.
    Remember(Memory),
    /// The server refused the token that was used last. If there is another one, use that from now on.
    TokenRefused,
    /// Get a new token by the session API; answered by `Input::Token`.
    ObtainToken,
    /// Ask the server for its STUN and TURN servers, and use them for each new peer connection; answered by
    /// `Input::IceServers`.
    ObtainIceServers,
    /// Act on a peer connection.
    Media(MediaId, MediaCommand),
    /// Make this scene heard from now on.
    Scene(Scene),
    /// Play a sound once, in addition to the scene.
    Play {
        sound: Sound,
        /// The sound is also played into every call that is up.
        to_calls: bool,
    },
    /// Find out which of these codes somebody has typed; answered by `Input::CodeChecked`.
    CheckCode { check: u32, typed: DoorCode, codes: Vec<CodeIndex> },
    /// Play this after the announcement that is being played; `None` ends that one, and the one that waits.
    Announce(Option<(Playable, PlayTo)>),
    /// Drive an output.
    Drive(OutputIndex, Drive),
    /// Answer a command.
    Reply(CommandId, Result<Done, Refusal>),
    /// Report this to people and programs.
    Fact(Fact),
}

/// What to do with a peer connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaCommand {
    /// Make an offer, and first the peer connection if there is none; answered by `LocalOffer`, then candidates.
    Offer,
    /// Make the peer connection with this offer of the far end; answered by `LocalAnswer` or `Refused`.
    Answer {
        /// The far end's SDP.
        offer: Sdp,
    },
    /// Apply the far end's answer to our offer; ignored in any other state.
    ApplyAnswer {
        /// The far end's SDP.
        answer: Sdp,
    },
    /// Answer a re-offer of the far end, and roll back an offer of our own; answered by `LocalAnswer` or `Refused`.
    AnswerUpdate {
        /// The far end's SDP.
        offer: Sdp,
    },
    /// Add a candidate of the far end.
    AddCandidate(Candidate),
    /// Offer again with new ICE credentials; answered by `LocalOffer`.
    RestartIce,
    /// Send digits as RFC 4733 events.
    SendDigits(DoorCode),
    /// Close the peer connection and forget it. Its id is never used again.
    Close,
}

/// All that is heard, and where.
///
/// The core derives the scene from its state after every input. So nobody can forget to close a microphone or to stop a
/// ringback tone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scene {
    /// The calls that carry sound, in order of their lines.
    pub calls: Vec<SceneCall>,
    /// The calls hear each other.
    pub mixed: bool,
    /// A sound that repeats at the loudspeaker until the scene changes.
    pub tone: Option<Sound>,
    /// The volume of the loudspeaker, from 0 to 100.
    pub volume: u8,
    /// The microphone is silent in all calls.
    pub muted: bool,
}

/// One call in the scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SceneCall {
    pub media: MediaId,
    /// The far end hears the microphone.
    pub microphone: bool,
    /// The far end is heard at the loudspeaker.
    pub loudspeaker: bool,
}

impl SceneCall {
    /// The sound of a call that is up and has this mode.
    pub fn established(media: MediaId, mode: CallMode) -> Self {
        Self {
            media,
            microphone: mode != CallMode::Announce || mutant(Mutant::MicrophoneInAnnouncement),
            loudspeaker: mode != CallMode::Listen,
        }
    }
}
