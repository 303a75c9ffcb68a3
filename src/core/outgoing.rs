//! Calls that the station makes: hunts, dialing, and the end of a call whoever started it.

use crate::config::{CallAction, SecondCall, Sound};
use crate::signaling::{Jsep, RequestBody};

use super::call::{Call, Direction, ENDING_TIMEOUT, FAREWELL_PATIENCE, HuntId, Origin, Phase, Source, Update};
use super::cause::Cause;
use super::command::{Done, Refusal};
use super::effect::{Effect, MediaCommand};
use super::hunt::Hunt;
use super::session::Rejection;
use super::station::Station;

/// A line that answered "wrong state" is left alone for so long.
const WRONG_STATE_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);
/// Hunts at a time: more than buttons that one hand can press.
const MAX_HUNTS: usize = 16;

impl Station {
    /// Starts to reach somebody. The person at the door has a sign when this returns.
    pub(super) fn start_hunt(&mut self, origin: &Origin, action: &CallAction) -> Result<Done, Refusal> {
        if self.shutting_down {
            return Err(Refusal::ShuttingDown);
        }
        let mut hunt = Hunt::new(self.new_hunt_id(), origin.clone(), action, self.config.calls.ring_timeout);
        if !self.session.is_registered() {
            return self.wait_for_session(hunt);
        }
        // Nothing is held or ended for a call that has no line to go to.
        let free = self.lines.choose(action.line, self.now.at).is_some() && self.hunts.len() < MAX_HUNTS;
        if !free && self.config.calls.second_call != SecondCall::Replace {
            self.play(Sound::Busy, false);
            return Err(Refusal::NoFreeLine);
        }
        if let Err(refusal) = self.make_way_for_second_call() {
            self.play(Sound::Busy, false);
            return Err(refusal);
        }
        self.play(Sound::Connecting, false);
        let id = hunt.id;
        // A call that is being replaced leaves its line in a moment.
        hunt.waits_for_line = !free;
        hunt.waits_until = (!free).then(|| self.now.at + ENDING_TIMEOUT);
        self.hunts.push(hunt);
        self.advance_hunt(id);
        Ok(Done::Now)
    }

    /// Calls once more after a call without media; waits for its line where there is no other.
    pub(super) fn redial(&mut self, origin: &Origin, action: &CallAction) {
        let mut hunt = Hunt::new(self.new_hunt_id(), origin.clone(), action, self.config.calls.ring_timeout);
        let id = hunt.id;
        hunt.redial = true;
        hunt.waits_for_line = self.lines.choose(action.line, self.now.at).is_none();
        hunt.waits_until = hunt.waits_for_line.then(|| self.now.at + ENDING_TIMEOUT);
        self.hunts.push(hunt);
        self.advance_hunt(id);
    }

    /// A press made offline is kept for `press_max_age_s`, if there is any hope.
    fn wait_for_session(&mut self, mut hunt: Hunt) -> Result<Done, Refusal> {
        let patience = self.config.calls.press_max_age;
        let from_the_door = matches!(hunt.origin.source, Source::Button(_) | Source::Sensor(_));
        let hope = !self.session.is_up() && self.session.may_be_up_within(patience, self.now.at);
        if from_the_door && hope && !patience.is_zero() && self.hunts.len() < MAX_HUNTS {
            self.session.hurry(self.now.at);
            hunt.waits_until = Some(self.now.at + patience);
            self.hunts.push(hunt);
            self.play(Sound::Connecting, false);
            return Ok(Done::Waits(patience));
        }
        self.play(Sound::NoConnection, false);
        let state = self.session.state();
        let words = self.session.reason().map_or_else(|| state.to_string(), |reason| format!("{state}: {reason}"));
        Err(Refusal::NotRegistered(words))
    }

