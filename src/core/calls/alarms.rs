//! All alarms: calls that do not give up (docs/configuration.md, "Alarms").
//!
//! An alarm makes one round after the other: a hunt through all of its numbers, and a pause after it. It lasts until
//! somebody has taken a call of it, and confirmed where that is asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{AlarmId, HuntId};
use crate::config::{Assurance, CallAction, Config};
use crate::core::api::{AlarmState, AlarmStatus, Origin, RememberedAlarm, Source};
use crate::core::time::Time;
use crate::mutant::{Mutant, mutant};

/// The most alarms at a time: more than a station has buttons for them.
pub(super) const MAX_ALARMS: usize = 8;
/// The pause after the first round.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause between two rounds.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// The alarms, oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Alarms {
    alarms: Vec<Alarm>,
    last_id: u32,
}

/// One alarm. The same source raises another one if it calls other numbers, or asks for another confirmation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Alarm {
    pub(super) id: AlarmId,
    pub(super) origin: Origin,
    pub(super) action: CallAction,
    pub(super) state: AlarmState,
    /// When it came into this state.
    pub(super) since: Time,
    /// The hunt of the round that is on.
    pub(super) hunt: Option<HuntId>,
    pub(super) next_round_at: Time,
    pause: Duration,
    pub(super) rounds: u32,
}

impl Alarm {
    /// A round is over, and nobody has taken the alarm.
    pub(super) fn rest(&mut self, now: Time) {
        self.hunt = None;
        self.next_round_at = now + if mutant(Mutant::AlarmGivesUp) { self.pause * 100_000 } else { self.pause };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// The next round begins as soon as it can, and the pauses are short again.
    pub(super) fn hurry(&mut self, now: Time) {
        self.next_round_at = now;
        self.pause = FIRST_PAUSE;
    }

    pub(super) fn enter(&mut self, state: AlarmState, now: Time) {
        (self.state, self.since) = (state, now);
    }

    pub(super) fn is_trying(&self) -> bool {
        self.state == AlarmState::Raised
    }

    /// What is asked of the next call of it. Once somebody has confirmed it, nobody else has to.
    pub(super) fn asks(&self) -> Assurance {
        let confirm = self.action.assurance.confirm.filter(|_| self.is_trying());
        Assurance { confirm, ..self.action.assurance }
    }
}

impl Alarms {
    pub(super) fn is_full(&self) -> bool {
        self.alarms.len() >= MAX_ALARMS
    }

    pub(super) fn add(&mut self, origin: Origin, action: CallAction, state: AlarmState, now: Time) -> AlarmId {
        self.last_id = self.last_id.wrapping_add(1);
        let id = AlarmId(self.last_id);
        let (hunt, rounds) = (None, 0);
        let pause = FIRST_PAUSE;
        self.alarms.push(Alarm { id, origin, action, state, since: now, hunt, next_round_at: now, pause, rounds });
        id
    }

    pub(super) fn get(&self, id: AlarmId) -> Option<&Alarm> {
        self.alarms.iter().find(|alarm| alarm.id == id)
    }

    pub(super) fn get_mut(&mut self, id: AlarmId) -> Option<&mut Alarm> {
        self.alarms.iter_mut().find(|alarm| alarm.id == id)
    }

    /// The alarm that this source has raised by this action.
    pub(super) fn find(&self, source: Source, action: &CallAction) -> Option<AlarmId> {
        let is_this = |alarm: &&Alarm| {
            let theirs = &alarm.action;
            alarm.origin.source == source && theirs.numbers == action.numbers && theirs.assurance == action.assurance
        };
        self.alarms.iter().find(is_this).map(|alarm| alarm.id)
    }

    pub(super) fn any_of(&self, source: Source) -> bool {
        self.alarms.iter().any(|alarm| alarm.origin.source == source)
    }

    /// The alarm that calls this number.
    pub(super) fn calling(&self, number: &str) -> Option<&Alarm> {
        let calls = |alarm: &&Alarm| alarm.action.numbers.iter().any(|called| called == number);
        self.alarms.iter().find(calls)
    }

