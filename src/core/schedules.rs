//! Schedules: what is due, and what was missed.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Unit};
use serde::{Deserialize, Serialize};

use super::api::{RememberedSchedule, ScheduleStatus};
use super::deadline::{Deadline, DeadlineReason};
use super::random::Random;
use super::time::{Now, Time};
use crate::config::{Config, LocalTime, Occurrences, Schedule, ScheduleIndex};
use crate::mutant::{Mutant, mutant};

/// A last run further in the future than this is of a clock that was wrong.
const WRONG_CLOCK: SignedDuration = SignedDuration::from_hours(25);
/// The local time has no seconds: a moment is looked for this much before its minute is over.
const MINUTE: Duration = Duration::from_secs(60);

/// All schedules, in the order of the configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Schedules {
    runs: Vec<Runs>,
}

/// One `[[schedule]]` at run time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Runs {
    /// Everything that was due until this local time has been done. The first time counts from when the clock is known.
    done_until: Option<DateTime>,
    /// `every`: the next run, by the monotonic clock.
    next_at: Option<Time>,
    /// A run that is due, and has not begun.
    due: Option<Due>,
    /// It has run, and its call has not come to anything yet.
    #[serde(default)]
    is_calling: bool,
    /// Why nobody has taken its last call.
    #[serde(default)]
    fault: Option<String>,
    /// That fault was reported.
    #[serde(default)]
    told_fault: bool,
}

/// What the call of a schedule has come to.
#[derive(Debug, Clone)]
pub(super) enum ScheduleCall {
    /// Somebody has taken it.
    Taken {
        /// It is one of an alarm, of which earlier rounds may have come to nothing.
        alarm: bool,
    },
    /// Why nobody has.
    NotTaken(String),
}

/// A run that is due. It waits for its jitter, and for the end of the calls. Until it begins, a restart makes it due again.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Due {
    /// With its jitter.
    at: Time,
    /// The local time at which it came due; `None` if somebody only tries it out. The clock may have gone back since.
    since: Option<DateTime>,
}

impl Schedules {
    pub(super) fn new(config: &Config) -> Self {
        Self { runs: vec![Runs::default(); config.schedules.len()] }
    }

    /// Takes over what was done before a restart.
    pub(super) fn recall(&mut self, remembered: &[RememberedSchedule], config: &Config) {
        for (schedule, runs) in config.schedules.iter().zip(&mut self.runs) {
            let found = remembered.iter().find(|one| one.name == schedule.name);
            runs.done_until = found.map(|one| one.done_until);
            runs.fault = found.and_then(|one| one.fault.clone());
            runs.told_fault = runs.fault.is_some();
            runs.is_calling = found.is_some_and(|one| one.is_calling);
        }
    }

    /// The process begins. A call that nobody had taken when the last one ended is not made again.
    pub(super) fn start(&mut self) {
        for runs in self.runs.iter_mut().filter(|runs| runs.is_calling) {
            runs.fault = Some("the station stopped before anybody had taken it".to_owned());
        }
    }

    /// What must outlive the process.
    pub(super) fn remembered(&self, config: &Config) -> Vec<RememberedSchedule> {
        let all = config.schedules.iter().zip(&self.runs);
        let known = all.filter_map(|(schedule, runs)| {
            Some(RememberedSchedule {
                name: schedule.name.clone(),
                done_until: runs.done_until?,
                fault: runs.fault.clone(),
                is_calling: runs.is_calling,
            })
        });
        known.collect()
    }

    /// The configuration has changed: a schedule keeps what was done by its name.
    pub(super) fn reconfigure(&mut self, old: &Config, new: &Config) {
        let remembered = self.remembered(old);
        *self = Self::new(new);
        self.recall(&remembered, new);
    }

    /// Looks at the clock. While it is not set, nothing becomes due.
    pub(super) fn update(&mut self, config: &Config, clock: Clock, random: &mut Random) {
        for (schedule, runs) in config.schedules.iter().zip(&mut self.runs) {
            if let Some(local) = clock.local_for(schedule) {
                runs.update(schedule, config, clock.now.at, local, random);
            }
        }
    }

    /// A schedule is due from now on.
    pub(super) fn bring_due(&mut self, ScheduleIndex(index): ScheduleIndex, now: Time) {
        if let Some(runs) = self.runs.get_mut(index) {
            runs.due = Some(Due { at: now, since: None });
        }
    }

    /// Removes and returns the schedules whose time has come. None has, while a call is up.
    pub(super) fn take_due(&mut self, lines_are_free: bool, config: &Config, clock: Clock) -> Vec<ScheduleIndex> {
        if !lines_are_free {
            return Vec::new();
        }
        let all = config.schedules.iter().zip(&mut self.runs).enumerate();
        let due = all.filter_map(|(index, (schedule, runs))| {
            let clock_is_set = clock.local_for(schedule).is_some() || mutant(Mutant::ScheduleWithoutClock);
            let due = runs.due.take_if(|due| due.at <= clock.now.at && (clock_is_set || due.since.is_none()))?;
            runs.begin(due, schedule, clock.now.at, clock.local_for(schedule));
            Some(ScheduleIndex(index))
        });
        due.collect()
    }

    /// A run has begun, with or without a call.
    pub(super) fn note_begun(&mut self, ScheduleIndex(index): ScheduleIndex, is_calling: bool) {
        if let Some(runs) = self.runs.get_mut(index) {
            runs.is_calling = is_calling;
        }
    }

