//! The parts of the configuration, one type per table.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::action::{Action, Trigger};
use super::hours::Hours;
use super::number::NumberPattern;
use super::pcm_name::PcmName;

/// A whole, valid configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `[core]`
    pub core: CoreConfig,
    /// `[media]`
    pub media: MediaConfig,
    /// `[audio]`
    pub audio: AudioConfig,
    /// `[gpio]`
    pub gpio: GpioConfig,
    /// `[[button]]`
    pub buttons: Vec<Button>,
    /// `[[sensor]]`
    pub sensors: Vec<Sensor>,
    /// `[[output]]`
    pub outputs: Vec<OutputPin>,
    /// `[sounds]`
    pub sounds: Vec<(Sound, PathBuf)>,
    /// `[[answer]]`
    pub answers: Vec<AnswerRule>,
    /// `[[dtmf]]`
    pub dtmf: Vec<DtmfRule>,
    /// `[access]`
    pub access: AccessConfig,
    /// `[calls]`
    pub calls: CallsConfig,
    /// `[control]`
    pub control: ControlConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// The session with the core server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoreConfig {
    /// Base addresses, scheme http or https, in order of preference; at least one.
    pub urls: Vec<Url>,
    /// Adds `/tenant/NAME`.
    pub tenant: Option<String>,
    /// Where the token comes from.
    pub credentials: Credentials,
    /// A private CA in place of the platform's roots.
    pub ca_file: Option<PathBuf>,
    /// SIP domains of the account: callers of these are known by their number alone. As they are compared.
    pub sip_domains: Vec<String>,
    /// Mutual TLS: certificate chain and key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// What to do when another client takes our session over.
    pub takeover: Takeover,
    /// Stable device id; made from the machine where absent.
    pub identifier: Option<String>,
    /// How many of the session's lines to use.
    pub lines: u32,
}

/// Where the session token comes from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credentials {
    /// In the configuration (lab).
    Token(String),
    /// In a file.
    TokenFile(PathBuf),
    /// Log in by name and password.
    Login {
        /// User name.
        login: String,
        /// File with the password.
        password_file: PathBuf,
    },
    /// Provisioned by a one-time token in a file.
    ConfigTokenFile(PathBuf),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Token(_) => "Token(…)",
            Self::TokenFile(_) => "TokenFile",
            Self::Login { .. } => "Login",
            Self::ConfigTokenFile(_) => "ConfigTokenFile",
        })
    }
}

/// `core.takeover`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Takeover {
    /// Wait, and try without force.
    Never,
    /// Force once an hour.
    Once,
    /// Force at most 3 times in 10 minutes.
    Always,
}

/// `[media]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MediaConfig {
    /// Addresses to gather candidates from; every usable one where empty.
    pub bind: Vec<IpAddr>,
    /// Preference order.
    pub codecs: Vec<Codec>,
    /// STUN and TURN.
    pub ice_servers: Vec<IceServer>,
}

/// A speech codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// RFC 6716
    Opus,
    /// G.711 A-law
    Pcma,
    /// G.711 µ-law
    Pcmu,
}

impl Codec {
    /// All of them, in the default order of preference.
    pub const ALL: [Codec; 3] = [Self::Opus, Self::Pcma, Self::Pcmu];

    /// Its name in `media.codecs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcma => "pcma",
            Self::Pcmu => "pcmu",
        }
    }
}

/// A STUN or TURN server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:` or `turn:` addresses.
    pub urls: Vec<String>,
    /// TURN user name.
    pub username: String,
    /// TURN password, read from `credential_file`.
    pub credential: String,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// What `audio.capture_gain_db` may be.
pub const CAPTURE_GAIN_DB: (i32, i32) = (-40, 40);

/// `[audio]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioConfig {
    /// The microphone's device.
    pub capture: PcmName,
    /// The loudspeaker's device.
    pub playback: PcmName,
    /// 48000 or 16000, samples per second.
    pub rate_hz: u32,
    /// Milliseconds per period; 10.
    pub period_ms: u32,
    /// Echo canceller.
    pub echo: Echo,
    /// Noise suppression on the capture path.
    pub noise_suppression: bool,
    /// Automatic gain on the capture path.
    pub gain_control: bool,
    /// Fixed gain on the capture path, within [`CAPTURE_GAIN_DB`].
    pub capture_gain_db: i32,
    /// Loudspeaker at start, 0 to 100.
    pub volume: u8,
}

