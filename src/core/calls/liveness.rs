//! Media liveness: a call that is established is not yet a call that is heard.
//!
//! A call is alive while packets of any kind come from the far end, or while ICE has a consented pair (RFC 7675). The
//! peer connection reports [`crate::core::MediaEvent::Disconnected`] after 2 s without anything at all, and
//! [`crate::core::MediaEvent::Received`] while sound comes. This machine decides what follows: a dead call is repaired
//! in steps, each with a deadline; a call that cannot be repaired ends with a cause. [`super::repair`] carries it out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::api::{MissingSound, RepairOutcome, RepairStep};
use crate::core::time::Time;

/// ICE of a new call has this long before the first repair.
const SETUP_PATIENCE: Duration = Duration::from_secs(5);
/// ICE of a call on hold may be lost for this long: nobody misses the sound yet.
const HOLD_PATIENCE: Duration = Duration::from_secs(10);
/// After DTLS was closed, the hangup that usually follows has this long to arrive.
const CLOSED_PATIENCE: Duration = Duration::from_secs(1);
/// Each step of a repair has this long.
const STEP_PATIENCE: Duration = Duration::from_secs(5);
/// From both descriptions to a new peer connection: DTLS repeats what a bad network loses after a second.
const CONNECT_PATIENCE: Duration = Duration::from_secs(8);
/// How many collisions of our update with one of the far end a step survives.
const MAX_COLLISIONS: u32 = 2;
/// How often a new description gives its step the whole time again: on a bad network signaling takes most of it.
const MAX_NEGOTIATIONS: u32 = 3;
/// How long a dead call waits for the session, which every repair needs.
const OFFLINE_PATIENCE: Duration = Duration::from_secs(60);
/// A connected call without sound in one direction for this long is renegotiated once.
const SILENCE: Duration = Duration::from_secs(5);

/// What is known of the media of an established call, and where its repair stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Liveness {
    step: Step,
    /// When ICE was lost, or when the call was established without it.
    lost_at: Time,
    was_connected: bool,
    /// When sound last came from the far end.
    sound_at: Time,
    /// Since when the server has not heard us (`ice_media`).
    unheard_since: Option<Time>,
    /// Collisions of this step's update with one of the far end.
    collisions: u32,
    /// Offers and answers exchanged in this step.
    negotiations: u32,
    silent_call: SilentCall,
    /// What was reported last.
    missing: Option<MissingSound>,
    /// Drained after each event, and therefore not part of the state.
    #[serde(skip)]
    reports: Vec<Report>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Step {
    /// Nothing to repair, or not yet.
    Watching,
    /// A repair needs the session, which is lost.
    WaitingForSession {
        until: Time,
    },
    /// The far end has closed DTLS. Most far ends do so when they hang up, so the server has some time to report it.
    Closed {
        until: Time,
    },
    Repairing {
        step: RepairStep,
        until: Time,
    },
}

/// The one renegotiation of a call that is connected and silent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum SilentCall {
    /// It may be sent.
    Unspent,
    /// It could not be sent: it may be sent from this time on.
    Postponed(Time),
    Spent,
}

/// What happens to the media of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum LivenessEvent {
    /// ICE and DTLS are up, again or still.
    Connected,
    Lost,
    /// DTLS is over.
    Closed,
    /// The peer connection cannot go on.
    Failed,
    SoundReceived,
    /// `ice_media` of the server.
    ServerHears(bool),
    /// The call comes back from hold: what was known before is out of date. `unheard`: the server does not hear us.
    Resumed {
        unheard: bool,
    },
    /// An address of this machine is gone: the pair may be dead before ICE notices.
    AddressLost,
    /// The session is back.
    SessionBack,
    /// The session is back with an offer of the far end that was lost with the old socket. It has been answered; our
    /// own offer may follow at `retry_at`.
    SessionBackWithOffer {
        retry_at: Time,
    },
    /// Our update met one of the far end, and is sent again at `retry_at`.
    Collision {
        retry_at: Time,
    },
    /// The renegotiation of a silent call met one of the far end.
    SilentCallCollision {
        retry_at: Time,
    },
    /// Our update was refused.
    Refused,
    /// Both descriptions are exchanged, whoever offered: ICE starts only now.
    Negotiated,
    /// A deadline may have come.
    Due,
}

