//! What happens to the existing calls when another one comes (`calls.second_call`), and hold.

use super::call::Hold;
use super::control::CallControl;
use crate::config::{Line, SecondCall};
use crate::core::api::{Cause, Refusal};
use crate::signaling::{RequestBody, sip_status};

impl CallControl<'_> {
    /// Applies `calls.second_call` to the existing calls, before the station makes another one.
    pub(super) fn make_way_for_second_call(&mut self) -> Result<(), Refusal> {
        if self.alarm_is_on() {
            return Err(Refusal::AlarmIsOn);
        }
        let others: Vec<(Line, bool)> =
            self.calls.lines.active().map(|(line, call)| (line, call.is_established())).collect();
        if others.is_empty() {
            return Ok(());
        }
        let all_established = others.iter().all(|(_, established)| *established);
        match self.cx.config.calls.second_call {
            SecondCall::Reject => Err(Refusal::NoFreeLine),
            SecondCall::Hold | SecondCall::Mix if !all_established => Err(Refusal::NoFreeLine),
            SecondCall::Mix => Ok(()),
            SecondCall::Hold => {
                for (line, _) in others {
                    self.hold(line, Hold::ForOtherCall);
                }
                Ok(())
            }
            SecondCall::Replace => {
                self.calls.hunts.stop_all();
                for (line, _) in others {
                    self.hang_up(line, Cause::new(sip_status::OK, "replaced by another call"));
                }
                Ok(())
            }
        }
    }

    pub(super) fn admits_second_call(&self) -> bool {
        if self.alarm_is_on() {
            return false;
        }
        let mut others = self.calls.lines.active().peekable();
        if others.peek().is_none() && self.calls.hunts.is_empty() {
            return true;
        }
        match self.cx.config.calls.second_call {
            SecondCall::Reject => false,
            SecondCall::Replace => true,
            SecondCall::Hold | SecondCall::Mix => {
                others.all(|(_, call)| call.is_established()) && self.calls.hunts.are_over()
            }
        }
    }

    /// Applies `calls.second_call` to the other calls, because the call on `line` is being answered.
    pub(super) fn make_room_for(&mut self, line: Line) {
        if self.is_of_alarm(line) {
            return self.make_way_for_alarm(true, Some(line));
        }
        let others: Vec<Line> =
            self.calls.lines.active().map(|(other, _)| other).filter(|other| *other != line).collect();
        for other in others {
            match self.cx.config.calls.second_call {
                SecondCall::Mix => {}
                SecondCall::Hold => {
                    self.hold(other, Hold::ForOtherCall);
                }
                SecondCall::Reject | SecondCall::Replace => {
                    self.hang_up(other, Cause::new(sip_status::OK, "replaced by another call"));
                }
            }
        }
    }

    /// Holds a call: its sound stops. Returns whether the call could be held.
    pub(in crate::core) fn hold(&mut self, line: Line, hold: Hold) -> bool {
        let Some(call) = self.call_mut(line) else { return false };
        if !call.is_established() || call.is_held() {
            return false;
        }
        call.hold = hold;
        let id = call.id.clone();
        self.send(line, Some(id), RequestBody::Hold { direction: None });
        true
    }

    /// Continues a held call. Returns whether there was one on this line.
    pub(in crate::core) fn unhold(&mut self, line: Line) -> bool {
        let Some(call) = self.call_mut(line) else { return false };
        if !call.is_established() || !call.is_held() {
            return false;
        }
        call.hold = Hold::No;
        let id = call.id.clone();
        self.send(line, Some(id), RequestBody::Unhold {});
        self.liveness_starts_again(line);
        true
    }

    /// The call on `line` is over. A call that was held for it comes back.
    pub(super) fn resume_after(&mut self, line: Line) {
        let foreground = self.calls.lines.active().any(|(_, call)| !call.is_held());
        if foreground || self.cx.shutting_down {
            return;
        }
        let waiting = self
            .calls
            .lines
            .calls()
            .find(|(other, call)| *other != line && call.hold == Hold::ForOtherCall)
            .map(|(other, _)| other);
        if let Some(waiting) = waiting {
            self.unhold(waiting);
        }
    }
}