    pub(super) fn ids(&self) -> Vec<AlarmId> {
        self.alarms.iter().map(|alarm| alarm.id).collect()
    }

    pub(super) fn remove(&mut self, id: AlarmId) -> Option<Alarm> {
        let index = self.alarms.iter().position(|alarm| alarm.id == id)?;
        Some(self.alarms.remove(index))
    }

    /// Whether a hunt is a round of an alarm.
    pub(super) fn any_has(&self, hunt: HuntId) -> bool {
        self.alarms.iter().any(|alarm| alarm.hunt == Some(hunt))
    }

    /// Whether an alarm is in this state.
    pub(super) fn any_is(&self, state: AlarmState) -> bool {
        self.alarms.iter().any(|alarm| alarm.state == state)
    }

    /// When the next round begins, of those alarms that wait for one.
    pub(super) fn next_round_at(&self, in_a_call: impl Fn(AlarmId) -> bool) -> Option<Time> {
        let waits = |alarm: &&Alarm| alarm.is_trying() && alarm.hunt.is_none() && !in_a_call(alarm.id);
        let waiting = self.alarms.iter().filter(waits);
        waiting.map(|alarm| alarm.next_round_at).min()
    }

    pub(super) fn status(&self, now: Time) -> Vec<AlarmStatus> {
        let status = self.alarms.iter().map(|alarm| AlarmStatus {
            state: alarm.state,
            by: alarm.origin.by.clone(),
            for_s: now.since(alarm.since).as_secs(),
            rounds: alarm.rounds,
        });
        status.collect()
    }

    /// What must outlive the process and a power cut.
    pub(super) fn remembered(&self, config: &Config, in_a_call: impl Fn(AlarmId) -> bool) -> Vec<RememberedAlarm> {
        let kept = self.alarms.iter().filter(|_| !mutant(Mutant::AlarmForgotten));
        let alarms = kept.map(|alarm| RememberedAlarm {
            trigger: alarm.origin.source.named(config),
            by: alarm.origin.by.clone(),
            numbers: alarm.action.numbers.clone(),
            line: alarm.action.line,
            ring: alarm.action.ring,
            order: alarm.action.order,
            confirm: alarm.action.assurance.confirm,
            say: alarm.action.assurance.say.map(|what| config.name_of(what).to_owned()),
            is_answered: !alarm.is_trying() && !in_a_call(alarm.id),
        });
        alarms.collect()
    }

    /// Takes over the alarms of the previous process. Their first round begins as soon as there is a session.
    pub(super) fn recall(&mut self, remembered: Vec<RememberedAlarm>, config: &Config, now: Time) {
        for one in remembered.into_iter().take(MAX_ALARMS) {
            let state = if one.is_answered { AlarmState::Answered } else { AlarmState::Raised };
            let source = Source::of(one.trigger.as_ref(), config);
            let action = action_of(&one, config);
            if self.find(source, &action).is_none() {
                self.add(Origin { source, by: one.by.clone() }, action, state, now);
            }
        }
    }
}

/// The call of an alarm: as its table has it now, if that still calls the same numbers, and else as it was.
fn action_of(one: &RememberedAlarm, config: &Config) -> CallAction {
    let was = CallAction {
        numbers: one.numbers.clone(),
        line: one.line,
        ring: one.ring,
        order: one.order,
        assurance: Assurance {
            alarm: true,
            confirm: one.confirm,
            say: one.say.as_ref().and_then(|name| config.playable(name)),
        },
        outcomes: Default::default(),
    };
    let source = Source::of(one.trigger.as_ref(), config);
    let triggers = config.triggers().filter(|(path, _)| source.may_be(*path));
    let calls = triggers.flat_map(|(_, trigger)| trigger.calls_in_it());
    let same: Vec<&CallAction> = calls.filter(|call| call.assurance.alarm && call.numbers == was.numbers).collect();
    let exact = same.iter().find(|call| call.assurance == was.assurance);
    exact.or(same.first()).map_or(was, |call| (*call).clone())
}