/// What the machine must know of the call at the moment of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    /// ICE and DTLS are up.
    pub(super) connected: bool,
    /// One side holds: the silence of such a call means nothing, its consent does.
    pub(super) on_hold: bool,
    pub(super) session_is_up: bool,
    /// No update of ours is in progress.
    pub(super) may_update: bool,
}

/// What the calls carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// New ICE credentials by `update`.
    RestartIce,
    /// A new peer connection by `update`.
    ReplacePeerConnection,
    /// Hang up, and call once more where the station was the caller.
    RedialOrEnd,
    /// Hang up.
    End,
    /// One renegotiation of a silent call.
    Renegotiate,
    /// The update of ours is sent at this time.
    UpdateAt(Time),
    /// Nothing can be done before the session is back: the peer connection counts as lost.
    AwaitSession,
}

/// What people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    Silence(Option<MissingSound>),
    Repair(RepairStep, RepairOutcome),
}

impl Liveness {
    pub(super) fn new(connected: bool, now: Time) -> Self {
        Self {
            step: Step::Watching,
            lost_at: now,
            was_connected: connected,
            sound_at: now,
            unheard_since: None,
            collisions: 0,
            negotiations: 0,
            silent_call: SilentCall::Unspent,
            missing: None,
            reports: Vec::new(),
        }
    }

    /// Takes in an event; returns what must be done. Reports are drained by [`Self::take_reports`] before that.
    pub(super) fn handle(&mut self, event: LivenessEvent, seen: Surroundings, now: Time) -> Option<Repair> {
        match event {
            LivenessEvent::Connected => self.connected(now),
            LivenessEvent::Lost => {
                self.lost_at = now;
                return self.due(seen, now);
            }
            LivenessEvent::Closed => return self.closed(seen, now),
            LivenessEvent::Failed => return self.failed(seen, now),
            LivenessEvent::SoundReceived => {
                self.sound_at = now;
                self.settle_missing(now);
            }
            LivenessEvent::ServerHears(receiving) => {
                self.unheard_since = (!receiving).then(|| self.unheard_since.unwrap_or(now));
                self.settle_missing(now);
            }
            LivenessEvent::Resumed { unheard } => self.resumed(unheard, seen, now),
            LivenessEvent::AddressLost if seen.session_is_up => return self.repair(RepairStep::IceRestart, now),
            LivenessEvent::AddressLost => self.await_session(now),
            LivenessEvent::SessionBack => return self.session_back(seen, now),
            LivenessEvent::SessionBackWithOffer { retry_at } => return self.session_back_with_offer(retry_at, seen),
            LivenessEvent::Collision { retry_at } => return self.collision(retry_at, seen, now),
            LivenessEvent::SilentCallCollision { retry_at } => self.silent_call_collision(retry_at),
            LivenessEvent::Refused => return self.refused(seen, now),
            LivenessEvent::Negotiated => self.negotiated(now),
            LivenessEvent::Due => return self.due(seen, now),
        }
        None
    }

    /// What people are to be told, in order.
    pub(super) fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// When [`LivenessEvent::Due`] has something to do.
    pub(super) fn deadline(&self, connected: bool, on_hold: bool) -> Option<Time> {
        match self.step {
            Step::WaitingForSession { until } | Step::Closed { until } | Step::Repairing { until, .. } => Some(until),
            Step::Watching if connected && on_hold => None,
            Step::Watching if connected => self.silence_at(),
            Step::Watching if on_hold => Some(self.lost_at + HOLD_PATIENCE),
            Step::Watching if self.was_connected => Some(self.lost_at),
            Step::Watching => Some(self.lost_at + SETUP_PATIENCE),
        }
    }

    /// Which direction of a connected call is silent.
    pub(super) fn missing(&self) -> Option<MissingSound> {
        self.missing
    }

    /// The repair in progress.
    pub(super) fn repairing(&self) -> Option<RepairStep> {
        match self.step {
            Step::Repairing { step, .. } => Some(step),
            Step::Watching | Step::WaitingForSession { .. } | Step::Closed { .. } => None,
        }
    }

