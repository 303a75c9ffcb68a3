//! The deadlines of all lines and hunts.

use super::call::Phase;
use super::control::CallControl;
use super::liveness::LivenessEvent;
use crate::config::Line;
use crate::core::api::Cause;
use crate::signaling::sip_status;

impl CallControl<'_> {
    /// Does what is due on every line and for every hunt.
    pub(in crate::core) fn run_deadlines(&mut self) {
        self.run_call_deadlines();
        self.run_hunt_deadlines();
    }

    fn run_call_deadlines(&mut self) {
        let now = self.cx.now.at;
        self.calls.lines.settle(now);
        for line in self.calls.lines.numbers() {
            self.try_dial(line);
            let due = self.call(line).is_some_and(|call| call.is_due(now));
            if due {
                self.run_deadlines_of(line);
            }
        }
    }

    fn run_deadlines_of(&mut self, line: Line) {
        let now = self.cx.now.at;
        let Some(call) = self.call(line) else { return };
        match call.phase.clone() {
            Phase::Dialing { sent: false, deadline } if now >= deadline => {
                self.hang_up(
                    line,
                    Cause::new(sip_status::SERVICE_UNAVAILABLE, "the call could not be sent to the server"),
                );
            }
            Phase::Dialing { deadline, .. } | Phase::Alerting { deadline, .. } if now >= deadline => {
                self.hang_up(line, Cause::new(sip_status::TEMPORARILY_UNAVAILABLE, "nobody answered"));
            }
            Phase::Incoming { answer_at: Some(at), .. } if now >= at => self.answer(line),
            Phase::Incoming { deadline, .. } if now >= deadline => {
                self.hang_up(line, Cause::new(sip_status::TEMPORARILY_UNAVAILABLE, "nobody answered here"));
            }
            Phase::Answering { deadline, .. } if now >= deadline => {
                self.hang_up(line, Cause::new(sip_status::REQUEST_TIMEOUT, "the server did not confirm our answer"));
            }
            Phase::Established { talk_ends_at, warned, .. } => {
                self.run_talk_deadlines(line, talk_ends_at, warned);
                self.liveness(line, LivenessEvent::Due);
            }
            Phase::Ending { deadline, .. } if now >= deadline => {
                self.finish(line, Cause::new(sip_status::REQUEST_TIMEOUT, "the server did not confirm our hangup"));
            }
            Phase::Ending { media_closes_at: Some(at), .. } if now >= at => self.close_media(line),
            _ => {}
        }
        self.run_update_deadline(line);
        self.expire_digits(line);
    }
}
