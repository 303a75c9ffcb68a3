//! What is reported about the lines: a fact for each change, and the status.

use super::call::Call;
use super::codes::codes_unreachable;
use super::liveness::Liveness;
use super::state::{Calls, Reported};
use crate::config::{Config, Line};
use crate::core::api::{CallState, CallStatus, Cause, EndStatus, Fact, LineStatus};
use crate::core::context::Context;
use crate::core::time::Time;

impl Calls {
    /// Reports each line whose call has changed its state since the last report.
    pub(in crate::core) fn report(&mut self, cx: &mut Context) {
        self.reported.resize(self.lines.len().max(self.reported.len()), None);
        for (line, reported) in self.lines.numbers().zip(&mut self.reported) {
            let call = self.lines.call(line);
            let now = call.map(|call| Reported { call_id: call.id.clone(), state: call.state() });
            if now == *reported {
                continue;
            }
            if let Some(call) = call {
                cx.fact(call_fact(line, call, call.state(), None));
            }
            *reported = now;
        }
    }

    /// Reports the end of a call.
    pub(super) fn report_end(&mut self, line: Line, call: &Call, cause: Cause, cx: &mut Context) {
        self.last_end = Some((call.id.clone(), cause.clone()));
        cx.fact(call_fact(line, call, CallState::Idle, Some(cause)));
    }

    /// The status of all lines, from line 0.
    pub(in crate::core) fn status(&self, config: &Config, now: Time) -> Vec<LineStatus> {
        let lines = self.lines.numbers().map(|line| {
            let call = self.lines.call(line);
            LineStatus {
                line,
                state: call.map_or(CallState::Idle, Call::state),
                call: call.map(|call| call_status(call, config, now)),
            }
        });
        lines.collect()
    }

    pub(in crate::core) fn last_end(&self) -> Option<EndStatus> {
        let (call_id, cause) = self.last_end.as_ref()?;
        Some(EndStatus { call_id: call_id.0.clone(), cause: cause.clone() })
    }

    /// The number of calls that came while no line was free.
    pub(in crate::core) fn missed(&self) -> u64 {
        self.missed_calls
    }

    /// The number of incoming calls that were declined.
    pub(in crate::core) fn refused(&self) -> u64 {
        self.refused_calls
    }
}

fn call_fact(line: Line, call: &Call, state: CallState, cause: Option<Cause>) -> Fact {
    Fact::Call {
        call_id: call.id.0.clone(),
        line,
        direction: call.direction,
        number: call.number.clone(),
        by: call.origin.by.clone(),
        attempt: call.hunt.map(|hunt| hunt.0),
        state,
        cause,
    }
}

fn call_status(call: &Call, config: &Config, now: Time) -> CallStatus {
    CallStatus {
        call_id: call.id.0.clone(),
        direction: call.direction,
        number: call.number.clone(),
        name: call.display_name.clone(),
        age_s: now.since(call.started_at).as_secs(),
        talk_s: call.established_at.map(|at| now.since(at).as_secs()),
        media_connected: call.connected,
        server_hears_us: call.server_hears_us,
        repairing: call.liveness().and_then(Liveness::repairing),
        silent: call.liveness().and_then(Liveness::missing),
        held: call.is_held(),
        far_end_holds: call.far_end_holds,
        telephone_events: call.digits.telephone_events(),
        codes_unreachable: codes_unreachable(call, config),
        unusable_candidates: call.unusable_candidates,
    }
}
