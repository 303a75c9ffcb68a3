//! One call: its states, deadlines and what it still has to send.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::code_entry::CodeEntry;
use super::liveness::Liveness;
use crate::config::CallMode;
use crate::core::api::{CallState, Cause, Direction, MediaId, Origin};
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;
use crate::signaling::{CallId, Jsep, TransactionId, Trickle};

/// Candidates of one call that wait for the `ack`.
pub(super) const MAX_CANDIDATES: usize = 64;
/// After our hangup the peer connection closes at the `ack`, or this much later.
pub(super) const MEDIA_CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// A call that we ended is forgotten this much later, whatever the server says.
pub(super) const ENDING_TIMEOUT: Duration = Duration::from_secs(10);
/// Our answer must be confirmed in this time.
pub(super) const ANSWERING_TIMEOUT: Duration = Duration::from_secs(20);
/// The talk-time warning sounds so long before the end.
pub(super) const TALK_WARNING: Duration = Duration::from_secs(10);

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
    Established { talk_ends_at: Time, warned: bool, liveness: Liveness },
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
    Sent { transaction: TransactionId, deadline: Time },
    /// It met one of the far end, or failed: again at this time.
    RetryAt(Time),
}

/// Whether we hold the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) enum Hold {
    No,
    ByCommand,
    /// `second_call` holds it: it is taken up again when the other call ends.
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
    pub(super) retried: bool,
    /// How long it may ring, where the station called.
    pub(super) ring: Option<Duration>,
    /// It is the one redial after a call without media.
    pub(super) redial: bool,
    pub(super) connected: bool,
    /// The server says whether it hears us (`ice_media`).
    pub(super) server_hears_us: Option<bool>,
    pub(super) far_end_holds: bool,
    pub(super) hold: Hold,
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
            retried: false,
            ring: None,
            redial: false,
            connected: false,
            server_hears_us: None,
            far_end_holds: false,
            hold: Hold::No,
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

    /// What is known of its media, where it is established.
    pub(super) fn liveness(&self) -> Option<&Liveness> {
        match &self.phase {
            Phase::Established { liveness, .. } => Some(liveness),
            _ => None,
        }
    }

    /// We hold.
    pub(super) fn is_held(&self) -> bool {
        self.hold != Hold::No
    }

    /// One side holds: nothing need come from the far end.
    pub(super) fn is_on_hold(&self) -> bool {
        self.is_held() || self.far_end_holds
    }

    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. })
    }

    /// The server may know the call: ending it takes a request.
    pub(super) fn is_known_to_server(&self) -> bool {
        !matches!(self.phase, Phase::Dialing { sent: false, .. })
    }

    /// What is due next, and when.
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