    /// Applies `calls.second_call` to the calls that are there.
    pub(super) fn make_way_for_second_call(&mut self) -> Result<(), Refusal> {
        let others: Vec<(usize, bool)> =
            self.lines.active().map(|(line, call)| (line, call.is_established())).collect();
        if others.is_empty() {
            return Ok(());
        }
        let all_established = others.iter().all(|(_, established)| *established);
        match self.config.calls.second_call {
            SecondCall::Reject => Err(Refusal::NoFreeLine),
            SecondCall::Hold | SecondCall::Mix if !all_established => Err(Refusal::NoFreeLine),
            SecondCall::Mix => Ok(()),
            SecondCall::Hold => {
                for (line, _) in others {
                    self.hold(line, true);
                }
                Ok(())
            }
            SecondCall::Replace => {
                self.hunts.iter_mut().for_each(|hunt| hunt.cancelled = true);
                for (line, _) in others {
                    self.hang_up(line, Cause::new(200, "replaced by another call"));
                }
                Ok(())
            }
        }
    }

    /// Calls the next number of a hunt where one may ring, and ends the hunt when it is over.
    pub(super) fn advance_hunt(&mut self, id: HuntId) {
        loop {
            let legs = self.lines.of_hunt(id);
            let Some(hunt) = self.hunts.iter().find(|hunt| hunt.id == id) else { return };
            if hunt.waits_until.is_some() {
                return;
            }
            if legs.is_empty() && !hunt.has_more() {
                return self.end_hunt(id);
            }
            if legs.len() >= hunt.width() || !hunt.has_more() {
                return;
            }
            if !self.session.is_registered() {
                if legs.is_empty() {
                    let cause = Cause::new(503, "the session with the server is lost");
                    self.note_cause(id, cause.of_unanswered(false));
                    self.end_hunt(id);
                }
                return;
            }
            let Some(line) = self.lines.choose(hunt.line, self.now.at) else {
                if legs.is_empty() {
                    self.note_cause(id, Cause::new(486, "every line is busy").of_unanswered(false));
                    self.end_hunt(id);
                }
                return;
            };
            let (origin, ring) = (hunt.origin.clone(), hunt.ring);
            let number = self.hunts.iter_mut().find(|hunt| hunt.id == id).and_then(Hunt::take_number);
            let Some(number) = number else { return };
            let deadline = self.now.at + ring;
            self.dial(line, number, origin, Some(id), deadline);
        }
    }

    fn note_cause(&mut self, id: HuntId, cause: Cause) {
        if let Some(hunt) = self.hunts.iter_mut().find(|hunt| hunt.id == id) {
            hunt.note(cause);
        }
    }

    fn end_hunt(&mut self, id: HuntId) {
        let Some(index) = self.hunts.iter().position(|hunt| hunt.id == id) else { return };
        let hunt = self.hunts.remove(index);
        if hunt.answered || hunt.cancelled {
            return;
        }
        if let Some(sound) = hunt.cause.as_ref().and_then(Cause::tone) {
            self.play(sound, false);
        }
    }

    /// Presses that waited for the session: dialled, or given up.
    pub(super) fn run_hunt_deadlines(&mut self) {
        let now = self.now.at;
        let given_up: Vec<HuntId> = self
            .hunts
            .iter()
            .filter(|hunt| hunt.waits_until.is_some_and(|until| now >= until))
            .map(|hunt| hunt.id)
            .collect();
        for id in given_up {
            self.give_up_waiting(id);
        }
    }

    fn give_up_waiting(&mut self, id: HuntId) {
        let Some(index) = self.hunts.iter().position(|hunt| hunt.id == id) else { return };
        let hunt = self.hunts.remove(index);
        let state = self.session.state();
        self.tell_no_call(hunt.origin.source, format!("no session: {state}"));
        self.play(Sound::NoConnection, false);
    }

    /// The session is up: what waited is dialled now, or refused.
    pub(super) fn release_waiting_hunts(&mut self) {
        let waiting: Vec<HuntId> =
            self.hunts.iter().filter(|hunt| hunt.waits_until.is_some()).map(|hunt| hunt.id).collect();
        for id in waiting {
            if self.has_its_call(id) {
                self.hunts.retain(|hunt| hunt.id != id);
                continue;
            }
            let line = self.hunts.iter().find(|hunt| hunt.id == id).map(|hunt| hunt.line);
            let free = line.is_some_and(|line| self.lines.choose(line, self.now.at).is_some());
            if !self.session.is_registered() || !free || self.make_way_for_second_call().is_err() {
                self.give_up_waiting(id);
                continue;
            }
            if let Some(hunt) = self.hunts.iter_mut().find(|hunt| hunt.id == id) {
                hunt.waits_until = None;
            }
            self.advance_hunt(id);
        }
    }

