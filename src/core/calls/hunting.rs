//! Runs the hunts: whom a press or a command calls, in which order, and how that ends.

use super::call::{Call, ENDING_TIMEOUT};
use super::control::CallControl;
use super::hunt::{Hunt, Wait};
use super::id::HuntId;
use crate::config::{
    ButtonIndex, CallAction, DoorIndex, Line, ReaderIndex, ScheduleIndex, SecondCall, SensorIndex, Sound,
};
use crate::core::api::{Cause, Done, Fact, Origin, Refusal, Source};
use crate::mutant::{Mutant, mutant};
use crate::signaling::sip_status;

impl CallControl<'_> {
    /// Starts a hunt. When this returns, a sound has told the person at the door that the wish was noticed.
    pub(in crate::core) fn start_hunt(&mut self, origin: &Origin, action: &CallAction) -> Result<Done, Refusal> {
        if self.cx.shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        if action.assurance.alarm {
            return self.raise_alarm(origin, action);
        }
        let mut hunt = Hunt::new(self.calls.hunts.new_id(), origin.clone(), action, self.cx.config.calls.ring_timeout);
        if !self.session.is_registered() {
            return self.wait_for_session(hunt);
        }
        // No other call may be held or ended for a call that has no line.
        let free = self.calls.lines.choose(action.line, self.cx.now.at).is_some() && !self.calls.hunts.is_full();
        if !free && self.cx.config.calls.second_call != SecondCall::Replace {
            self.cx.play(Sound::Busy, false);
            return Err(Refusal::NoFreeLine);
        }
        if let Err(refusal) = self.make_way_for_second_call() {
            self.cx.play(Sound::Busy, false);
            return Err(refusal);
        }
        self.cx.play(Sound::Connecting, false);
        let id = hunt.id;
        // If there is no free line, another call is being replaced and leaves its line in a moment.
        hunt.wait = (!free).then(|| Wait::ForLine { until: self.cx.now.at + ENDING_TIMEOUT });
        self.calls.hunts.add(hunt);
        self.advance_hunt(id);
        Ok(Done::Now)
    }

    /// A wish was refused, which counts as a call that has failed.
    pub(in crate::core) fn refused(&mut self, action: &CallAction, origin: &Origin, refusal: &Refusal) {
        self.calls.note_not_taken(origin.source, refusal.to_string());
        self.calls.come_to(action.outcomes.failed.clone(), origin.clone());
    }

    /// Calls once more after a call without media. If no line is free, this waits for the line of the old call.
    pub(super) fn redial(&mut self, origin: &Origin, action: &CallAction) {
        let mut hunt = Hunt::new(self.calls.hunts.new_id(), origin.clone(), action, self.cx.config.calls.ring_timeout);
        let id = hunt.id;
        hunt.redial = true;
        let free = self.calls.lines.choose(action.line, self.cx.now.at).is_some();
        hunt.wait = (!free).then(|| Wait::ForLine { until: self.cx.now.at + ENDING_TIMEOUT });
        self.calls.hunts.add(hunt);
        self.advance_hunt(id);
    }

    /// Without a session, the hunt of a button, sensor or door waits for `press_max_age_s` if the session may be up in time.
    fn wait_for_session(&mut self, mut hunt: Hunt) -> Result<Done, Refusal> {
        let patience = self.cx.config.calls.press_max_age;
        let from_the_door = hunt.origin.source.is_the_door();
        let hope = !self.session.is_up() && self.session.may_be_up_within(patience, self.cx.now.at);
        if from_the_door && hope && !patience.is_zero() && !self.calls.hunts.is_full() {
            self.session.hurry(self.cx.now.at);
            let wait = if mutant(Mutant::EndlessPress) { patience * 1000 } else { patience };
            hunt.wait = Some(Wait::ForSession { until: self.cx.now.at + wait });
            self.calls.hunts.add(hunt);
            self.cx.play(Sound::Connecting, false);
            return Ok(Done::Waits(patience));
        }
        self.cx.play(Sound::NoConnection, false);
        let state = self.session.state();
        let message = self.session.reason().map_or_else(|| state.to_string(), |reason| format!("{state}: {reason}"));
        Err(Refusal::NotRegistered(message))
    }

    /// Calls the next numbers of a hunt, as many as may be called now. Ends the hunt if nothing is left to do.
    pub(super) fn advance_hunt(&mut self, id: HuntId) {
        loop {
            let legs = self.calls.lines.of_hunt(id);
            let Some(hunt) = self.calls.hunts.get(id) else { return };
            if hunt.wait.is_some() {
                return;
            }
            if legs.is_empty() && !hunt.has_more() {
                return self.end_hunt(id);
            }
            let is_up = |line: &Line| self.call(*line).is_some_and(Call::is_established);
            if legs.len() >= hunt.width() || !hunt.has_more() || legs.iter().any(is_up) {
                return;
            }
            if !self.session.is_registered() {
                if legs.is_empty() {
                    let cause = Cause::new(sip_status::SERVICE_UNAVAILABLE, "the session with the server is lost");
                    self.calls.hunts.note(id, cause.of_unanswered(false), false);
                    self.end_hunt(id);
                }
                return;
            }
            let Some(line) = self.calls.lines.choose(hunt.line, self.cx.now.at) else {
                if legs.is_empty() {
                    let cause = Cause::new(sip_status::BUSY_HERE, "every line is busy").of_unanswered(false);
                    self.calls.hunts.note(id, cause, false);
                    self.end_hunt(id);
                }
                return;
            };
            let (origin, ring) = (hunt.origin.clone(), hunt.ring);
            let number = self.calls.hunts.get_mut(id).and_then(Hunt::take_number);
            let Some(number) = number else { return };
            let deadline = self.cx.now.at + ring;
            self.dial(line, number, origin, Some(id), deadline);
        }
    }

    fn end_hunt(&mut self, id: HuntId) {
        let Some(hunt) = self.calls.hunts.remove(id) else { return };
        let outcome = hunt.outcome().cloned().unwrap_or_default();
        // An outcome that is heard tells the visitor enough. A round of an alarm is not its end.
        let is_end = !hunt.is_over() && !outcome.is_heard() && !hunt.assurance.alarm;
        let tone = hunt.cause.as_ref().filter(|_| is_end).and_then(Cause::tone);
        if let Some(sound) = tone {
            self.cx.play(sound, false);
        }
        if let Some(why) = hunt.why_not_taken() {
            self.calls.note_not_taken(hunt.origin.source, why);
        }
        self.calls.come_to(outcome, hunt.origin);
    }

    /// Gives up the hunts that have waited for too long.
    pub(super) fn run_hunt_deadlines(&mut self) {
        for id in self.calls.hunts.overdue(self.cx.now.at) {
            self.give_up_waiting(id);
        }
    }

    fn give_up_waiting(&mut self, id: HuntId) {
        let Some(hunt) = self.calls.hunts.remove(id) else { return };
        if hunt.assurance.alarm {
            return self.calls.come_to(hunt.outcomes.failed, hunt.origin);
        }
        let (reason, sound) = if self.session.is_registered() {
            ("no line became free".to_owned(), Sound::Busy)
        } else {
            (format!("no session: {}", self.session.state()), Sound::NoConnection)
        };
        self.calls.note_not_taken(hunt.origin.source, reason.clone());
        self.report_no_call(hunt.origin.source, reason);
        if !hunt.outcomes.failed.is_heard() {
            self.cx.play(sound, false);
        }
        self.calls.come_to(hunt.outcomes.failed, hunt.origin);
    }

    /// The session is up, or registered again.
    pub(super) fn release_waiting_hunts(&mut self) {
        self.release_hunts_that_wait_for_session();
        self.release_hunts_that_wait_for_line();
    }

    /// Each hunt that waited for the session is dialled now, or given up.
    fn release_hunts_that_wait_for_session(&mut self) {
        for id in self.calls.hunts.waiting_for_session() {
            if self.has_its_call(id) {
                self.calls.hunts.remove(id);
                continue;
            }
            // Another call may have to make way. That ends its hunts, and must not end this one.
            let Some(mut hunt) = self.calls.hunts.remove(id) else { continue };
            let free = self.calls.lines.choose(hunt.line, self.cx.now.at).is_some();
            let may_call = self.session.is_registered() && free && self.make_way_for_second_call().is_ok();
            if may_call {
                hunt.wait = None;
            }
            self.calls.hunts.add(hunt);
            if may_call {
                self.advance_hunt(id);
            } else {
                self.give_up_waiting(id);
            }
        }
    }

    /// Continues the hunts that waited for a line and have one now: those that replace another call, and redials.
    pub(super) fn release_hunts_that_wait_for_line(&mut self) {
        if !self.session.is_registered() {
            return;
        }
        let mut ready = self.calls.hunts.waiting_for_line();
        ready.retain(|(_, choice)| self.calls.lines.choose(*choice, self.cx.now.at).is_some());
        for (id, _) in ready {
            if let Some(hunt) = self.calls.hunts.get_mut(id) {
                hunt.wait = None;
            }
            self.advance_hunt(id);
        }
    }

    /// Whether a call of the same button or sensor has come back with the session. Then the visitor who pressed is in
    /// that call.
    fn has_its_call(&self, id: HuntId) -> bool {
        let pressed = self.calls.hunts.get(id).filter(|hunt| !hunt.redial).map(|hunt| hunt.origin.source);
        pressed.is_some_and(|source| {
            source.is_the_door()
                && self.calls.lines.active().any(|(_, call)| call.origin.source == source && call.hunt != Some(id))
        })
    }

    /// Reports why a press, a sensor or a door did not become a call.
    pub(in crate::core) fn report_no_call(&mut self, source: Source, reason: String) {
        let fact = match source {
            Source::Button(ButtonIndex(index)) => {
                let button = self.cx.config.buttons.get(index).map(|button| button.name.clone()).unwrap_or_default();
                Fact::PressRefused { button, reason }
            }
            Source::Sensor(SensorIndex(index)) => {
                let sensor = self.cx.config.sensors.get(index).map(|sensor| sensor.name.clone()).unwrap_or_default();
                Fact::SensorRefused { sensor, reason }
            }
            Source::Door(DoorIndex(index)) => {
                let door = self.cx.config.doors.get(index).map(|door| door.name.clone()).unwrap_or_default();
                Fact::DoorRefused { door, reason }
            }
            Source::Schedule(ScheduleIndex(index)) => {
                let schedule = self.cx.config.schedules.get(index).map(|schedule| schedule.name.clone());
                Fact::ScheduleRefused { schedule: schedule.unwrap_or_default(), reason }
            }
            Source::Reader(ReaderIndex(index)) => {
                let reader = self.cx.config.readers.get(index).map(|reader| reader.name.clone()).unwrap_or_default();
                Fact::ReaderRefused { reader, reason }
            }
            Source::Station | Source::FarEnd => return,
        };
        self.cx.fact(fact);
    }
}
