//! One call: its states, deadlines and what it still has to send.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::CallMode;
use crate::signaling::{CallId, Jsep, Trickle};

use super::by::By;
use super::cause::Cause;
use super::dtmf::CodeEntry;
use super::effect::MediaId;
use super::proof::Proof;
use super::time::Time;

/// Candidates of one call that wait for the `ack`.
pub(super) const MAX_CANDIDATES: usize = 64;
/// After our hangup the peer connection closes at the `ack`, or this much later.
pub(super) const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);
/// A call that we ended is forgotten this much later, whatever the server says.
pub(super) const ENDING_TIMEOUT: Duration = Duration::from_secs(10);
/// Our answer must be confirmed in this time.
pub(super) const ANSWERING_TIMEOUT: Duration = Duration::from_secs(20);
/// The talk-time warning sounds so long before the end.
pub(super) const TALK_WARNING: Duration = Duration::from_secs(10);

/// State of a call for people and programs (`design.md`, "Words").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// No call.
    Idle,
    /// Our call is going out.
    Dialing,
    /// The far end rings.
    Alerting,
    /// Somebody calls us.
    Incoming,
    /// Our answer is going out.
    Answering,
    /// Up.
    Established,
    /// Up, and one side holds.
    Held,
    /// Our hangup is going out.
    Ending,
}

impl std::fmt::Display for CallState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Idle => "idle",
            Self::Dialing => "dialing",
            Self::Alerting => "ringing",
            Self::Incoming => "incoming call",
            Self::Answering => "answering call",
            Self::Established => "in a call",
            Self::Held => "held call",
            Self::Ending => "ending call",
        })
    }
}

/// Who started the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The station.
    Outgoing,
    /// The far end.
    Incoming,
}

/// Why there is this call, or this action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// What the station goes by.
    pub(super) source: Source,
    /// What people are told.
    pub(super) by: By,
}

/// Where something begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Source {
    /// The n-th `[[button]]`.
    Button(usize),
    /// The n-th `[[sensor]]`.
    Sensor(usize),
    /// A code or a command.
    Station,
    /// The far end.
    FarEnd,
}

/// Names a [`super::hunt::Hunt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HuntId(pub(super) u32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// `outgoing_call` is not yet sent, or not yet followed by a ring.
    Dialing { sent: bool, deadline: Time },
    /// The far end rings.
    Alerting { early_media: bool, deadline: Time },
    /// Nobody has answered here yet.
    Incoming { offer: Option<String>, answer_at: Option<Time>, deadline: Time },
    /// `accept` is being made or on its way.
    Answering { with_offer: bool, sent: bool, deadline: Time },
    /// Up. `talk_ends_at` is the deadline of this state.
    Established { talk_ends_at: Time, warned: bool, proof: Proof },
    /// We hung up.
    Ending { cause: Cause, media_closes_at: Option<Time>, deadline: Time },
}

/// An `update` of our own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Update {
    /// None.
    Idle,
    /// The peer connection makes the offer.
    Preparing,
    /// The offer is out; the answer comes in `accepted` or `updated`.
    Sent { transaction: String, deadline: Time },
    /// It met one of the far end, or failed: again at this time.
    RetryAt(Time),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) direction: Direction,
    pub(super) number: String,
    pub(super) display_name: Option<String>,
    pub(super) origin: Origin,
    pub(super) hunt: Option<HuntId>,
    pub(super) phase: Phase,
    pub(super) mode: CallMode,
    /// The far end sends its digits as telephone events.
    pub(super) has_events: bool,
    /// Digits can come as telephone events, once that is negotiated.
    pub(super) telephone_events: Option<bool>,
    /// Candidates of the far end that were left out.
    pub(super) unusable_candidates: u32,
    /// The last digit that was heard in the sound.
    pub(super) last_tone: Option<(char, Time)>,
    /// The peer connection, from the moment that one is needed until it is closed.
    pub(super) media: Option<MediaId>,
    /// Our offer, until it is sent.
    pub(super) offer: Option<String>,
    /// What `accept` carries: kept until the core confirms, since it may be lost with the socket.
    pub(super) description: Option<Jsep>,
    /// Candidates that wait until the server knows the call.
    pub(super) candidates: VecDeque<Trickle>,
    /// The server knows the call: candidates may go out.
    pub(super) trickle_open: bool,
    /// The transaction of `outgoing_call`.
    pub(super) transaction: Option<String>,
    pub(super) retried: bool,
    /// How long it may ring, where the station called.
    pub(super) ring: Option<Duration>,
    /// It is the one redial of media proof.
    pub(super) redial: bool,
    pub(super) answered_by_far_end: bool,
    pub(super) connected: bool,
    /// The server's word that it hears us (`ice_media`).
    pub(super) server_hears_us: Option<bool>,
    pub(super) far_end_holds: bool,
    pub(super) held: bool,
    /// Held by `second_call`, so taken up again by itself.
    pub(super) held_for_other: bool,
    pub(super) update: Update,
    pub(super) code_entry: CodeEntry,
    pub(super) started_at: Time,
    pub(super) established_at: Option<Time>,
}