    /// A call of the same button has come back with the session: the visitor who pressed is in it.
    fn has_its_call(&self, id: HuntId) -> bool {
        let pressed = self.hunts.iter().find(|hunt| hunt.id == id && !hunt.redial).map(|hunt| hunt.origin.source);
        pressed.is_some_and(|source| {
            matches!(source, Source::Button(_) | Source::Sensor(_))
                && self.lines.active().any(|(_, call)| call.origin.source == source && call.hunt != Some(id))
        })
    }

    fn dial(&mut self, line: usize, number: String, origin: Origin, hunt: Option<HuntId>, deadline: super::time::Time) {
        let id = self.random.call_id();
        let phase = Phase::Dialing { sent: false, deadline };
        let mut call = Call::new(id, Direction::Outgoing, number, origin, phase, self.now.at);
        call.hunt = hunt;
        call.ring = Some(deadline.since(self.now.at));
        call.redial = self.hunts.iter().any(|of| Some(of.id) == hunt && of.redial);
        if let Some(warm) = self.warm.take() {
            call.media = Some(warm.media);
            call.offer = warm.offer;
            call.candidates = warm.candidates;
        } else {
            call.media = Some(self.new_media(MediaCommand::Offer));
        }
        self.lines.put(line, call);
        self.try_dial(line);
    }

    /// Sends `outgoing_call` once the offer is made and the line is clean.
    pub(super) fn try_dial(&mut self, line: usize) {
        if self.lines.is_cooling(line, self.now.at) || !self.session.is_up() {
            return;
        }
        let Some(call) = self.lines.call(line) else { return };
        let (Phase::Dialing { sent: false, deadline }, Some(sdp)) = (&call.phase, &call.offer) else { return };
        let (deadline, id) = (*deadline, call.id.clone());
        let body = RequestBody::OutgoingCall {
            number: call.number.clone(),
            jsep: Jsep::offer(sdp.clone()),
            from: None,
            refer_id: None,
            replaces: None,
        };
        let transaction = self.send(line, Some(id), body);
        if transaction.is_some()
            && let Some(call) = self.lines.call_mut(line)
        {
            call.transaction = transaction;
            call.phase = Phase::Dialing { sent: true, deadline };
        }
    }

    /// `outgoing_call` was refused by the core: a line that is still being cleaned is worth a
    /// second try on another one.
    pub(super) fn dial_rejected(&mut self, line: usize, rejection: &Rejection) {
        use crate::signaling::response_code::{UNKNOWN, WRONG_STATE, WRONG_WEBRTC_STATE};
        let busy_line = matches!(rejection.code, WRONG_STATE | UNKNOWN | WRONG_WEBRTC_STATE);
        let retry = busy_line
            && self
                .lines
                .call(line)
                .is_some_and(|call| !call.retried && matches!(call.phase, Phase::Dialing { .. }) && !call.trickle_open);
        if self.lines.call(line).is_some_and(Call::is_ending) || !retry {
            self.finish(line, Cause::of_the_server(rejection.code, rejection.reason.clone()));
            return;
        }
        let Some(mut call) = self.lines.take(line, self.now.at) else { return };
        if let Some(left) = self.lines.get_mut(line) {
            left.cooling_until = Some(self.now.at + WRONG_STATE_PAUSE);
        }
        call.retried = true;
        call.trickle_open = false;
        if let Phase::Dialing { deadline, .. } | Phase::Alerting { deadline, .. } = call.phase {
            call.phase = Phase::Dialing { sent: false, deadline };
        }
        let choice = call
            .hunt
            .and_then(|id| self.hunts.iter().find(|hunt| hunt.id == id))
            .map_or(crate::config::LineChoice::Any, |hunt| hunt.line);
        let line = self.lines.choose(choice, self.now.at).unwrap_or(line);
        self.lines.put(line, call);
        self.try_dial(line);
    }

