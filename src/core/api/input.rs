//! What the core is told.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::by::By;
use super::command::{Command, CommandId};
use super::effect::MediaId;
use crate::config::{ButtonIndex, OutputIndex, SensorIndex};
use crate::signaling::{Candidate, SocketEvent};

/// One thing that happened, told together with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A deadline of [`super::Station::next_deadline`] has come.
    Tick,
    /// A pin changed its level.
    Edge {
        /// Which.
        pin: Pin,
        /// The new level, after `active` has been applied.
        active: bool,
    },
    /// A pin was opened, at the start or again, and this is its level: nobody's edge.
    Level {
        /// Which.
        pin: Pin,
        /// The level, after `active` has been applied.
        active: bool,
        /// The kernel debounces its edges by the configured time.
        debounced: bool,
    },
    /// A pin cannot be used, or can be again; retried by the adapter.
    PinFault {
        /// Which.
        pin: AnyPin,
        /// What is wrong, in words.
        fault: Option<String>,
    },
    /// Somebody asks for something; answered by one `Effect::Reply`.
    Command(CommandId, By, Command),
    /// The session's WebSocket.
    Socket(SocketEvent),
    /// The session API's answer to `Effect::ObtainToken`.
    Token(Result<(), TokenError>),
    /// A peer connection.
    Media(MediaId, MediaEvent),
    /// The sound card.
    Audio(AudioEvent),
    /// The usable addresses of the machine, loopback included: at the start and at every change of
    /// address, link or route.
    Addresses(Vec<IpAddr>),
    /// Whether a server answered `Effect::Probe`.
    Probed {
        /// It did.
        answered: bool,
    },
    /// The daemon is about to end: hang up everything, outputs to rest.
    Shutdown,
}

/// An input pin by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pin {
    /// The n-th `[[button]]`.
    Button(ButtonIndex),
    /// The n-th `[[sensor]]`.
    Sensor(SensorIndex),
}

/// A pin by its place in the configuration, input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AnyPin {
    /// A button or a sensor.
    Input(Pin),
    /// The n-th `[[output]]`.
    Output(OutputIndex),
}

/// Why no token could be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenError {
    /// The configuration has nothing to log in with.
    NotConfigured,
    /// The server refused the login.
    Refused(String),
    /// The server could not be asked.
    Failed(String),
    /// The server's certificate is not valid yet, by our clock.
    NotYetValid(String),
}

/// What a peer connection did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaEvent {
    /// Our offer is made.
    LocalOffer {
        /// The SDP to send.
        sdp: String,
    },
    /// Our answer is made.
    LocalAnswer {
        /// The SDP to send.
        sdp: String,
        /// The far end sends nothing from now on.
        far_end_holds: bool,
    },
    /// A candidate of ours.
    LocalCandidate(Candidate),
    /// All candidates of ours have been told.
    CandidatesComplete,
    /// ICE and DTLS are up.
    Connected,
    /// Nothing at all has come from the far end for 2 s: no RTP, no RTCP, no consent.
    Disconnected,
    /// DTLS is over: the far end has closed it, or the handshake failed. Nothing passes any more.
    Closed,
    /// Sound has come since the last of these: the first at once, then at most one a second.
    Received,
    /// The far end pressed a key (RFC 4733).
    Digit(char),
    /// A digit in the far end's sound.
    Tone(char),
    /// Both descriptions are there: sound can flow as soon as ICE and DTLS are up.
    Negotiated {
        /// Digits come and go as telephone events (RFC 4733).
        telephone_events: bool,
    },
    /// So many further candidates of the far end cannot be used and were left out.
    UnusableCandidates(u32),
    /// A description of the far end cannot be taken; the connection is as it was before.
    Refused {
        /// SIP status code (RFC 3261, section 21.4).
        code: i64,
        /// In words.
        words: String,
    },
    /// It cannot go on.
    Failed(String),
}

/// What the sound card did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AudioEvent {
    /// Capture and playback run.
    Ready,
    /// It cannot be used; retried by the adapter.
    Fault(String),
    /// The microphone gives something, but not what it hears; `None` when it does again.
    Microphone(Option<MicrophoneFault>),
}

/// What a microphone gives in place of what it hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MicrophoneFault {
    /// The same sample for 5 s.
    Silent,
    /// Full scale for 5 s.
    Overdriven,
    /// Frames faster or slower than the rate that it says it has.
    WrongRate,
}

impl std::fmt::Display for MicrophoneFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Silent => "the microphone gives nothing at all; it may be unplugged, or off in the card's mixer",
            Self::Overdriven => "the microphone is overdriven; lower audio.capture_gain_db",
            Self::WrongRate => "the card runs at another rate than it says; try plughw: in place of hw:",
        })
    }
}
