//! One call: its phases, its deadlines, and what it still has to send.

use super::id::{AlarmId, HuntId};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::candidate_queue::CandidateQueue;
use super::code_entry::CodeEntry;
use super::far_end_digits::FarEndDigits;
use super::liveness::Liveness;
use crate::config::{Assurance, CallMode};
use crate::core::api::{CallState, Cause, Direction, MediaId, Origin};
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;
use crate::secret::{PersonName, PhoneNumber, Sdp};
use crate::signaling::{CallId, Candidate, Jsep, TransactionId};

/// After our hangup, the peer connection closes at the `ack`, or after this time (docs/workarounds.md, "janus: a
/// connection that closes first ends the call").
pub(super) const MEDIA_CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// A call that we ended is forgotten after this time, even if the server has not confirmed it.
pub(super) const ENDING_TIMEOUT: Duration = Duration::from_secs(10);
/// The server must confirm our answer within this time.
pub(super) const ANSWERING_TIMEOUT: Duration = Duration::from_secs(20);
/// The warning sounds this long before the end of the talk time.
pub(super) const TALK_WARNING: Duration = Duration::from_secs(10);

/// Where a call stands. Each phase has a deadline, so no call can stay in one for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// `outgoing_call` is not sent yet, or the far end does not ring yet.
    Dialing { sent: bool, deadline: Time },
    /// The far end rings.
    Alerting { early_media: bool, deadline: Time },
    /// Somebody calls, and nobody has answered here yet.
    Incoming { offer: Option<Sdp>, answer_at: Option<Time>, deadline: Time },
    /// Our `accept` is being made, or is not confirmed yet.
    Answering { with_offer: bool, sent: bool, deadline: Time },
    /// The call is up. `talk_ends_at` is the deadline of this phase.
    Established { talk_ends_at: Time, warned: bool, liveness: Liveness },
    /// We hung up, and the server has not confirmed it yet.
    Ending { cause: Cause, media_closes_at: Option<Time>, deadline: Time },
}

/// Where our own `update` of the media stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Update {
    /// There is no update.
    Idle,
    /// The peer connection makes the offer.
    Preparing,
    /// The offer is sent. The answer arrives in `accepted` or `updated`.
    Sent { transaction: TransactionId, deadline: Time },
    /// The update met one of the far end, or failed. It may be sent again at this time.
    RetryAt(Time),
}

/// Whether we hold the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) enum Hold {
    No,
    ByCommand,
    /// `calls.second_call` holds it. The call continues when the other one ends.
    ForOtherCall,
}

impl Hold {
    pub(super) fn remembered(held: bool, for_other: bool) -> Self {
        match (held, for_other) {
            (false, _) => Self::No,
            (true, false) => Self::ByCommand,
            (true, true) => Self::ForOtherCall,
        }
    }
}

/// One telephone call, from the first request until its line is free.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) direction: Direction,
    pub(super) number: PhoneNumber,
    pub(super) display_name: Option<PersonName>,
    pub(super) origin: Origin,
    pub(super) hunt: Option<HuntId>,
    pub(super) phase: Phase,
    pub(super) mode: CallMode,
    /// The number of candidates of the far end that were left out.
    pub(super) unusable_candidates: u32,
    /// Candidates of the far end that came before there was a peer connection, oldest first.
    pub(super) early_candidates: Vec<Candidate>,
    /// The peer connection, from the moment when one is needed until it is closed.
    pub(super) media: Option<MediaId>,
    /// Our offer for `outgoing_call`.
    pub(super) offer: Option<Sdp>,
    /// What `accept` carries. It is kept after sending, because the request may be lost with the socket.
    pub(super) description: Option<Jsep>,
    pub(super) candidates: CandidateQueue,
    /// The one further attempt after a refused `outgoing_call` has been made.
    pub(super) retried: bool,
    /// For how long the far end may ring, if the station called.
    pub(super) ring: Option<Duration>,
    /// The call is the one redial after a call without media.
    pub(super) redial: bool,
    /// What is still asked of the far end, and whether the call is one of an alarm.
    #[serde(default)]
    pub(super) assurance: Assurance,
    /// The alarm that it belongs to.
    #[serde(default)]
    pub(super) alarm: Option<AlarmId>,
    pub(super) connected: bool,
    /// Whether the server gets our packets (`ice_media`); `None` until it has reported.
    pub(super) server_hears_us: Option<bool>,
    pub(super) far_end_holds: bool,
    pub(super) hold: Hold,
    pub(super) update: Update,
    pub(super) digits: FarEndDigits,
    pub(super) code_entry: CodeEntry,
    pub(super) started_at: Time,
    pub(super) established_at: Option<Time>,
}