    /// Ends a call from our side: the intent is remembered, the request goes out, the peer
    /// connection closes at its `ack` (`protocol.md`, "Edge cases": hang up in order).
    pub(super) fn hang_up(&mut self, line: usize, cause: Cause) {
        self.abandon_digits(line);
        let Some(call) = self.lines.call(line) else { return };
        let id = call.id.clone();
        let body = match call.phase {
            Phase::Ending { .. } => return,
            Phase::Dialing { sent: false, .. } => {
                self.finish(line, cause);
                return;
            }
            // A ringing call takes no hangup: the server would ignore it.
            Phase::Incoming { .. } | Phase::Answering { sent: false, .. } => RequestBody::Decline { refer_id: None },
            _ => RequestBody::Hangup {},
        };
        let cause = match call.phase {
            Phase::Dialing { .. } | Phase::Alerting { .. } => cause.of_unanswered(call.has_rung()),
            _ => cause,
        };
        let sent = self.send(line, Some(id), body).is_some();
        let now = self.now.at;
        if sent {
            if let Some(call) = self.lines.call_mut(line) {
                call.update = Update::Idle;
                call.phase = Phase::Ending {
                    cause,
                    media_closes_at: Some(now + FAREWELL_PATIENCE),
                    deadline: now + ENDING_TIMEOUT,
                };
            }
        } else {
            // Offline: the session sends it first after the reconnect.
            self.finish(line, cause);
        }
    }

    pub(super) fn hang_up_all(&mut self, words: &str) {
        self.hunts.iter_mut().for_each(|hunt| hunt.cancelled = true);
        for line in 0..self.lines.len() {
            self.hang_up(line, Cause::new(200, words));
        }
        self.hunts.retain(|hunt| hunt.waits_until.is_none());
    }

    /// The peer connection of an ending call has no use any more.
    pub(super) fn close_media(&mut self, line: usize) {
        let media = self.lines.call_mut(line).and_then(|call| call.media.take());
        if let Some(media) = media {
            self.push(Effect::Media(media, MediaCommand::Close));
        }
        if let Some(Call { phase: Phase::Ending { media_closes_at, .. }, .. }) = self.lines.call_mut(line) {
            *media_closes_at = None;
        }
    }

    /// The call is over: its line is free, its hunt goes on, a held call comes back.
    pub(super) fn finish(&mut self, line: usize, cause: Cause) {
        self.abandon_digits(line);
        self.close_media(line);
        let Some(call) = self.lines.take(line, self.now.at) else { return };
        let (cause, up) = match &call.phase {
            Phase::Ending { cause: ours, .. } => (ours.clone(), true),
            phase => (cause, matches!(phase, Phase::Established { .. })),
        };
        // What ended from our side has its outcome by now.
        let nobody_took_it = call.direction == Direction::Outgoing && !up;
        let cause = if nobody_took_it { cause.of_unanswered(call.has_rung()) } else { cause };
        self.tell_end(line, &call, &cause);
        if let Some(hunt) = call.hunt {
            self.note_cause(hunt, cause);
            self.advance_hunt(hunt);
        }
        self.release_replacing_hunts();
        self.resume_after(line);
    }

    /// A hunt that waited for the line of the call that it replaces, or calls once more.
    fn release_replacing_hunts(&mut self) {
        if !self.session.is_registered() {
            return;
        }
        let now = self.now.at;
        let waiting = self.hunts.iter().filter(|hunt| hunt.waits_until.is_some() && hunt.waits_for_line);
        let ready: Vec<HuntId> =
            waiting.filter(|hunt| self.lines.choose(hunt.line, now).is_some()).map(|hunt| hunt.id).collect();
        for id in ready {
            if let Some(hunt) = self.hunts.iter_mut().find(|hunt| hunt.id == id) {
                hunt.waits_until = None;
                hunt.waits_for_line = false;
            }
            self.advance_hunt(id);
        }
    }
}
