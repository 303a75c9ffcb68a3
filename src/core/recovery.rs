//! After every `state` handshake: our calls and the server's become the same again
//! (`protocol.md`, "Recovery after a reconnect", rules 1 to 4 and 6).

use crate::config::{AnswerAction, CallMode};
use crate::signaling::{CallId, Event, EventBody, LineState, LogMessage, RequestBody, StateHandshake};

use super::by::By;
use super::call::{Call, Direction, Origin, Phase, Source, Update};
use super::cause::Cause;
use super::effect::MediaCommand;
use super::station::Station;
use super::transactions::ServerHas;

/// A server call as its log tells it.
struct ServerCall<'a> {
    line: usize,
    call_id: &'a CallId,
    state: &'a LineState,
}

impl ServerCall<'_> {
    fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.state.call_logs.iter().filter_map(|entry| match &entry.1 {
            LogMessage::Event(event) => Some(event.as_ref()),
            _ => None,
        })
    }

    /// The newest entry is the end of the call.
    fn end(&self) -> Option<Cause> {
        match &self.events().next()?.body {
            EventBody::Hangup { code, reason } => Some(Cause::new(*code, reason.clone())),
            EventBody::MissedCall { .. } => Some(Cause::new(486, "missed")),
            _ => None,
        }
    }

    /// The far end's re-INVITE that nobody has answered yet.
    fn open_offer(&self) -> Option<String> {
        let newest = self.events().find_map(|event| match &event.body {
            EventBody::UpdatingCall(invitation) => Some(invitation.jsep.as_ref()),
            EventBody::Updated { .. } | EventBody::Accepted { .. } => Some(None),
            _ => None,
        });
        newest.flatten().map(|jsep| jsep.sdp.clone())
    }

    /// An incoming call that nobody has answered.
    fn rings(&self) -> bool {
        self.invitation().is_some() && !self.has_accepted()
    }

    fn has_accepted(&self) -> bool {
        self.events().any(|event| matches!(event.body, EventBody::Accepted { .. }))
    }

    fn is_being_answered(&self) -> bool {
        self.events().any(|event| matches!(event.body, EventBody::Accepting {} | EventBody::Accepted { .. }))
    }

    fn invitation(&self) -> Option<&Event> {
        self.events().rev().find(|event| matches!(event.body, EventBody::IncomingCall(_)))
    }
}

impl Station {
    pub(super) fn recover(&mut self, state: StateHandshake) {
        self.lines.resize(self.session.server_lines());
        let server: Vec<ServerCall<'_>> = state
            .lines
            .iter()
            .enumerate()
            .filter_map(|(line, state)| {
                let state = state.as_ref()?;
                Some(ServerCall { line, call_id: state.call_id.as_ref()?, state })
            })
            .collect();
        let live: Vec<ServerHas> = server
            .iter()
            .filter(|call| call.end().is_none())
            .map(|call| ServerHas { call_id: call.call_id.clone(), rings: call.rings() })
            .collect();
        let said_goodbye: Vec<CallId> = live
            .iter()
            .map(|theirs| theirs.call_id.clone())
            .filter(|call_id| self.session.has_farewell(call_id))
            .collect();
        self.session.resend_farewells(&live, self.now.at, &mut self.effects);
        self.compare_local_calls(&server);
        for call in &server {
            let ended = call.end().is_some() || said_goodbye.contains(call.call_id);
            if !ended && self.lines.find(call.call_id).is_none() {
                self.take_up(call);
            }
        }
        // The server has said which of the former calls live.
        self.recalled.clear();
        for line in 0..self.lines.len() {
            self.try_dial(line);
        }
        self.release_waiting_hunts();
    }

