//! The inputs of the core.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::by::By;
use super::command::Command;
use super::ice_servers::IceServersAnswer;
use super::id::{CommandId, MediaId};
use super::microphone_fault::MicrophoneFault;
use crate::config::{ButtonIndex, CodeIndex, OutputIndex, ReaderIndex, SensorIndex};
use crate::secret::{DtmfDigit, Sdp};
use crate::signaling::{Candidate, SocketEvent};

/// One thing that happened outside the core. [`crate::core::Station::handle`] takes it together with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A deadline of [`crate::core::Station::next_deadline`] has come.
    Tick,
    /// A pin changed its level.
    Edge {
        pin: Pin,
        /// The new level, after `active` of the configuration has been applied.
        active: bool,
    },
    /// A pin was opened, at the start or again, and this is its level. It is not an edge: nobody has pressed now.
    Level {
        pin: Pin,
        /// The level, after `active` of the configuration has been applied.
        active: bool,
        /// The kernel debounces its edges by the configured time.
        debounced: bool,
    },
    /// A pin cannot be used, or can be used again. The adapter keeps trying.
    PinFault {
        pin: AnyPin,
        /// What is wrong, as a message for people; `None` if the pin works again.
        fault: Option<String>,
    },
    /// Somebody gives a command; answered by one `Effect::Reply`.
    Command(CommandId, By, Command),
    /// The session's WebSocket reports something.
    Socket(SocketEvent),
    /// What the server says about our clock.
    ServerTime {
        /// By how much the server's clock is ahead of ours.
        ahead_ms: i64,
    },
    /// The session API's answer to `Effect::ObtainToken`.
    Token(Result<(), TokenError>),
    /// The answer to `Effect::ObtainIceServers`.
    IceServers(IceServersAnswer),
    /// A key of a reader was pressed.
    Key { reader: ReaderIndex, key: ReaderKey },
    /// A reader cannot be used, or can be used again. The adapter keeps trying.
    Reader {
        reader: ReaderIndex,
        /// What is wrong, as a message for people; `None` if it works.
        fault: Option<String>,
    },
    /// The answer to `Effect::CheckCode`: the codes that are these.
    CodeChecked { check: u32, matched: Vec<CodeIndex> },
    /// A peer connection reports something.
    Media(MediaId, MediaEvent),
    /// The sound card reports something.
    Audio(AudioEvent),
    /// The usable addresses of the machine, including loopback. They are sent at the start, and whenever an address, a
    /// link or a route changes.
    Addresses(Vec<IpAddr>),
    /// Whether the server answered `Effect::Probe`.
    Probed { answered: bool },
    /// The daemon is about to stop: hang up all calls, and switch off all outputs.
    Shutdown,
}

/// A key of a reader, whatever its keymap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaderKey {
    /// `0` to `9`, or a letter of a card number.
    Symbol(DtmfDigit),
    /// `#`, or Enter: what was typed is whole.
    Enter,
    /// `*`, or a key that deletes: what was typed is forgotten.
    Clear,
}

/// An input pin, by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pin {
    /// The n-th `[[button]]`.
    Button(ButtonIndex),
    /// The n-th `[[sensor]]`.
    Sensor(SensorIndex),
}

/// An input or output pin, by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AnyPin {
    /// A button or a sensor.
    Input(Pin),
    /// The n-th `[[output]]`.
    Output(OutputIndex),
}

/// Why there is no new token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenError {
    /// The configuration has nothing to log in with.
    NotConfigured,
    /// The server refused the login.
    Refused(String),
    /// There was no usable answer of the server.
    Failed(String),
    /// The server's certificate is not valid yet, by our clock.
    NotYetValid(String),
}

/// What a peer connection reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaEvent {
    /// Our offer is ready.
    LocalOffer {
        /// The SDP to send.
        sdp: Sdp,
    },
    /// Our answer is ready.
    LocalAnswer {
        /// The SDP to send.
        sdp: Sdp,
        /// The far end will send no sound from now on.
        far_end_holds: bool,
    },
    /// A candidate of ours.
    LocalCandidate(Candidate),
    /// All candidates of ours have been reported.
    CandidatesComplete,
    /// ICE and DTLS are up.
    Connected,
    /// Nothing at all has come from the far end for 2 s: no RTP, no RTCP, no consent.
    Disconnected,
    /// DTLS is over: the far end has closed it, or the handshake failed. No media pass any more.
    Closed,
    /// Sound has arrived since the last event of this kind. The first sound is reported at once; after that there is
    /// at most one such event per second.
    Received,
    /// A digit of the far end arrived as a telephone event (RFC 4733).
    Digit(DtmfDigit),
    /// A digit was heard in the far end's sound.
    Tone(DtmfDigit),
    /// Both descriptions are known: sound can flow as soon as ICE and DTLS are up.
    Negotiated {
        /// Digits can be sent and received as telephone events (RFC 4733).
        telephone_events: bool,
    },
    /// This many more candidates of the far end cannot be used and were left out.
    UnusableCandidates(u32),
    /// A description of the far end cannot be used. The peer connection stays as it was.
    Refused {
        /// SIP status code (RFC 3261, section 21.4).
        code: i64,
        /// Why, as a message for people.
        message: String,
    },
    /// The peer connection cannot go on. The text is a message for people.
    Failed(String),
}

/// What the sound card reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AudioEvent {
    /// Capture and playback run.
    Ready,
    /// The card cannot be used. The adapter keeps trying. The text is a message for people.
    Fault(String),
    /// The microphone does not deliver what it hears; `None` if it does so again.
    Microphone(Option<MicrophoneFault>),
}