    fn connected(&mut self, now: Time) {
        self.was_connected = true;
        self.sound_at = now;
        let step = std::mem::replace(&mut self.step, Step::Watching);
        self.settle_missing(now);
        if let Step::Repairing { step, .. } = step {
            self.reports.push(Report::Repair(step, RepairOutcome::Worked));
        }
    }

    fn closed(&mut self, seen: Surroundings, now: Time) -> Option<Repair> {
        if self.repairing() == Some(RepairStep::NewPeerConnection) {
            return self.refused(seen, now);
        }
        self.step = Step::Closed { until: now + CLOSED_PATIENCE };
        None
    }

    fn failed(&mut self, seen: Surroundings, now: Time) -> Option<Repair> {
        match self.repairing() {
            Some(RepairStep::NewPeerConnection) => self.step_failed(RepairStep::NewPeerConnection, seen, now),
            _ if seen.session_is_up => self.repair(RepairStep::NewPeerConnection, now),
            _ => {
                self.await_session(now);
                Some(Repair::AwaitSession)
            }
        }
    }

    fn resumed(&mut self, unheard: bool, seen: Surroundings, now: Time) {
        let silent_call = match self.silent_call {
            SilentCall::Spent => SilentCall::Spent,
            SilentCall::Unspent | SilentCall::Postponed(_) => SilentCall::Unspent,
        };
        *self = Self { silent_call, unheard_since: unheard.then_some(now), ..Self::new(seen.connected, now) };
    }

    fn session_back(&mut self, seen: Surroundings, now: Time) -> Option<Repair> {
        let waits = matches!(self.step, Step::WaitingForSession { .. });
        let interrupted = matches!(self.step, Step::Repairing { .. });
        if seen.connected && !waits && !interrupted {
            return None;
        }
        // A call that was set up while the session was lost still has its first patience.
        (waits || interrupted || self.was_connected).then(|| self.repair(RepairStep::IceRestart, now)).flatten()
    }

    /// The far end's offer comes first; our own follows where that has not helped.
    fn session_back_with_offer(&mut self, retry_at: Time, seen: Surroundings) -> Option<Repair> {
        if seen.connected && self.step == Step::Watching {
            return None;
        }
        self.step = Step::Repairing { step: RepairStep::IceRestart, until: retry_at + STEP_PATIENCE };
        self.collisions = 0;
        self.reports.push(Report::Repair(RepairStep::IceRestart, RepairOutcome::Started));
        Some(Repair::UpdateAt(retry_at))
    }

    /// The step waits until our update is sent again, but not for ever.
    fn collision(&mut self, retry_at: Time, seen: Surroundings, now: Time) -> Option<Repair> {
        self.collisions += 1;
        let stuck = self.collisions > MAX_COLLISIONS;
        match &mut self.step {
            Step::Repairing { .. } if stuck => return self.refused(seen, now),
            Step::Repairing { until, .. } => *until = retry_at + STEP_PATIENCE,
            Step::Watching | Step::WaitingForSession { .. } | Step::Closed { .. } => {}
        }
        None
    }

    fn silent_call_collision(&mut self, retry_at: Time) {
        if self.silent_call == SilentCall::Spent && self.step == Step::Watching {
            self.silent_call = SilentCall::Postponed(retry_at + Duration::from_millis(1));
        }
    }

    fn refused(&mut self, seen: Surroundings, now: Time) -> Option<Repair> {
        self.repairing().and_then(|step| self.step_failed(step, seen, now))
    }

    fn negotiated(&mut self, now: Time) {
        if let Step::Repairing { step, until } = &mut self.step
            && self.negotiations < MAX_NEGOTIATIONS
        {
            let patience = if *step == RepairStep::IceRestart { STEP_PATIENCE } else { CONNECT_PATIENCE };
            self.negotiations += 1;
            *until = (now + patience).max(*until);
        }
    }