    /// Rules 1 and 2.
    fn compare_local_calls(&mut self, server: &[ServerCall<'_>]) {
        // A call that begins on the way is newer than the server's word.
        let ours: Vec<(usize, CallId)> = self.lines.calls().map(|(line, call)| (line, call.id.clone())).collect();
        for (line, id) in ours {
            let Some(call) = self.lines.call(line).filter(|call| call.id == id) else { continue };
            if !call.is_known_to_server() {
                continue;
            }
            let Some(theirs) = server.iter().find(|theirs| *theirs.call_id == call.id) else {
                if self.never_arrived(line) {
                    continue;
                }
                self.finish(line, Cause::new(481, "the server no longer has the call"));
                continue;
            };
            if let Some(cause) = theirs.end() {
                self.finish(line, cause);
                continue;
            }
            self.catch_up(line, theirs);
            let answering = self.lines.call(line).is_some_and(|call| matches!(call.phase, Phase::Answering { .. }));
            if answering && !theirs.is_being_answered() {
                // Our answer went down with the socket.
                self.send_accept(line);
            }
            match theirs.open_offer() {
                Some(offer) if self.lines.call(line).is_some_and(Call::is_established) => {
                    self.answer_before_repair(line, offer);
                }
                _ => self.repair_after_reconnect(line),
            }
        }
    }

    /// A request to call that went down with its socket is sent again, while the press is young.
    fn never_arrived(&mut self, line: usize) -> bool {
        let (now, press_max_age) = (self.now.at, self.config.calls.press_max_age);
        let Some(call) = self.lines.call_mut(line) else { return false };
        let Phase::Dialing { sent: true, deadline } = call.phase else { return false };
        if call.trickle_open || now.since(call.started_at) > press_max_age {
            return false;
        }
        call.phase = Phase::Dialing { sent: false, deadline };
        true
    }

    /// Applies what happened while we were away, oldest first.
    fn catch_up(&mut self, line: usize, theirs: &ServerCall<'_>) {
        let setting_up = self.lines.call(line).is_some_and(|call| {
            matches!(call.phase, Phase::Dialing { .. } | Phase::Alerting { .. } | Phase::Answering { .. })
        });
        if !setting_up {
            return;
        }
        let missed: Vec<Event> = theirs.events().rev().cloned().collect();
        let id = self.lines.call(line).map(|call| call.id.clone());
        for event in missed {
            // What ends the call may begin another one on its line.
            if self.lines.call(line).map(|call| &call.id) != id.as_ref() {
                return;
            }
            if !matches!(event.body, EventBody::IncomingCall(_)) {
                self.known_call_event(line, event);
            }
        }
    }

    /// Rule 4: a server call that we do not know.
    fn take_up(&mut self, theirs: &ServerCall<'_>) {
        let invitation = theirs.invitation().cloned();
        let free = theirs.line < self.lines.len() && self.lines.call(theirs.line).is_none();
        let restorable = theirs.has_accepted() && free && !self.shutting_down;
        let recalled = self.take_recalled(theirs.call_id).map(FormerLife::Remembered);
        if restorable && let Some(former) = recalled.or_else(|| self.former_life(theirs, invitation.as_ref())) {
            self.restore(theirs, former);
        } else if let (Some(Event { body: EventBody::IncomingCall(invitation), .. }), false) =
            (invitation, theirs.has_accepted())
        {
            self.invited(theirs.line, theirs.call_id.clone(), invitation);
        } else {
            self.send(theirs.line, Some(theirs.call_id.clone()), RequestBody::Hangup {});
        }
    }

    /// Who called whom, and in which mode, as far as the log proves it: a caller that no rule admits,
    /// and a call of which nobody knows who started it, are not taken up.
    fn former_life(&self, theirs: &ServerCall<'_>, invitation: Option<&Event>) -> Option<FormerLife> {
        if let Some(EventBody::IncomingCall(invitation)) = invitation.map(|event| &event.body) {
            let number = crate::sip_address::caller(&invitation.caller, &self.config.core.sip_domains);
            let rule = self.answer_rule(&number).filter(|rule| rule.action != AnswerAction::Decline)?;
            return Some(FormerLife::Logged { direction: Direction::Incoming, mode: rule.mode, number });
        }
        let number = called_number(theirs.state)?;
        Some(FormerLife::Logged { direction: Direction::Outgoing, mode: CallMode::Talk, number })
    }

    /// A call that is up and whose peer connection is gone: a new one, by `update`.
    fn restore(&mut self, theirs: &ServerCall<'_>, former: FormerLife) {
        let now = self.now.at;
        let phase = Phase::Answering { with_offer: true, sent: true, deadline: now };
        let id = theirs.call_id.clone();
        let mut call = match &former {
            FormerLife::Remembered(known) => {
                let origin = self.origin_named(known.button.as_deref());
                let mut call =
                    Call::new(id, known.direction, known.number.clone(), origin, phase, known.established_at);
                call.mode = known.mode;
                call.redial = known.redial;
                call.ring = known.ring;
                call.code_entry.wrong_codes = known.wrong_codes;
                call
            }
            FormerLife::Logged { direction, mode, number } => {
                let origin = match direction {
                    Direction::Incoming => Origin { source: Source::FarEnd, by: By::Caller { number: number.clone() } },
                    Direction::Outgoing => self.origin_calling(number),
                };
                let mut call = Call::new(id, *direction, number.clone(), origin, phase, now);
                call.mode = *mode;
                call
            }
        };
        call.trickle_open = true;
        call.media = Some(self.new_media(MediaCommand::Offer));
        self.lines.put(theirs.line, call);
        self.establish(theirs.line);
        let Some(call) = self.lines.call_mut(theirs.line) else { return };
        call.update = Update::Preparing;
        if let (FormerLife::Remembered(known), Phase::Established { talk_ends_at, .. }) = (&former, &mut call.phase) {
            // The talk time goes on where it was, and never beyond what the configuration allows.
            *talk_ends_at = (*talk_ends_at).min(known.talk_ends_at);
            call.established_at = Some(known.established_at);
            call.held = known.held;
            call.held_for_other = known.held_for_other;
        }
    }
}

/// What a restored call was.
enum FormerLife {
    /// As this station remembers it.
    Remembered(super::memory::RememberedCall),
    /// As the server's log proves it.
    Logged { direction: Direction, mode: CallMode, number: String },
}

/// Whom the log's `outgoing_call` was for.
fn called_number(state: &LineState) -> Option<String> {
    state.call_logs.iter().find_map(|entry| match &entry.1 {
        LogMessage::Request(request) => match &request.body {
            RequestBody::OutgoingCall { number, .. } => Some(number.clone()),
            _ => None,
        },
        _ => None,
    })
}
