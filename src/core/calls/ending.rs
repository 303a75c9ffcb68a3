//! The end of a call, on either side.

use super::call::{Call, ENDING_TIMEOUT, MEDIA_CLOSE_PATIENCE, Phase, Update};
use super::control::CallControl;
use crate::config::Line;
use crate::core::api::{Cause, Direction, MediaCommand, Source, Unanswered};
use crate::signaling::{CallId, RequestBody, sip_status};

impl CallControl<'_> {
    /// Ends a call from our side, in this order: the intention is remembered as a pending hangup, the request is sent,
    /// and the peer connection closes at the `ack` (docs/protocol.md, "Edge cases": "The end of a call";
    /// docs/workarounds.md, "janus: a connection that closes first ends the call").
    pub(super) fn hang_up(&mut self, line: Line, cause: Cause) {
        self.abandon_digits(line);
        let Some(call) = self.call(line) else { return };
        let id = call.id.clone();
        let body = match call.phase {
            Phase::Ending { .. } => return,
            Phase::Dialing { sent: false, .. } => {
                self.finish(line, cause);
                return;
            }
            // The server ignores the hangup of a call that rings here.
            Phase::Incoming { .. } | Phase::Answering { sent: false, .. } => RequestBody::Decline { refer_id: None },
            _ => RequestBody::Hangup {},
        };
        let cause = match call.phase {
            Phase::Dialing { .. } | Phase::Alerting { .. } => cause.of_unanswered(call.has_rung()),
            _ => cause,
        };
        let sent = self.send(line, Some(id), body).is_some();
        let now = self.cx.now.at;
        if sent {
            if let Some(call) = self.call_mut(line) {
                call.update = Update::Idle;
                call.phase = Phase::Ending {
                    cause,
                    media_closes_at: Some(now + MEDIA_CLOSE_PATIENCE),
                    deadline: now + ENDING_TIMEOUT,
                };
            }
        } else {
            // We are offline. The session sends the request first after the reconnect.
            self.finish(line, cause);
        }
    }

    /// Hangs up one line. The remaining numbers of its hunt are not called.
    pub(in crate::core) fn hang_up_line(&mut self, line: Line, message: &str) {
        if let Some(id) = self.call(line).and_then(|call| call.hunt) {
            self.calls.hunts.stop(id);
        }
        self.hang_up(line, Cause::new(sip_status::OK, message));
    }

    pub(in crate::core) fn hang_up_all(&mut self, message: &str) {
        self.calls.hunts.stop_all();
        for line in self.calls.lines.numbers() {
            self.hang_up(line, Cause::new(sip_status::OK, message));
        }
        self.calls.hunts.forget_waiting();
    }

    /// Hangs up every call that this button or sensor has started, and gives up its hunts.
    pub(in crate::core) fn hang_up_of(&mut self, source: Source, message: &str) {
        self.calls.hunts.give_up(source);
        let calls = self.calls.lines.active().filter(|(_, call)| call.origin.source == source);
        let lines: Vec<Line> = calls.map(|(line, _)| line).collect();
        for line in lines {
            self.hang_up(line, Cause::new(sip_status::OK, message));
        }
    }

    /// Closes the peer connection of a call that is ending.
    pub(super) fn close_media(&mut self, line: Line) {
        let media = self.call_mut(line).and_then(|call| call.media.take());
        if let Some(media) = media {
            self.media(media, MediaCommand::Close);
        }
        if let Some(Call { phase: Phase::Ending { media_closes_at, .. }, .. }) = self.call_mut(line) {
            *media_closes_at = None;
        }
    }

    /// The call is over. Its line becomes free, its hunt continues, and a call that was held for it comes back.
    pub(super) fn finish(&mut self, line: Line, cause: Cause) {
        self.abandon_digits(line);
        self.close_media(line);
        let Some(call) = self.calls.lines.take(line, self.cx.now.at) else { return };
        let (cause, up) = match &call.phase {
            Phase::Ending { cause: ours, .. } => (ours.clone(), true),
            phase => (cause, matches!(phase, Phase::Established { .. })),
        };
        // A call that we ended has its cause already.
        let nobody_took_it = call.direction == Direction::Outgoing && !up;
        let cause = if nobody_took_it { cause.of_unanswered(call.has_rung()) } else { cause };
        self.calls.report_end(line, &call, cause.clone(), self.cx);
        if let Some(alarm) = call.alarm.filter(|_| call.established_at.is_some() && cause.code != sip_status::OK) {
            self.alarm_lost_its_call(line, alarm);
        }
        if let Some(hunt) = call.hunt {
            let has_rung =
                call.has_rung() || call.established_at.is_some() || cause.unanswered == Some(Unanswered::NoAnswer);
            self.calls.hunts.note(hunt, cause, has_rung);
            self.advance_hunt(hunt);
        }
        self.release_hunts_that_wait_for_line();
        self.resume_after(line);
    }

    pub(super) fn call_gone(&mut self, call_id: &CallId, message: &str) {
        self.session.forget_call(call_id);
        if let Some(line) = self.calls.lines.find(call_id) {
            self.finish(line, Cause::new(sip_status::NO_SUCH_CALL, message));
        }
    }

    /// The session is lost. Calls continue without it, but nothing that waits for a response does.
    pub(super) fn session_lost(&mut self) {
        let (now, press_max_age) = (self.cx.now.at, self.cx.config.calls.press_max_age);
        for line in self.calls.lines.numbers() {
            let Some(call) = self.call_mut(line) else { continue };
            if matches!(call.update, Update::Preparing | Update::Sent { .. }) {
                call.update = Update::Idle;
            }
            if let Phase::Dialing { sent: false, deadline } = &mut call.phase {
                // It may wait for the session as long as a press that was made offline.
                *deadline = (*deadline).min(now.max(call.started_at + press_max_age));
            }
            if call.is_ending() {
                // The session keeps the pending hangup.
                self.finish(line, Cause::new(sip_status::OK, "ended while offline"));
            }
        }
    }
}
