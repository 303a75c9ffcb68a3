//! Handles what the socket and the session API report.

use std::time::Duration;

use super::state::{News, Phase, Session};
use crate::core::api::TokenError;
use crate::core::context::Context;
use crate::core::time::Now;
use crate::signaling::SocketEvent;

/// The server must send `state` within this time after the upgrade.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);

impl Session {
    /// Handles an event of the socket. Returns what the calls must know.
    pub(in crate::core) fn handle(&mut self, event: SocketEvent, cx: &mut Context) -> Vec<News> {
        let Now { at: now, local: clock } = cx.now;
        match event {
            SocketEvent::Opened { local } => {
                if matches!(self.phase, Phase::Connecting { .. }) {
                    self.phase = Phase::AwaitingState { deadline: now + STATE_TIMEOUT, local };
                }
                Vec::new()
            }
            SocketEvent::Failed(failure) => {
                self.connect_failed(failure, clock.is_some(), cx);
                Vec::new()
            }
            SocketEvent::Closed(cause) => self.lost(cause, cx),
            SocketEvent::BadFrame(error) => {
                self.heard_at = now;
                self.count_bad_frame(&error, cx);
                Vec::new()
            }
            SocketEvent::Message(message) => {
                self.heard_at = now;
                self.message(*message, cx)
            }
        }
    }

    /// Handles the session API's answer to a login.
    pub(in crate::core) fn token(&mut self, result: Result<(), TokenError>, cx: &mut Context) {
        let Now { at: _now, local: clock } = cx.now;
        if !matches!(self.phase, Phase::ObtainingToken { .. }) {
            return;
        }
        match result {
            Ok(()) => self.connect(cx),
            Err(TokenError::NotConfigured) => self.refuse("there is no token, and nothing to log in with", cx),
            Err(TokenError::Refused(message)) => self.refuse(&format!("login refused: {message}"), cx),
            Err(TokenError::NotYetValid(_)) if clock.is_none() => {
                self.tried_renewal = false;
                self.wait_for_time(cx);
            }
            Err(TokenError::Failed(message) | TokenError::NotYetValid(message)) => {
                // The next attempt has no token either, so it must be allowed to log in again.
                self.tried_renewal = false;
                self.retry_later(false, &format!("login failed: {message}"), cx);
            }
        }
    }
}
