//! The state of all calls, and what the rest of the core asks about it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::alarms::Alarms;
use super::call::{Call, Phase};
use super::code_entry::AcceptedCode;
use super::hunts::Hunts;
use super::lines::Lines;
use super::warm_peer::WarmPeer;
use crate::config::{Line, ScheduleIndex, Sound, Trigger};
use crate::core::api::{CallState, Cause, MediaId, Origin, RememberedCall, SceneCall, Source};
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::schedules::ScheduleCall;
use crate::core::time::Time;
use crate::mutant::{Mutant, mutant};
use crate::signaling::CallId;

/// The state of all calls: lines with their calls, hunts, and the warm peer connection.
///
/// [`super::CallControl`] acts on it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::core) struct Calls {
    pub(super) lines: Lines,
    pub(super) hunts: Hunts,
    #[serde(default)]
    pub(super) alarms: Alarms,
    pub(super) warm: WarmPeer,
    /// Until then the loudspeaker is loud enough for the answer tone (`established.rs`).
    pub(super) answer_tone_until: Option<Time>,
    pub(super) missed_calls: u64,
    pub(super) refused_calls: u64,
    pub(super) last_end: Option<(CallId, Cause)>,
    /// Calls of the previous process, until the server has said which of them still exist.
    pub(super) recalled: Vec<RememberedCall>,
    /// The addresses of the machine; `None` until they are known.
    pub(super) addresses: Option<Vec<IpAddr>>,
    pub(super) reported: Vec<Option<Reported>>,
    next_media: u32,
    /// Drained by the station after each input, and therefore not part of the state.
    #[serde(skip)]
    pub(super) accepted_codes: Vec<AcceptedCode>,
    /// What calls have come to. Drained as well.
    #[serde(skip)]
    outcomes: Vec<(Trigger, Origin)>,
    /// What the calls of schedules have come to. Drained as well.
    #[serde(skip)]
    schedule_calls: Vec<(ScheduleIndex, ScheduleCall)>,
}

/// What was reported last about a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reported {
    pub(super) call_id: CallId,
    pub(super) state: CallState,
}

impl Calls {
    /// A call has come to something, and this is to be done.
    pub(super) fn come_to(&mut self, outcome: Trigger, origin: Origin) {
        if !outcome.is_empty() {
            self.outcomes.push((outcome, origin));
        }
    }

    /// Nobody has taken a call. If it is one of a schedule, this is a fault.
    pub(super) fn note_not_taken(&mut self, source: Source, why: String) {
        if let Source::Schedule(index) = source {
            self.schedule_calls.push((index, ScheduleCall::NotTaken(why)));
        }
    }

    /// Somebody has taken a call, perhaps one of a schedule.
    pub(super) fn note_taken(&mut self, source: Source, alarm: bool) {
        if let Source::Schedule(index) = source {
            self.schedule_calls.push((index, ScheduleCall::Taken { alarm }));
        }
    }

    /// Whether a call of this schedule is wanted, or has just come to something.
    pub(in crate::core) fn is_calling_for(&self, schedule: ScheduleIndex) -> bool {
        let source = Source::Schedule(schedule);
        self.hunts.any(|hunt| hunt.origin.source == source)
            || self.alarms.any_of(source)
            || self.schedule_calls.iter().any(|(of, _)| *of == schedule)
    }

    /// Removes and returns what the calls of schedules have come to.
    pub(in crate::core) fn take_schedule_calls(&mut self) -> Vec<(ScheduleIndex, ScheduleCall)> {
        std::mem::take(&mut self.schedule_calls)
    }

    /// Removes and returns what is to be done because of what calls have come to.
    pub(in crate::core) fn take_outcomes(&mut self) -> Vec<(Trigger, Origin)> {
        std::mem::take(&mut self.outcomes)
    }

