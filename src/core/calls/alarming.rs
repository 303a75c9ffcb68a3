//! Runs the alarms: their rounds, their precedence over other calls, and their end.

use std::time::Duration;

use super::alarms::Alarm;
use super::call::{Call, ENDING_TIMEOUT, Hold, Phase};
use super::control::CallControl;
use super::hunt::{Hunt, Wait};
use super::id::AlarmId;
use crate::config::{
    Action, Assurance, CallAction, Config, InCall, Line, PlayAction, PlayTo, Playable, Sound, Trigger,
};
use crate::core::api::{AlarmState, AlarmStatus, By, Cause, Done, Fact, Origin, Refusal, RememberedAlarm, Source};
use crate::core::deadline::{Deadline, DeadlineReason};
use crate::core::time::Time;
use crate::mutant::{Mutant, mutant};
use crate::secret::DtmfDigit;
use crate::signaling::sip_status;

/// The talk time of a call that no talk time ends.
const UNLIMITED: Duration = Duration::from_secs(366 * 86_400);

impl CallControl<'_> {
    /// Raises an alarm. If it is on already, its next round begins at once.
    pub(super) fn raise_alarm(&mut self, origin: &Origin, action: &CallAction) -> Result<Done, Refusal> {
        let (now, source) = (self.cx.now.at, origin.source);
        self.cx.play(Sound::Connecting, false);
        let is_full = self.calls.alarms.is_full();
        let known = self.calls.alarms.find(source, action);
        let id = match known {
            None if is_full => return Err(Refusal::TooManyAlarms),
            None => {
                self.report_alarm(AlarmState::Raised, origin.by.clone());
                self.calls.alarms.add(origin.clone(), action.clone(), AlarmState::Raised, now)
            }
            Some(id) => id,
        };
        if let Some(alarm) = self.calls.alarms.get_mut(id) {
            alarm.hurry(now);
            // Whoever is in trouble calls again, although somebody has taken the first call.
            if !alarm.is_trying() {
                alarm.enter(AlarmState::Raised, now);
                self.report_alarm(AlarmState::Raised, origin.by.clone());
            }
        }
        if !self.session.is_registered() {
            self.session.hurry(now);
        }
        self.settle_alarm(id);
        Ok(Done::Now)
    }

    /// Begins the rounds that are due, and ends the alarms that are over.
    pub(in crate::core) fn settle_alarms(&mut self) {
        for id in self.calls.alarms.ids() {
            self.settle_alarm(id);
        }
    }

    fn settle_alarm(&mut self, id: AlarmId) {
        if self.cx.shutting_down {
            return;
        }
        let now = self.cx.now.at;
        let in_a_call = self.calls.has_alarm_call(id);
        let Some(alarm) = self.calls.alarms.get_mut(id) else { return };
        if let Some(hunt) = alarm.hunt
            && self.calls.hunts.get(hunt).is_none()
        {
            alarm.rest(now);
        }
        if !alarm.is_trying() {
            if !in_a_call && !self.cx.config.ends_alarms() {
                self.end_alarm(id, By::Station);
            }
            return;
        }
        if !self.session.is_registered() {
            // The next round begins with the session.
            alarm.hurry(now);
        } else if alarm.hunt.is_none() && !in_a_call && now >= alarm.next_round_at {
            self.begin_round(id);
        }
    }

    /// Calls all numbers of an alarm once. Another call leaves its line if there is no other.
    fn begin_round(&mut self, alarm_id: AlarmId) {
        let now = self.cx.now.at;
        let Some(alarm) = self.calls.alarms.get(alarm_id) else { return };
        let (origin, action) = (alarm.origin.clone(), alarm.action.clone());
        let id = self.calls.hunts.new_id();
        let mut hunt = Hunt::new(id, origin, &action, self.cx.config.calls.ring_timeout);
        let free = self.calls.lines.choose(action.line, now).is_some();
        self.make_way_for_alarm(free, None);
        hunt.alarm = Some(alarm_id);
        hunt.wait = (!free).then(|| Wait::ForLine { until: now + ENDING_TIMEOUT });
        self.calls.hunts.add(hunt);
        if let Some(alarm) = self.calls.alarms.get_mut(alarm_id) {
            alarm.hunt = Some(id);
            alarm.rounds = alarm.rounds.saturating_add(1);
        }
        self.advance_hunt(id);
    }

    /// Ordinary calls make way: those that are up are held if there is a line beside them, and all others end.
    pub(super) fn make_way_for_alarm(&mut self, line_is_free: bool, but: Option<Line>) {
        let ordinary = self.calls.lines.active().filter(|(line, call)| !call.assurance.alarm && Some(*line) != but);
        let ordinary: Vec<(Line, bool)> = ordinary.map(|(line, call)| (line, call.is_established())).collect();
        let alarms = &self.calls.alarms;
        for forgotten in self.calls.hunts.stop_others(|hunt| alarms.any_has(hunt)) {
            self.calls.note_not_taken(forgotten.origin.source, "an alarm needed the line".to_owned());
        }
        for (line, is_up) in ordinary {
            if line_is_free && is_up {
                self.hold(line, Hold::ForOtherCall);
            } else {
                self.hang_up(line, Cause::new(sip_status::OK, "an alarm needs the line"));
            }
        }
    }

    /// Whether a call of an alarm is on, or about to be made.
    pub(in crate::core) fn alarm_is_on(&self) -> bool {
        self.calls.lines.active().any(|(_, call)| call.assurance.alarm)
            || self.calls.hunts.any(|hunt| hunt.assurance.alarm)
    }

    /// Whether the call on this line is one of an alarm.
    pub(in crate::core) fn is_of_alarm(&self, line: Line) -> bool {
        self.call(line).is_some_and(|call| call.assurance.alarm)
    }

    pub(in crate::core) fn has_alarm_of(&self, source: Source) -> bool {
        self.calls.alarms.any_of(source)
    }

    /// Ends all alarms. A call that somebody has taken goes on as an ordinary one.
    pub(in crate::core) fn end_alarms(&mut self, by: &By) {
        for id in self.calls.alarms.ids() {
            self.end_alarm(id, by.clone());
        }
    }

    fn end_alarm(&mut self, id: AlarmId, by: By) {
        let Some(alarm) = self.calls.alarms.remove(id) else { return };
        if let Some(hunt) = alarm.hunt {
            self.calls.hunts.stop(hunt);
        }
        let calls = self.calls.lines.active().filter(|(_, call)| call.alarm == Some(id));
        let calls: Vec<(Line, bool)> = calls.map(|(line, call)| (line, call.is_taken())).collect();
        for (line, is_taken) in calls {
            if is_taken {
                self.begin_talk(line, Assurance::default());
            } else {
                self.hang_up(line, Cause::new(sip_status::OK, "the alarm was ended"));
            }
        }
        self.report_alarm(AlarmState::Ended, by);
    }

    /// A digit of a call that must be confirmed. Returns whether it was that of a confirmation; until then no other one
    /// means anything.
    pub(super) fn confirming_digit(&mut self, line: Line, digit: DtmfDigit) -> bool {
        let asked = self.call(line).filter(|call| call.is_established()).and_then(|call| call.assurance.confirm);
        let Some(confirm) = asked else { return false };
        if digit == confirm.digit {
            self.cx.play(Sound::Accepted, true);
            self.taken(line);
        }
        true
    }

    /// A person has taken the call, and has confirmed it where that is asked for.
    pub(super) fn taken(&mut self, line: Line) {
        let Some(call) = self.call(line) else { return };
        let (origin, hunt, assurance, alarm) = (call.origin.clone(), call.hunt, call.assurance, call.alarm);
        let by = By::Caller { number: call.number.clone() };
        self.begin_talk(line, Assurance { confirm: None, ..assurance });
        if assurance.confirm.is_none()
            && let Some(what) = assurance.say
        {
            self.calls.say_once(what, &origin);
        }
        self.calls.note_taken(origin.source, assurance.alarm);
        let now = self.cx.now.at;
        let alarm = alarm.and_then(|id| self.calls.alarms.get_mut(id));
        let hunt = hunt.or_else(|| alarm.as_ref()?.hunt);
        if let Some(alarm) = alarm.filter(|alarm| alarm.is_trying()) {
            alarm.enter(AlarmState::Answered, now);
            self.report_alarm(AlarmState::Answered, by);
        }
        if !mutant(Mutant::HuntAfterAnswer)
            && let Some((answered, origin)) = hunt.and_then(|id| self.calls.hunts.answered(id))
        {
            self.calls.come_to(answered, origin);
        }
    }

    /// The other calls of the same wish are over, because the one on `line` is up. Until that one is confirmed, the
    /// numbers that rang are kept.
    pub(super) fn end_other_legs(&mut self, line: Line) {
        let Some(call) = self.call(line) else { return };
        let (hunt, alarm, is_taken) = (call.hunt, call.alarm, call.is_taken());
        let is_leg = |call: &Call| hunt.is_some() && call.hunt == hunt || alarm.is_some() && call.alarm == alarm;
        let others = self.calls.lines.calls().filter(|(other, call)| *other != line && is_leg(call));
        let others: Vec<(Line, _)> = others.map(|(line, call)| (line, call.number.clone())).collect();
        for (other, number) in others {
            if let Some(hunt) = hunt.filter(|_| !is_taken).and_then(|id| self.calls.hunts.get_mut(id)) {
                hunt.put_back(number);
            }
            self.hang_up(other, Cause::new(sip_status::OK, "answered elsewhere"));
        }
    }

    /// Sets how long a call that is up may last, and what is still asked of it.
    pub(super) fn begin_talk(&mut self, line: Line, assurance: Assurance) {
        let now = self.cx.now.at;
        let talk = match assurance {
            Assurance { confirm: Some(confirm), .. } => confirm.within,
            Assurance { alarm: true, .. } => UNLIMITED,
            _ => self.cx.config.calls.max_talk,
        };
        let Some(call) = self.call_mut(line) else { return };
        call.assurance = assurance;
        if let Phase::Established { talk_ends_at, warned, .. } = &mut call.phase {
            *talk_ends_at = now + talk;
            *warned = talk <= super::call::TALK_WARNING || talk == UNLIMITED;
        }
    }

    /// What a caller is to an alarm that is on: its call is answered at once, as one of the alarm.
    pub(super) fn alarm_of_caller(&self, number: &str) -> Option<&Alarm> {
        self.calls.alarms.calling(number)
    }

    /// The station stops. Whoever is in a call of an alarm loses it, so the next process tries again.
    pub(in crate::core) fn alarms_lose_their_calls(&mut self) {
        let now = self.cx.now.at;
        for id in self.calls.alarms.ids() {
            if self.calls.has_alarm_call(id)
                && let Some(alarm) = self.calls.alarms.get_mut(id)
            {
                alarm.enter(AlarmState::Raised, now);
            }
        }
    }

    /// A call of an alarm is over, and nobody has hung up: its media are lost, or the server has forgotten it. Somebody may
    /// still be in trouble, so it is tried again.
    pub(super) fn alarm_lost_its_call(&mut self, line: Line, id: AlarmId) {
        let now = self.cx.now.at;
        let is_another = |(other, call): (Line, &Call)| other != line && call.alarm == Some(id) && call.is_taken();
        if self.calls.lines.active().any(is_another) {
            return;
        }
        let Some(alarm) = self.calls.alarms.get_mut(id) else { return };
        if !alarm.is_trying() {
            // Its round is over.
            alarm.hunt = None;
        }
        alarm.hurry(now);
        let by = alarm.origin.by.clone();
        if !alarm.is_trying() {
            alarm.enter(AlarmState::Raised, now);
            self.report_alarm(AlarmState::Raised, by);
        }
    }

    fn report_alarm(&mut self, state: AlarmState, by: By) {
        self.cx.fact(Fact::Alarm { state, by });
    }
}