/// The most candidates of the far end that are kept before there is a peer connection.
const MAX_EARLY_CANDIDATES: usize = 48;

impl Call {
    /// Keeps a candidate until there is a peer connection. One too many is left out.
    pub(super) fn keep_candidate(&mut self, candidate: Candidate) {
        if self.early_candidates.len() < MAX_EARLY_CANDIDATES {
            self.early_candidates.push(candidate);
        }
    }

    pub(super) fn new(
        id: CallId,
        direction: Direction,
        number: PhoneNumber,
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
            early_candidates: Vec::new(),
            media: None,
            offer: None,
            description: None,
            candidates: CandidateQueue::default(),
            retried: false,
            ring: None,
            redial: false,
            assurance: Assurance::default(),
            alarm: None,
            connected: false,
            server_hears_us: None,
            far_end_holds: false,
            hold: Hold::No,
            update: Update::Idle,
            unusable_candidates: 0,
            digits: FarEndDigits::default(),
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

    /// Whether the far end rings.
    pub(super) fn has_rung(&self) -> bool {
        matches!(self.phase, Phase::Alerting { .. })
    }

    pub(super) fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Established { .. })
    }

    /// Whether a person has taken the call, as far as one can know.
    pub(super) fn is_taken(&self) -> bool {
        self.is_established() && self.assurance.confirm.is_none()
    }

    /// The media liveness of an established call.
    pub(super) fn liveness(&self) -> Option<&Liveness> {
        match &self.phase {
            Phase::Established { liveness, .. } => Some(liveness),
            _ => None,
        }
    }

    /// Whether we hold the call.
    pub(super) fn is_held(&self) -> bool {
        self.hold != Hold::No
    }

    /// Whether one side holds the call. Then silence of the far end is not a fault.
    pub(super) fn is_on_hold(&self) -> bool {
        self.is_held() || self.far_end_holds
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. })
    }

    /// Whether the server may know the call. If so, the end of the call needs a request.
    pub(super) fn is_known_to_server(&self) -> bool {
        !matches!(self.phase, Phase::Dialing { sent: false, .. })
    }

    /// What will be due, and when.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        use DeadlineReason as Why;
        let (first, second) = match &self.phase {
            Phase::Dialing { deadline, .. } | Phase::Alerting { deadline, .. } => {
                (Some(Deadline::new(*deadline, Why::RingTimeout)), None)
            }
            Phase::Answering { deadline, .. } => (Some(Deadline::new(*deadline, Why::AnswerTimeout)), None),
            Phase::Incoming { answer_at, deadline, .. } => (
                Some(Deadline::new(*deadline, Why::RingTimeout)),
                answer_at.map(|at| Deadline::new(at, Why::AutoAnswer)),
            ),
            Phase::Established { talk_ends_at, warned, liveness } => {
                let talk = if *warned { *talk_ends_at } else { *talk_ends_at - TALK_WARNING };
                let liveness = liveness.deadline(self.connected, self.is_on_hold());
                (Some(Deadline::new(talk, Why::TalkTime)), liveness.map(|at| Deadline::new(at, Why::Liveness)))
            }
            Phase::Ending { media_closes_at, deadline, .. } => (
                Some(Deadline::new(*deadline, Why::HangupTimeout)),
                media_closes_at.map(|at| Deadline::new(at, Why::MediaClose)),
            ),
        };
        let update = match &self.update {
            Update::RetryAt(at) | Update::Sent { deadline: at, .. } => Some(Deadline::new(*at, Why::Update)),
            Update::Idle | Update::Preparing => None,
        };
        let digits = self.code_entry.deadline().map(|at| Deadline::new(at, Why::DigitTimeout));
        [first, second, update, digits].into_iter().flatten()
    }

    pub(super) fn is_due(&self, now: Time) -> bool {
        self.deadlines().any(|deadline| now >= deadline.at)
    }
}