    pub(in crate::core) fn new(lines: u32) -> Self {
        Self {
            lines: Lines::new(lines),
            hunts: Hunts::default(),
            alarms: Alarms::default(),
            warm: WarmPeer::default(),
            answer_tone_until: None,
            missed_calls: 0,
            refused_calls: 0,
            last_end: None,
            recalled: Vec::new(),
            addresses: None,
            reported: Vec::new(),
            next_media: 0,
            accepted_codes: Vec::new(),
            outcomes: Vec::new(),
            schedule_calls: Vec::new(),
        }
    }

    pub(super) fn new_media_id(&mut self) -> MediaId {
        let media = MediaId(self.next_media);
        self.next_media = self.next_media.wrapping_add(1);
        media
    }

    /// Whether there is a call that is not ending, or a hunt.
    pub(in crate::core) fn any_active(&self) -> bool {
        self.lines.active().next().is_some() || !self.hunts.is_empty()
    }

    /// Whether there is no call at all, not even an ending one, and no hunt.
    pub(in crate::core) fn none_at_all(&self) -> bool {
        self.lines.calls().next().is_none() && self.hunts.is_empty()
    }

    /// Whether every line is free.
    pub(in crate::core) fn lines_are_free(&self) -> bool {
        self.lines.calls().next().is_none()
    }

    pub(in crate::core) fn any_established(&self) -> bool {
        self.lines.active().any(|(_, call)| call.is_established())
    }

    /// Whether a far end hears what the station sends.
    pub(in crate::core) fn any_hears(&self) -> bool {
        self.lines.active().any(|(_, call)| call.is_established() && call.connected && !call.is_on_hold())
    }

    /// Whether a call in either direction is being set up, or a hunt waits.
    pub(in crate::core) fn any_being_set_up(&self) -> bool {
        self.lines.active().any(|(_, call)| !call.is_established()) || self.hunts.any_waits()
    }

    /// The number of hunts.
    pub(in crate::core) fn hunt_count(&self) -> usize {
        self.hunts.count()
    }

    /// Whether there is a call or a hunt that this button or sensor has started.
    pub(in crate::core) fn has_call_of(&self, source: Source) -> bool {
        self.hunts.any_of(source) || self.lines.active().any(|(_, call)| call.origin.source == source)
    }

    /// The line of a call that somebody here may answer.
    pub(in crate::core) fn ringing_line(&self) -> Option<Line> {
        self.lines.calls().find(|(_, call)| matches!(call.phase, Phase::Incoming { .. })).map(|(line, _)| line)
    }

    /// The calls that carry sound, in the order of their lines. The microphone is open only in established calls.
    pub(in crate::core) fn scene_calls(&self) -> Vec<SceneCall> {
        self.lines.calls().filter_map(|(_, call)| scene_call(call)).collect()
    }

    /// The tone that repeats at the loudspeaker while no call is established.
    pub(in crate::core) fn tone(&self) -> Option<Sound> {
        let in_foreground = self.lines.active().any(|(_, call)| call.is_established() && !call.is_held());
        if in_foreground {
            return None;
        }
        self.lines.calls().find_map(|(_, call)| match call.phase {
            Phase::Alerting { early_media: false, .. } => Some(Sound::Ringback),
            Phase::Incoming { answer_at: None, .. } => Some(Sound::Ring),
            _ => None,
        })
    }

    /// When [`super::CallControl::run_deadlines`] is next needed.
    pub(in crate::core) fn next_deadline(&self) -> Option<Deadline> {
        let at = |at: Option<Time>, reason| at.map(|at| Deadline::new(at, reason));
        let others = [at(self.answer_tone_until, DeadlineReason::AnswerToneEnds), self.warm.next_deadline()];
        Deadline::earliest(others.into_iter().flatten().chain(self.hunts.deadlines()).chain(self.lines.deadlines()))
    }
}

fn scene_call(call: &Call) -> Option<SceneCall> {
    let media = call.media?;
    match call.phase {
        Phase::Established { .. } if !call.is_on_hold() => Some(SceneCall::established(media, call.mode)),
        Phase::Alerting { early_media: true, .. } => {
            let microphone = mutant(Mutant::MicrophoneWhileAlerting);
            Some(SceneCall { media, microphone, loudspeaker: true })
        }
        _ => None,
    }
}