/// `audio.echo`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Echo {
    /// The canceller.
    Full,
    /// One talks, the other listens.
    HalfDuplex,
    /// No processing.
    Off,
}

/// `[gpio]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpioConfig {
    /// Where the pins are.
    pub backend: GpioBackend,
    /// `chip`: name, label or path; `gpiochip0` where absent.
    pub chip: Option<String>,
}

/// `gpio.backend`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GpioBackend {
    /// The character device, and on a Raspberry Pi the chip behind its header, whatever its number.
    Auto,
    /// The Linux GPIO character device.
    Cdev,
    /// A Raspberry Pi's registers.
    Rppal,
    /// Pins in memory, driven by commands and the front panel.
    Simulated,
}

/// A pin by offset or by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PinName {
    /// Offset on the chip, the BCM number on a Raspberry Pi.
    Offset(u32),
    /// Line name.
    Name(String),
}

/// `active`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Active {
    /// Pressed, or on, when the pin is low.
    Low,
    /// Pressed, or on, when the pin is high.
    High,
}

/// `pull`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pull {
    /// To the supply.
    Up,
    /// To ground.
    Down,
    /// None.
    Off,
}

/// Electrical side of an input pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPin {
    /// Which.
    pub pin: PinName,
    /// Polarity.
    pub active: Active,
    /// Bias.
    pub pull: Pull,
    /// A level counts once it has lasted so long.
    pub debounce: Duration,
    /// `min_pulse_ms`: a press, or an opening, that is shorter is a spike on the wire.
    pub min_pulse: Duration,
}

/// `[[button]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Button {
    /// Unique among buttons.
    pub name: String,
    /// Its pin.
    pub input: InputPin,
    /// `press`
    pub press: Trigger,
    /// `long_press`; a press counts on release where it is set.
    pub long_press: Option<Trigger>,
    /// `long_ms`
    pub long: Duration,
    /// `double_press`; a press counts after `double_ms` where it is set.
    pub double_press: Option<Trigger>,
    /// `double_ms`
    pub double: Duration,
    /// A press while its own call is up.
    pub again: Again,
}

impl Button {
    /// Whether any gesture at it, at any hour, calls this number.
    pub fn calls(&self, number: &str) -> bool {
        let triggers = [Some(&self.press), self.long_press.as_ref(), self.double_press.as_ref()];
        let mut steps = triggers.into_iter().flatten().flat_map(|trigger| &trigger.rules).flat_map(|rule| &rule.steps);
        steps.any(
            |step| matches!(&step.action, Action::Call(call) if call.numbers.iter().any(|called| called == number)),
        )
    }
}

/// `again`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Again {
    /// Give the sign again.
    Ignore,
    /// Hang up.
    Hangup,
}

/// `[[sensor]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensor {
    /// Unique among sensors.
    pub name: String,
    /// Its pin.
    pub input: InputPin,
    /// On the edge to active.
    pub opened: Trigger,
    /// On the edge back.
    pub closed: Trigger,
}

/// The place of an output in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutputIndex(pub usize);

/// `[[output]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputPin {
    /// Unique among outputs.
    pub name: String,
    /// Its pin.
    pub pin: PinName,
    /// Polarity.
    pub active: Active,
    /// Relay or LED.
    pub kind: OutputKind,
    /// Outputs that share this word are never on together: the two doors of a lock, a gate's open and close.
    pub exclusive: Option<String>,
}

impl OutputPin {
    /// Whether one of the two must be off while the other one is on.
    pub fn excludes(&self, other: &Self) -> bool {
        let names = |one: &Self, other: &Self| one.exclusive.as_ref().is_some_and(|word| *word == other.name);
        let share = self.exclusive.is_some() && self.exclusive == other.exclusive;
        share || names(self, other) || names(other, self)
    }
}

/// What hangs on an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OutputKind {
    /// A strike, a gate, a light.
    Relay {
        /// Never on for longer, whatever asks.
        max_on: Duration,
    },
    /// A lamp that shows the station's state.
    Led {
        /// State and pattern.
        show: Vec<(ShownState, crate::core::Drive)>,
    },
}

/// States that a LED can show, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ShownState {
    /// A relay is on.
    DoorOpen,
    /// A call is established.
    Talking,
    /// A call is being set up, either way.
    Calling,
    /// No session, or no sound card.
    Fault,
    /// All is well.
    Ready,
}

