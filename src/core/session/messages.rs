//! Handles the messages of the server, as far as they concern the session itself.

use std::time::Duration;

use super::state::{News, Phase, Rejection, Session};
use crate::core::api::SessionState;
use crate::core::context::Context;
use crate::signaling::{
    Event, EventBody, FrameError, Registration, RegistrationStatus, Response, ResponseBody, ServerMessage,
    StateHandshake,
};

/// The most causes of problems that are remembered, so that each is reported once.
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
                // `state` comes once in a connection. A second one is older than what was done since.
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
            // A senseless value must make us neither flood the server nor fall silent.
            keepalive_interval: Duration::from_millis(state.keepalive_interval.clamp(1_000, 3_600_000)),
            last_sent: now,
            keepalive: None,
        };
        self.counters.sessions += 1;
        self.tried_renewal = false;
        self.force = true;
        self.server_lines = u32::try_from(state.lines.len()).unwrap_or(u32::MAX);
        self.set_registration(state.registration.clone());
        self.ask_for_ice_servers(cx);
        vec![News::Up(Box::new(state))]
    }

    pub(super) fn set_registration(&mut self, registration: Registration) {
        self.registration = registration.status;
        if registration.status == RegistrationStatus::Registered {
            self.set_state(SessionState::Registered, None);
        } else {
            let message = match (registration.code, registration.reason) {
                (Some(code), Some(reason)) => format!("{code} {reason}"),
                (Some(code), None) => code.to_string(),
                (None, Some(reason)) => reason,
                (None, None) => match registration.status {
                    RegistrationStatus::Registering => "registration is in progress",
                    RegistrationStatus::RegistrationFailed => "registration failed",
                    RegistrationStatus::Unregistering => "registration is being withdrawn",
                    RegistrationStatus::Unregistered | RegistrationStatus::Registered => "not registered",
                }
                .to_owned(),
            };
            self.set_state(SessionState::Unregistered, Some(message));
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
                let said = |message: &String| (!message.is_empty()).then(|| message.clone());
                registration(RegistrationStatus::RegistrationFailed, (*code != 0).then_some(*code), said(reason))
            }
            EventBody::Unregistering {} => registration(RegistrationStatus::Unregistering, None, None),
            EventBody::Unregistered {} => registration(RegistrationStatus::Unregistered, None, None),
            _ => return,
        };
        // While a registration is being refreshed, calls are still possible.
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
            let problem = format!("{what} for a request that is over: it came after the time-out");
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

    /// Reports a problem once for each cause.
    fn tell_once(&mut self, cause: String, problem: String, cx: &mut Context) {
        if !self.told_causes.contains(&cause) && self.told_causes.len() < MAX_TOLD_CAUSES {
            self.told_causes.push(cause);
            cx.protocol_problem(problem);
        }
    }
}
