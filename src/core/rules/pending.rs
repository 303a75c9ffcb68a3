//! Which rule of a trigger is run, and which steps wait (`after_ms`, `for_ms`, `cooldown_s`).

use serde::{Deserialize, Serialize};

use super::actions::Flow;
use crate::config::{Action, Conditions, Rule, SensorIndex, Step};
use crate::core::api::{Done, Origin, Refusal, Source};
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;
use crate::mutant::{Mutant, mutant};

/// The most actions that wait at a time.
const MAX_DELAYED: usize = 64;

/// The steps that wait, and the steps of sensors that must not be run again yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::core) struct Rules {
    delayed: Vec<Delayed>,
    cooldowns: Vec<Cooldown>,
}

/// An action that is carried out later.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Delayed {
    at: Time,
    action: Action,
    origin: Origin,
    /// The action is dropped if the sensor changes before, or if these conditions hold no longer (`for_ms`).
    lasting: Option<Conditions>,
    /// This cooldown begins when the action is carried out.
    cooldown: Option<Cooldown>,
}

/// Identifies a step of a sensor's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SensorStep {
    sensor: SensorIndex,
    opened: bool,
    /// The place of the rule, and the place of the step in it.
    place: (usize, usize),
}

/// A step that must not be run again before a time (`cooldown_s`).
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cooldown {
    of: SensorStep,
    ends_at: Time,
}

impl Rules {
    /// Runs a rule of a trigger, with its place there. Returns the result of its calls. `opened` is the state of the
    /// sensor, if it is the sensor's own trigger. `carry_out` does one action.
    pub(in crate::core) fn run(
        &mut self,
        (place, rule): (usize, &Rule),
        origin: &Origin,
        opened: Option<bool>,
        now: Time,
        mut carry_out: impl FnMut(&Action, &Origin) -> Result<Flow, Refusal>,
    ) -> Result<Done, Refusal> {
        let mut outcome = Ok(Done::Now);
        for (index, step) in rule.steps.iter().enumerate() {
            let of_sensor = opened.and_then(|opened| sensor_step(origin.source, opened, (place, index)));
            if of_sensor.is_some_and(|step| self.cools(step, now)) {
                continue;
            }
            match self.put_off(step, &rule.conditions, origin, of_sensor, now) {
                Ok(false) => {}
                Ok(true) => continue,
                Err(refusal) => {
                    outcome = Err(refusal);
                    continue;
                }
            }
            match carry_out(&step.action, origin) {
                Ok(Flow::Stop) => return outcome,
                Ok(Flow::Continue) => {}
                Ok(Flow::Waits(patience)) => outcome = outcome.and(Ok(Done::Waits(patience))),
                Err(refusal) => outcome = Err(refusal),
            }
        }
        outcome
    }

    /// Removes and returns the actions whose time has come. `hold` judges conditions.
    pub(in crate::core) fn take_due(&mut self, now: Time, hold: impl Fn(&Conditions) -> bool) -> Vec<(Action, Origin)> {
        let (due, later) = std::mem::take(&mut self.delayed).into_iter().partition(|delayed| delayed.at <= now);
        self.delayed = later;
        let due: Vec<Delayed> = due;
        let due = due
            .into_iter()
            .filter(|delayed| delayed.lasting.as_ref().is_none_or(&hold) || mutant(Mutant::RuleThatHeldBefore));
        let due = due.map(|delayed| {
            self.cooldowns.extend(delayed.cooldown);
            (delayed.action, delayed.origin)
        });
        due.collect()
    }

    /// The sensor has changed. Actions that wait for it to stay as it was are dropped.
    pub(in crate::core) fn sensor_changed(&mut self, sensor: SensorIndex) {
        self.delayed.retain(|delayed| !(delayed.lasting.is_some() && delayed.origin.source == Source::Sensor(sensor)));
    }

    /// Drops all actions that wait.
    pub(in crate::core) fn clear(&mut self) {
        self.delayed.clear();
    }

    /// The number of actions that wait.
    pub(in crate::core) fn waiting(&self) -> usize {
        self.delayed.len()
    }

    pub(in crate::core) fn next_deadline(&self) -> Option<Deadline> {
        let delayed = self.delayed.iter().map(|delayed| delayed.at);
        Deadline::earliest(delayed.map(|at| Deadline::new(at, DeadlineReason::DelayedAction)))
    }

    /// Whether the step waits; if so, it is put into the queue. The cooldown of a step that happens in any case begins
    /// now, and that of `for_ms` when the step is carried out.
    fn put_off(
        &mut self,
        step: &Step,
        conditions: &Conditions,
        origin: &Origin,
        of_sensor: Option<SensorStep>,
        now: Time,
    ) -> Result<bool, Refusal> {
        let lasting = (!step.lasting.is_zero()).then(|| conditions.clone());
        let wait = if lasting.is_some() { step.lasting } else { step.after };
        let at = now + wait;
        let mut cooldown =
            of_sensor.filter(|_| !step.cooldown.is_zero()).map(|of| Cooldown { of, ends_at: at + step.cooldown });
        if !wait.is_zero() && self.delayed.len() >= MAX_DELAYED {
            return Err(Refusal::TooManyActions);
        }
        if lasting.is_none() {
            self.cooldowns.extend(cooldown.take());
        }
        if wait.is_zero() {
            return Ok(false);
        }
        let (action, origin) = (step.action.clone(), origin.clone());
        self.delayed.push(Delayed { at, action, origin, lasting, cooldown });
        Ok(true)
    }

    /// Whether the cooldown of a sensor's step is not over yet.
    fn cools(&mut self, step: SensorStep, now: Time) -> bool {
        self.cooldowns.retain(|cooldown| cooldown.ends_at > now);
        self.cooldowns.iter().any(|cooldown| cooldown.of == step) && !mutant(Mutant::EndlessMotion)
    }
}

/// The identity of a step, if its trigger belongs to a sensor.
fn sensor_step(source: Source, opened: bool, place: (usize, usize)) -> Option<SensorStep> {
    match source {
        Source::Sensor(sensor) => Some(SensorStep { sensor, opened, place }),
        _ => None,
    }
}