    fn due(&mut self, seen: Surroundings, now: Time) -> Option<Repair> {
        if self.deadline(seen.connected, seen.on_hold).is_none_or(|deadline| now < deadline) {
            return None;
        }
        match self.step {
            Step::Watching if seen.connected => return self.silent(seen, now),
            Step::Watching if seen.session_is_up => return self.repair(RepairStep::IceRestart, now),
            Step::Watching => {
                let until = (self.lost_at + OFFLINE_PATIENCE).max(now + STEP_PATIENCE);
                self.step = Step::WaitingForSession { until };
            }
            Step::WaitingForSession { .. } if seen.connected => self.step = Step::Watching,
            Step::WaitingForSession { .. } => return Some(Repair::End),
            Step::Closed { .. } => return self.failed(seen, now),
            // The pair was never lost.
            Step::Repairing { step: RepairStep::IceRestart, .. } if seen.connected => {
                self.step = Step::Watching;
                self.reports.push(Report::Repair(RepairStep::IceRestart, RepairOutcome::Worked));
            }
            Step::Repairing { step, .. } => return self.step_failed(step, seen, now),
        }
        None
    }

    /// ICE is connected and no sound comes: the far end may be muted. One renegotiation, after that only a report.
    fn silent(&mut self, seen: Surroundings, now: Time) -> Option<Repair> {
        if let SilentCall::Postponed(_) = self.silent_call {
            self.silent_call = SilentCall::Unspent;
        }
        let missing = self.missing_now(now);
        if self.missing != missing {
            self.report_missing(missing);
        }
        missing?;
        if !seen.may_update || !seen.session_is_up {
            if self.silent_call == SilentCall::Unspent {
                self.silent_call = SilentCall::Postponed(now + SILENCE);
            }
            return None;
        }
        (std::mem::replace(&mut self.silent_call, SilentCall::Spent) != SilentCall::Spent)
            .then_some(Repair::Renegotiate)
    }

    fn repair(&mut self, step: RepairStep, now: Time) -> Option<Repair> {
        self.step = Step::Repairing { step, until: now + STEP_PATIENCE };
        self.collisions = 0;
        self.negotiations = 0;
        self.reports.push(Report::Repair(step, RepairOutcome::Started));
        Some(match step {
            RepairStep::IceRestart => Repair::RestartIce,
            RepairStep::NewPeerConnection | RepairStep::Redial => Repair::ReplacePeerConnection,
        })
    }

    fn step_failed(&mut self, step: RepairStep, seen: Surroundings, now: Time) -> Option<Repair> {
        self.reports.push(Report::Repair(step, RepairOutcome::Failed));
        if !seen.session_is_up {
            self.await_session(now);
            return None;
        }
        match step {
            RepairStep::IceRestart => self.repair(RepairStep::NewPeerConnection, now),
            RepairStep::NewPeerConnection | RepairStep::Redial => Some(Repair::RedialOrEnd),
        }
    }

    fn await_session(&mut self, now: Time) {
        self.step = Step::WaitingForSession { until: now + OFFLINE_PATIENCE };
    }

    /// When silence must be reported, or renegotiated.
    fn silence_at(&self) -> Option<Time> {
        let down_is_reported = matches!(self.missing, Some(MissingSound::Downlink | MissingSound::Both));
        let up_is_reported = matches!(self.missing, Some(MissingSound::Uplink | MissingSound::Both));
        let down = (!down_is_reported).then_some(self.sound_at + SILENCE);
        let up = self.unheard_since.filter(|_| !up_is_reported).map(|since| since + SILENCE);
        let renegotiation = match self.silent_call {
            SilentCall::Postponed(at) if self.missing.is_some() => Some(at),
            _ => None,
        };
        [down, up, renegotiation].into_iter().flatten().min()
    }

    fn missing_now(&self, now: Time) -> Option<MissingSound> {
        let downlink = now.since(self.sound_at) >= SILENCE;
        let uplink = self.unheard_since.is_some_and(|since| now.since(since) >= SILENCE);
        match (downlink, uplink) {
            (true, true) => Some(MissingSound::Both),
            (true, false) => Some(MissingSound::Downlink),
            (false, true) => Some(MissingSound::Uplink),
            (false, false) => None,
        }
    }

    fn settle_missing(&mut self, now: Time) {
        let missing = self.missing_now(now);
        if self.missing.is_some() && self.missing != missing {
            self.report_missing(missing);
        }
    }

    fn report_missing(&mut self, missing: Option<MissingSound>) {
        self.missing = missing;
        self.reports.push(Report::Silence(missing));
    }
}
