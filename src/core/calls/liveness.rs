//! Media liveness: whether the sound of an established call really arrives, and what to do if it does not.
//!
//! The media of a call are alive while packets of any kind arrive from the far end, or while ICE has a consented pair
//! (RFC 7675). The peer connection reports [`crate::core::MediaEvent::Disconnected`] after 2 s without anything
//! (docs/workarounds.md, "webrtc: a vanished peer is never closed"), and [`crate::core::MediaEvent::Received`] while
//! sound arrives.
//!
//! [`Liveness`] decides what follows, and [`super::repair`] does it:
//!
//! - Dead media are repaired in steps, each with a deadline: first an ICE restart, then a new peer connection, then one
//!   redial if the station was the caller. A call that no step can repair ends with a cause.
//! - A call that is connected but silent is renegotiated once. After that the silence is only reported.
//! - A repair needs the session. If the session is lost, the repair waits for it, but not for ever.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::api::{MissingSound, RepairOutcome, RepairStep};
use crate::core::time::Time;

/// ICE of a new call may take this long before the first repair.
const SETUP_PATIENCE: Duration = Duration::from_secs(5);
/// During hold, ICE may be lost for this long before a repair, since nobody misses the sound yet.
const HOLD_PATIENCE: Duration = Duration::from_secs(10);
/// After DTLS was closed, the hangup that usually follows may take this long to arrive.
const CLOSED_PATIENCE: Duration = Duration::from_secs(1);
/// Each step of a repair may take this long.
const STEP_PATIENCE: Duration = Duration::from_secs(5);
/// After both descriptions are exchanged, a new peer connection may take this long to connect. It is longer than a
/// step, because DTLS repeats a lost packet only after a second.
const CONNECT_PATIENCE: Duration = Duration::from_secs(8);
/// A step survives this many collisions of our update with one of the far end.
const MAX_COLLISIONS: u32 = 2;
/// This many times in a step, exchanged descriptions start its time anew. On a bad network, signaling alone takes most
/// of the time.
const MAX_NEGOTIATIONS: u32 = 3;
/// A call whose media are dead waits this long for the session, which the repair needs.
const OFFLINE_PATIENCE: Duration = Duration::from_secs(60);
/// A connected call without sound in one direction for this long is renegotiated once.
const SILENCE: Duration = Duration::from_secs(5);

/// The media liveness of one established call: what is known of its media, and which step of a repair is in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Liveness {
    step: Step,
    /// When ICE was lost, or when the call was established without it.
    lost_at: Time,
    was_connected: bool,
    /// When sound last came from the far end.
    sound_at: Time,
    /// Since when the server has got no packets from us (`ice_media`).
    unheard_since: Option<Time>,
    /// Collisions of this step's update with one of the far end.
    collisions: u32,
    /// The number of times that descriptions were exchanged in this step.
    negotiations: u32,
    silent_call: SilentCall,
    /// The silence that was reported last.
    missing: Option<MissingSound>,
    /// Drained after each event, and therefore not part of the state.
    #[serde(skip)]
    reports: Vec<Report>,
}

/// What the machine does now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Step {
    /// There is nothing to repair, or its time has not come yet.
    Watching,
    /// A repair is needed, but the session is lost.
    WaitingForSession {
        until: Time,
    },
    /// The far end has closed DTLS. Most far ends do so when they hang up, so the server has a moment to report that.
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
    /// It has not been sent.
    Unspent,
    /// It could not be sent. It may be sent from this time on.
    Postponed(Time),
    Spent,
}

/// What happens to the media of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum LivenessEvent {
    /// ICE and DTLS are up: for the first time, again, or still.
    Connected,
    Lost,
    /// DTLS has ended.
    Closed,
    /// The peer connection cannot go on.
    Failed,
    SoundReceived,
    /// The server has reported whether it gets our packets (`ice_media`).
    ServerHears(bool),
    /// The call comes back from hold. What was known before is out of date. `unheard`: the server does not hear us.
    Resumed {
        unheard: bool,
    },
    /// An address of this machine is gone. The candidate pair may be dead before ICE notices it.
    AddressLost,
    /// The session is back.
    SessionBack,
    /// The session is back, with an offer of the far end that was lost with the old socket. That offer has been
    /// answered; our own offer may follow at `retry_at`.
    SessionBackWithOffer {
        retry_at: Time,
    },
    /// Our update met one of the far end. It is sent again at `retry_at`.
    Collision {
        retry_at: Time,
    },
    /// The renegotiation of a silent call met one of the far end.
    SilentCallCollision {
        retry_at: Time,
    },
    /// Our update was refused.
    Refused,
    /// Both descriptions are exchanged, so ICE can start now. Either side may have offered.
    Negotiated,
    /// A deadline may have come.
    Due,
}

/// What the machine must know of the call at the moment of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    /// ICE and DTLS are up.
    pub(super) connected: bool,
    /// One side holds the call. Then silence means nothing, but a lost ICE consent still does.
    pub(super) on_hold: bool,
    pub(super) session_is_up: bool,
    /// No update of ours is in progress.
    pub(super) may_update: bool,
}

/// What must be done for the media of the call. [`super::repair`] does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// New ICE credentials by `update`.
    RestartIce,
    /// A new peer connection by `update`.
    ReplacePeerConnection,
    /// Hang up, and call once more if the station was the caller.
    RedialOrEnd,
    /// Hang up.
    End,
    /// Renegotiate a silent call.
    Renegotiate,
    /// Send our update at this time.
    UpdateAt(Time),
    /// Nothing can be done before the session is back. Until then the peer connection counts as lost.
    AwaitSession,
}

/// What is reported as a fact.
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

    /// Handles an event; returns what must be done. The caller drains [`Self::take_reports`] before it does that.
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

    /// Removes and returns the reports, in order.
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

    /// The silent direction of a connected call, as it was reported last.
    pub(super) fn missing(&self) -> Option<MissingSound> {
        self.missing
    }

    /// The repair step in progress.
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
        // A call that has never been connected still has the patience of its setup.
        (waits || interrupted || self.was_connected).then(|| self.repair(RepairStep::IceRestart, now)).flatten()
    }

    /// The far end's offer comes first. Our own offer follows if that does not help.
    fn session_back_with_offer(&mut self, retry_at: Time, seen: Surroundings) -> Option<Repair> {
        if seen.connected && self.step == Step::Watching {
            return None;
        }
        self.step = Step::Repairing { step: RepairStep::IceRestart, until: retry_at + STEP_PATIENCE };
        self.collisions = 0;
        self.reports.push(Report::Repair(RepairStep::IceRestart, RepairOutcome::Started));
        Some(Repair::UpdateAt(retry_at))
    }

    /// The step waits until our update is sent again. After too many collisions, the step has failed.
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
            // The old candidate pair was never lost, so there is no `Connected` event.
            Step::Repairing { step: RepairStep::IceRestart, .. } if seen.connected => {
                self.step = Step::Watching;
                self.reports.push(Report::Repair(RepairStep::IceRestart, RepairOutcome::Worked));
            }
            Step::Repairing { step, .. } => return self.step_failed(step, seen, now),
        }
        None
    }

    /// ICE is connected, but a direction is silent. This may only be a far end that is muted. So there is one
    /// renegotiation; after that the silence is only reported.
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

    /// When silence must be reported, or the call renegotiated.
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
