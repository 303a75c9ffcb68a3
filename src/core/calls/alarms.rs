//! All alarms: calls that do not give up (docs/configuration.md, "Alarms").
//!
//! An alarm makes one round after the other: a hunt through all of its numbers, and a pause after it. It lasts until
//! somebody has taken a call of it, and confirmed where that is asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::HuntId;
use crate::config::{CallAction, Config};
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
}

/// One alarm. What has raised it identifies it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Alarm {
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
    pub(super) fn new(origin: Origin, action: CallAction, state: AlarmState, now: Time) -> Self {
        Self { origin, action, state, since: now, hunt: None, next_round_at: now, pause: FIRST_PAUSE, rounds: 0 }
    }

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
}

impl Alarms {
    pub(super) fn is_full(&self) -> bool {
        self.alarms.len() >= MAX_ALARMS
    }

    pub(super) fn add(&mut self, alarm: Alarm) {
        self.alarms.push(alarm);
    }

    pub(super) fn of(&self, source: Source) -> Option<&Alarm> {
        self.alarms.iter().find(|alarm| alarm.origin.source == source)
    }

    pub(super) fn of_mut(&mut self, source: Source) -> Option<&mut Alarm> {
        self.alarms.iter_mut().find(|alarm| alarm.origin.source == source)
    }

    /// The alarm that calls this number.
    pub(super) fn calling(&self, number: &str) -> Option<&Alarm> {
        let calls = |alarm: &&Alarm| alarm.action.numbers.iter().any(|called| called == number);
        self.alarms.iter().find(calls)
    }

    pub(super) fn sources(&self) -> Vec<Source> {
        self.alarms.iter().map(|alarm| alarm.origin.source).collect()
    }

    pub(super) fn remove(&mut self, source: Source) -> Option<Alarm> {
        let index = self.alarms.iter().position(|alarm| alarm.origin.source == source)?;
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
    pub(super) fn next_round_at(&self, in_a_call: impl Fn(Source) -> bool) -> Option<Time> {
        let waits = |alarm: &&Alarm| alarm.is_trying() && alarm.hunt.is_none() && !in_a_call(alarm.origin.source);
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
    pub(super) fn remembered(&self, config: &Config, in_a_call: impl Fn(Source) -> bool) -> Vec<RememberedAlarm> {
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
            is_answered: !alarm.is_trying() && !in_a_call(alarm.origin.source),
        });
        alarms.collect()
    }

    /// Takes over the alarms of the previous process. Their first round begins as soon as there is a session.
    pub(super) fn recall(&mut self, remembered: Vec<RememberedAlarm>, config: &Config, now: Time) {
        for one in remembered.into_iter().take(MAX_ALARMS) {
            let state = if one.is_answered { AlarmState::Answered } else { AlarmState::Raised };
            let source = Source::of(one.trigger.as_ref(), config);
            if self.of(source).is_none() {
                let origin = Origin { source, by: one.by.clone() };
                self.add(Alarm::new(origin, action_of(&one, config), state, now));
            }
        }
    }
}

/// The call of an alarm: as it is configured now, if the same numbers are still called, and else as it was.
fn action_of(one: &RememberedAlarm, config: &Config) -> CallAction {
    let triggers = config.triggers();
    let mut configured = triggers.iter().flat_map(|(_, trigger)| trigger.calls_in_it());
    let same = configured.find(|call| call.assurance.alarm && call.numbers == one.numbers);
    same.cloned().unwrap_or_else(|| CallAction {
        numbers: one.numbers.clone(),
        line: one.line,
        ring: one.ring,
        order: one.order,
        assurance: crate::config::Assurance {
            alarm: true,
            confirm: one.confirm,
            say: one.say.as_ref().and_then(|name| config.playable(name)),
        },
        outcomes: Default::default(),
    })
}