    /// Notes what the call of a schedule has come to. What an outcome of that call calls is another matter.
    pub(super) fn note_call(&mut self, ScheduleIndex(index): ScheduleIndex, call: ScheduleCall) {
        let Some(runs) = self.runs.get_mut(index) else { return };
        let goes_on = std::mem::take(&mut runs.is_calling);
        match call {
            ScheduleCall::Taken { alarm } if goes_on || alarm => runs.fault = None,
            ScheduleCall::NotTaken(why) if goes_on => runs.fault = Some(why),
            ScheduleCall::Taken { .. } | ScheduleCall::NotTaken(_) => {}
        }
    }

    /// The schedules whose fault has come or gone since the last time, with what is wrong now.
    pub(super) fn take_changed_faults(&mut self) -> Vec<(ScheduleIndex, Option<String>)> {
        let changed = self.runs.iter_mut().enumerate().filter_map(|(index, runs)| {
            let is_faulty = runs.fault.is_some();
            let changed = std::mem::replace(&mut runs.told_fault, is_faulty) != is_faulty;
            changed.then(|| (ScheduleIndex(index), runs.fault.clone()))
        });
        changed.collect()
    }

    /// Whether nobody has taken the last call of a schedule.
    pub(super) fn has_fault(&self) -> bool {
        self.runs.iter().any(|runs| runs.fault.is_some())
    }

    pub(super) fn next_deadline(&self, config: &Config, clock: Clock) -> Option<Deadline> {
        let now = clock.now.at;
        let times = config.schedules.iter().zip(&self.runs).filter_map(|(schedule, runs)| match runs.due {
            // A run that waits for the end of a call needs no deadline.
            Some(due) => (due.at > now).then_some(due.at),
            None => runs.next_look(schedule, config, now, clock.local_for(schedule)?),
        });
        Deadline::earliest(times.map(|at| Deadline::new(at, DeadlineReason::Schedule)))
    }

    pub(super) fn status(&self, config: &Config) -> Vec<ScheduleStatus> {
        let all = config.schedules.iter().zip(&self.runs);
        let status = all.map(|(schedule, runs)| ScheduleStatus {
            name: schedule.name.clone(),
            next: runs.done_until.and_then(|done| schedule.when.next_after(done, &config.calendar)).map(shown),
            waiting: runs.due.is_some(),
            fault: runs.fault.clone(),
        });
        status.collect()
    }
}

/// The time, and whether the server agrees with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) now: Now,
    /// The local time, unless our clock and the server's differ.
    pub(super) trusted: Option<LocalTime>,
}

impl Clock {
    /// The local time by which a schedule is judged. An interval does not ask what time of the day it is, so the server may
    /// be of another opinion.
    fn local_for(self, schedule: &Schedule) -> Option<DateTime> {
        let local = match schedule.when {
            Occurrences::Every(_) => self.now.local,
            Occurrences::At(_) => self.trusted,
        };
        local.map(|local| local.date_time())
    }
}

impl Runs {
    fn update(&mut self, schedule: &Schedule, config: &Config, now: Time, local: DateTime, random: &mut Random) {
        let done = match self.done_until {
            Some(done) if done.duration_since(local) < WRONG_CLOCK => done,
            _ => local,
        };
        self.done_until = Some(done);
        if self.due.is_some() {
            return;
        }
        let is_due = match schedule.when {
            Occurrences::Every(length) => {
                let rest = || Duration::try_from(length_left(done, length, local)).unwrap_or_default();
                now >= *self.next_at.get_or_insert_with(|| now + rest())
            }
            Occurrences::At(_) => schedule.when.next_after(done, &config.calendar).is_some_and(|next| next <= local),
        };
        if is_due {
            let at = now + random.between(Duration::ZERO, schedule.jitter);
            self.due = Some(Due { at, since: Some(local.max(done)) });
            if mutant(Mutant::ScheduleForgotten) {
                self.done_until = Some(local.max(done));
            }
        }
    }

    /// A run begins. Everything that was due until now is done with it.
    fn begin(&mut self, due: Due, schedule: &Schedule, now: Time, local: Option<DateTime>) {
        if due.since.is_none() {
            return;
        }
        self.done_until = self.done_until.max(due.since).max(local);
        if let (Occurrences::Every(length), Some(was_due)) = (schedule.when.clone(), self.next_at) {
            let missed = now.since(was_due).as_millis() / length.as_millis().max(1);
            let next = u32::try_from(missed).ok().and_then(|missed| length.checked_mul(missed + 1));
            self.next_at = Some(next.map_or(now + length, |next| was_due + next));
        }
    }

    /// When [`Self::update`] has something to do.
    fn next_look(&self, schedule: &Schedule, config: &Config, now: Time, local: DateTime) -> Option<Time> {
        if let Some(at) = self.next_at {
            return Some(at);
        }
        let next = schedule.when.next_after(self.done_until?, &config.calendar)?;
        let left = Duration::try_from(next.duration_since(local)).unwrap_or_default();
        Some(now + left.saturating_sub(MINUTE).max(Duration::from_secs(1)))
    }
}

/// How long it is until the next run.
fn length_left(done: DateTime, length: Duration, local: DateTime) -> SignedDuration {
    let next = SignedDuration::try_from(length).ok().and_then(|length| done.checked_add(length).ok());
    next.map_or(SignedDuration::ZERO, |next| next.duration_since(local)).max(SignedDuration::ZERO)
}

fn shown(moment: DateTime) -> String {
    let minute = moment.round(Unit::Minute).unwrap_or(moment);
    minute.strftime("%Y-%m-%d %H:%M").to_string()
}
