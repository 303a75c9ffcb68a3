//! What the server says, as far as the session itself is concerned.

use std::time::Duration;

use super::state::{News, Phase, Rejection, Session};
use crate::core::api::SessionState;
use crate::core::context::Context;
use crate::signaling::{
    Event, EventBody, FrameError, Registration, RegistrationStatus, Response, ResponseBody, ServerMessage,
    StateHandshake,
};

/// Names of unknown events that have been logged.
const MAX_TOLD_CAUSES: usize = 64;

impl Session {
    pub(super) fn message(&mut self, message: ServerMessage, cx: &mut Context) -> Vec<News> {
        match message {
            ServerMessage::State(state) => self.state_handshake(*state, cx),
            ServerMessage::Keepalive { transaction } => {
                if let Phase::Up { keepalive, .. } = &mut self.phase
                    && keepalive.as_ref().is_some_and(|(sent, _)| transaction.as_ref().is_none_or(|t| t == sent))
                {
                    *keepalive = None;
                }
                Vec::new()
            }
            ServerMessage::Response(response) => self.response(response, cx),
            ServerMessage::Event(event) => {
                self.note_registration(&event);
                vec![News::Event(event)]
            }
        }
    }

    pub(super) fn state_handshake(&mut self, state: StateHandshake, cx: &mut Context) -> Vec<News> {
        let now = cx.now.at;
        let local = match &self.phase {
            Phase::AwaitingState { local, .. } => *local,
            Phase::Up { .. } => {
                // It comes once in a connection: a second one is older than what we did since.
                let problem = "a second state handshake on one connection".to_owned();
                cx.protocol_problem(problem);
                return Vec::new();
            }
            Phase::Connecting { .. } => None,
            Phase::Waiting { .. } | Phase::WaitingForTime { .. } | Phase::ObtainingToken { .. } => return Vec::new(),
        };
        self.phase = Phase::Up {
            since: now,
            local,
            // A server that asks for nonsense must not make us flood it or fall silent.
            keepalive_interval: Duration::from_millis(state.keepalive_interval.clamp(1_000, 3_600_000)),
            last_sent: now,
            keepalive: None,
        };
        self.counters.sessions += 1;
        self.tried_renewal = false;
        self.force = true;
        self.server_lines = u32::try_from(state.lines.len()).unwrap_or(u32::MAX);
        self.set_registration(state.registration.clone());
        vec![News::Up(Box::new(state))]
    }

    pub(super) fn set_registration(&mut self, registration: Registration) {
        self.registration = registration.status;
        if registration.status == RegistrationStatus::Registered {
            self.set_state(SessionState::Registered, None);
        } else {
            let words = match (registration.code, registration.reason) {
                (Some(code), Some(reason)) => format!("{code} {reason}"),
                (Some(code), None) => code.to_string(),
                (None, Some(reason)) => reason,
                (None, None) => match registration.status {
                    RegistrationStatus::Registering => "registration is on its way",
                    RegistrationStatus::RegistrationFailed => "registration failed",
                    RegistrationStatus::Unregistering => "registration is being withdrawn",
                    RegistrationStatus::Unregistered | RegistrationStatus::Registered => "not registered",
                }
                .to_owned(),
            };
            self.set_state(SessionState::Unregistered, Some(words));
        }
    }

    pub(super) fn note_registration(&mut self, event: &Event) {
        let registration = |status, code, reason| Registration { status, code, reason };
        let change = match &event.body {
            EventBody::Registering {} => registration(RegistrationStatus::Registering, None, None),
            EventBody::Registered { phrase } if phrase.as_deref() == Some("authorization_failure") => {
                registration(RegistrationStatus::RegistrationFailed, None, phrase.clone())
            }
            EventBody::Registered { .. } => registration(RegistrationStatus::Registered, None, None),
            EventBody::RegistrationFailed { code, reason } => {
                let said = |words: &String| (!words.is_empty()).then(|| words.clone());
                registration(RegistrationStatus::RegistrationFailed, (*code != 0).then_some(*code), said(reason))
            }
            EventBody::Unregistering {} => registration(RegistrationStatus::Unregistering, None, None),
            EventBody::Unregistered {} => registration(RegistrationStatus::Unregistered, None, None),
            _ => return,
        };
        // A registration that is being refreshed still takes calls.
        if change.status == RegistrationStatus::Registering && self.registration == RegistrationStatus::Registered {
            return;
        }
        if self.is_up() {
            self.set_registration(change);
        }
    }

    pub(super) fn response(&mut self, response: Response, cx: &mut Context) -> Vec<News> {
        let Some(pending) = response.transaction.as_ref().and_then(|of| self.transactions.close(of)) else {
            self.counters.late_responses += 1;
            let what = match response.body {
                ResponseBody::Ack => "an ack".to_owned(),
                ResponseBody::Error { code, .. } => format!("an error {code}"),
            };
            let problem = format!("{what} without its request: it came after the time-out");
            self.tell_once(problem.clone(), problem, cx);
            return Vec::new();
        };
        let result = match response.body {
            ResponseBody::Ack => Ok(()),
            ResponseBody::Error { code, reason } => Err(Rejection { code, reason }),
        };
        vec![News::Answered(pending, result)]
    }

    pub(super) fn count_bad_frame(&mut self, error: &FrameError, cx: &mut Context) {
        let name = match error {
            FrameError::Unknown { name, .. } => {
                self.counters.unknown_messages += 1;
                name.clone()
            }
            other => {
                self.counters.malformed_frames += 1;
                other.to_string()
            }
        };
        self.tell_once(name, error.to_string(), cx);
    }

    /// A problem is told once for each cause.
    fn tell_once(&mut self, cause: String, problem: String, cx: &mut Context) {
        if !self.told_causes.contains(&cause) && self.told_causes.len() < MAX_TOLD_CAUSES {
            self.told_causes.push(cause);
            cx.protocol_problem(problem);
        }
    }
}