impl super::state::Calls {
    /// Whether a call of the alarm is on.
    fn has_alarm_call(&self, id: AlarmId) -> bool {
        self.lines.active().any(|(_, call)| call.alarm == Some(id))
    }

    /// When the next round of an alarm begins, with a session.
    pub(in crate::core) fn alarm_deadline(&self, registered: bool) -> Option<Deadline> {
        let at = self.alarms.next_round_at(|id| self.has_alarm_call(id)).filter(|_| registered);
        at.map(|at| Deadline::new(at, DeadlineReason::AlarmRound))
    }

    /// Whether the microphone stays open although it is muted.
    pub(in crate::core) fn alarm_is_up(&self) -> bool {
        self.lines.active().any(|(_, call)| call.is_established() && call.assurance.alarm)
    }

    pub(in crate::core) fn any_alarm_is(&self, state: AlarmState) -> bool {
        self.alarms.any_is(state)
    }

    pub(in crate::core) fn alarm_status(&self, now: Time) -> Vec<AlarmStatus> {
        self.alarms.status(now)
    }

    pub(in crate::core) fn recall_alarms(&mut self, remembered: Vec<RememberedAlarm>, config: &Config, now: Time) {
        self.alarms.recall(remembered, config, now);
    }

    /// What must outlive the process and a power cut. An alarm whose call is up is tried again after one: whoever was
    /// in that call has lost it.
    pub(in crate::core) fn remembered_alarms(&self, config: &Config) -> Vec<RememberedAlarm> {
        self.alarms.remembered(config, |id| self.has_alarm_call(id))
    }

    /// What a far end hears until it has confirmed, and who has caused the call.
    pub(in crate::core) fn say(&self) -> Option<(Playable, By)> {
        let asked = self.lines.active().filter(|(_, call)| call.is_established() && !call.is_taken());
        let mut hearing = asked.filter(|(_, call)| call.connected && !call.is_on_hold());
        hearing.find_map(|(_, call)| Some((call.assurance.say?, call.origin.by.clone())))
    }

    /// Plays this once to the far end.
    fn say_once(&mut self, what: Playable, origin: &Origin) {
        let play = PlayAction { in_call: InCall::Play, ..PlayAction::once(what, PlayTo::Far) };
        self.come_to(Trigger::of(Action::Play(play)), origin.clone());
    }
}