/// Sounds of the station.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sound {
    /// The far end rings.
    Ringback,
    /// The far end, or every line, is busy.
    Busy,
    /// The far end does not want.
    Refused,
    /// It rang, and nobody came.
    NoAnswer,
    /// The far end is off, or cannot be reached.
    NotReachable,
    /// There is no such number.
    NotFound,
    /// The call cannot go out, or failed.
    NoConnection,
    /// The press was heard.
    Connecting,
    /// The call is up.
    Answer,
    /// Talk time ends soon.
    TalkWarning,
    /// The door is open.
    DoorOpen,
    /// Somebody calls the station and nobody has answered yet.
    Ring,
}

impl Sound {
    /// All of them.
    pub const ALL: [Sound; 12] = [
        Self::Ringback,
        Self::Busy,
        Self::Refused,
        Self::NoAnswer,
        Self::NotReachable,
        Self::NotFound,
        Self::NoConnection,
        Self::Connecting,
        Self::Answer,
        Self::TalkWarning,
        Self::DoorOpen,
        Self::Ring,
    ];

    /// Its key under `[sounds]`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringback => "ringback",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::NoAnswer => "no_answer",
            Self::NotReachable => "not_reachable",
            Self::NotFound => "not_found",
            Self::NoConnection => "no_connection",
            Self::Connecting => "connecting",
            Self::Answer => "answer",
            Self::TalkWarning => "talk_warning",
            Self::DoorOpen => "door_open",
            Self::Ring => "ring",
        }
    }
}

impl AnswerRule {
    /// Whether it is for this caller, at any hour.
    pub fn is_for(&self, number: &str) -> bool {
        self.from.is_empty() || self.from.iter().any(|pattern| pattern.matches(number))
    }
}

impl DtmfRule {
    /// Whether a far end may use this code: one of `from`, else any that the station called.
    pub fn admits(&self, number: &str, called_by_us: bool) -> bool {
        match &self.from {
            Some(from) => from.iter().any(|pattern| pattern.matches(number)),
            None => called_by_us,
        }
    }
}

/// `[access]`: wrong codes, and what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessConfig {
    /// So many wrong codes …
    pub wrong_codes: u32,
    /// … within this time …
    pub window: Duration,
    /// … turn codes off for this long, and for twice as long each time after that.
    pub lock: Duration,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self { wrong_codes: 5, window: Duration::from_secs(600), lock: Duration::from_secs(60) }
    }
}

/// `[[answer]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerRule {
    /// Callers; any where empty.
    pub from: Vec<NumberPattern>,
    /// What to do.
    pub action: AnswerAction,
    /// Wait before answering.
    pub after: Duration,
    /// Which way sound flows.
    pub mode: CallMode,
    /// When; always where absent.
    pub hours: Option<Hours>,
}

/// `answer.action`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerAction {
    /// By itself.
    Answer,
    /// Ring until somebody answers here.
    Ring,
    /// Never.
    Decline,
}

/// `answer.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallMode {
    /// Both ways.
    #[default]
    Talk,
    /// No loudspeaker.
    Listen,
    /// No microphone.
    Announce,
}

/// `[[dtmf]]`
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct DtmfRule {
    /// The code.
    pub digits: String,
    /// Far ends that may use it; any far end that we called where absent.
    pub from: Option<Vec<NumberPattern>>,
    /// What it does.
    pub run: Trigger,
    /// Tones in the sound count as well, where the far end has no telephone events.
    #[serde(default)]
    pub in_band: bool,
}

impl std::fmt::Debug for DtmfRule {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DtmfRule").field("run", &self.run).finish_non_exhaustive()
    }
}

/// `[calls]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallsConfig {
    /// A call that nobody answers ends.
    pub ring_timeout: Duration,
    /// A call ends.
    pub max_talk: Duration,
    /// A second call while one is up.
    pub second_call: SecondCall,
    /// A press made offline is dialled for so long.
    pub press_max_age: Duration,
}

/// `calls.second_call`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecondCall {
    /// Busy.
    Reject,
    /// The first one waits.
    Hold,
    /// All hear each other.
    Mix,
    /// The first one ends.
    Replace,
}

/// `[control]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlConfig {
    /// Path of the control socket; the usual place where absent.
    pub socket: Option<PathBuf>,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// Directive of `tracing_subscriber::EnvFilter`: `info`, `debug`, `callbox=trace`.
    pub level: String,
}