impl Call {
    pub(super) fn new(
        id: CallId,
        direction: Direction,
        number: String,
        origin: Origin,
        phase: Phase,
        now: Time,
    ) -> Self {
        Self {
            id,
            direction,
            number,
            display_name: None,
            origin,
            hunt: None,
            phase,
            mode: CallMode::Talk,
            media: None,
            offer: None,
            description: None,
            candidates: VecDeque::new(),
            trickle_open: false,
            transaction: None,
            retried: false,
            ring: None,
            redial: false,
            answered_by_far_end: false,
            connected: false,
            server_hears_us: None,
            far_end_holds: false,
            held: false,
            held_for_other: false,
            update: Update::Idle,
            has_events: false,
            telephone_events: None,
            unusable_candidates: 0,
            last_tone: None,
            code_entry: CodeEntry::default(),
            started_at: now,
            established_at: None,
        }
    }

    pub(super) fn state(&self) -> CallState {
        match self.phase {
            Phase::Dialing { .. } => CallState::Dialing,
            Phase::Alerting { .. } => CallState::Alerting,
            Phase::Incoming { .. } => CallState::Incoming,
            Phase::Answering { .. } => CallState::Answering,
            Phase::Established { .. } if self.is_on_hold() => CallState::Held,
            Phase::Established { .. } => CallState::Established,
            Phase::Ending { .. } => CallState::Ending,
        }
    }

    /// The far end rings, or rang.
    pub(super) fn has_rung(&self) -> bool {
        matches!(self.phase, Phase::Alerting { .. })
    }

    pub(super) fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Established { .. })
    }

    /// What is known of its media, where it is up.
    pub(super) fn proof(&self) -> Option<&Proof> {
        match &self.phase {
            Phase::Established { proof, .. } => Some(proof),
            _ => None,
        }
    }

    /// One side holds: nothing need come from the far end.
    pub(super) fn is_on_hold(&self) -> bool {
        self.held || self.far_end_holds
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. })
    }

    /// The server may know the call: ending it takes a request.
    pub(super) fn is_known_to_server(&self) -> bool {
        !matches!(self.phase, Phase::Dialing { sent: false, .. })
    }

    /// The next moment at which something is due.
    pub(super) fn next_deadline(&self) -> Time {
        let phase = match &self.phase {
            Phase::Dialing { deadline, .. } | Phase::Alerting { deadline, .. } | Phase::Answering { deadline, .. } => {
                *deadline
            }
            Phase::Incoming { answer_at, deadline, .. } => answer_at.map_or(*deadline, |at| at.min(*deadline)),
            Phase::Established { talk_ends_at, warned, proof } => {
                let talk = if *warned { *talk_ends_at } else { *talk_ends_at - TALK_WARNING };
                proof.deadline(self.connected, self.is_on_hold()).map_or(talk, |deadline| deadline.min(talk))
            }
            Phase::Ending { media_closes_at, deadline, .. } => {
                media_closes_at.map_or(*deadline, |at| at.min(*deadline))
            }
        };
        let update = match &self.update {
            Update::RetryAt(at) | Update::Sent { deadline: at, .. } => Some(*at),
            Update::Idle | Update::Preparing => None,
        };
        update.into_iter().chain(self.code_entry.deadline()).fold(phase, Time::min)
    }
}
