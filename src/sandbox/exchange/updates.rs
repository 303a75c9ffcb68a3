//! Renegotiation: hold, unhold, and updates in which the client sends an offer.

use std::time::Duration;

use crate::signaling::{EventBody, HoldDirection, Invitation, Jsep, JsepKind, response_code, sip_status};

use super::leg::{LegState, PendingUpdate, Seat};
use super::{Answer, Exchange, LINES};

/// The far side has this long to answer an update.
const UPDATE_PATIENCE: Duration = Duration::from_secs(10);

impl Exchange {
    pub(super) fn hold(&mut self, seat: Seat, answer: &Answer, direction: Option<HoldDirection>) {
        let direction = match direction.unwrap_or(HoldDirection::Sendonly) {
            HoldDirection::Sendonly => "sendonly",
            HoldDirection::Recvonly => "recvonly",
            HoldDirection::Inactive => "inactive",
        };
        self.reoffer(seat, answer, direction, EventBody::Holding {});
    }

    pub(super) fn unhold(&mut self, seat: Seat, answer: &Answer) {
        self.reoffer(seat, answer, "sendrecv", EventBody::Resuming {});
    }

    /// Offers this side's last description to the far side again, with another direction.
    fn reoffer(&mut self, seat: Seat, answer: &Answer, direction: &str, progress: EventBody) {
        let Some(leg) = self.leg(seat) else { return };
        if leg.state != LegState::Up {
            // Before the call is answered, this is acknowledged and has no effect, as on the real server.
            return self.acknowledge(answer);
        }
        let Some(sdp) = leg.sdp.as_deref().map(|sdp| next_version(sdp, direction)) else { return };
        self.acknowledge(answer);
        self.tell(seat, Some(&answer.transaction), progress);
        self.send_offer(seat, answer, sdp, false);
    }

    pub(super) fn update(&mut self, seat: Seat, answer: &Answer, jsep: Jsep) {
        let Some(leg) = self.leg(seat) else { return };
        if leg.state != LegState::Up {
            return self.refuse(answer, response_code::WRONG_WEBRTC_STATE, "the call is not up");
        }
        match jsep.kind {
            JsepKind::Offer => {
                self.acknowledge(answer);
                self.tell(seat, Some(&answer.transaction), EventBody::Updating {});
                self.send_offer(seat, answer, jsep.sdp.into(), true);
            }
            JsepKind::Answer => self.update_answered(seat, answer, jsep),
        }
    }

    fn send_offer(&mut self, seat: Seat, answer: &Answer, sdp: String, wants_answer: bool) {
        let Some(far) = self.leg(seat).map(|leg| leg.far) else { return };
        let busy = self.leg(seat).is_some_and(|leg| leg.update.is_some())
            || self.leg(far).is_some_and(|leg| leg.update.is_some());
        if busy {
            let body = EventBody::Error { code: sip_status::REQUEST_PENDING, reason: "Request Pending".into() };
            return self.tell(seat, Some(&answer.transaction), body);
        }
        let (caller, callee, now) = (self.number(seat.account), self.number(far.account), self.now);
        if let Some(leg) = self.leg_mut(seat) {
            leg.sdp = Some(sdp.clone());
            let until = now + UPDATE_PATIENCE;
            leg.update = Some(PendingUpdate { transaction: answer.transaction.clone(), wants_answer, until });
        }
        let invitation = Invitation {
            callee: callee.into(),
            caller: caller.into(),
            caller_display_name: None,
            referred_by: None,
            replace_call_id: None,
            is_focus: None,
            jsep: Some(Jsep::offer(sdp)),
        };
        self.tell(far, None, EventBody::UpdatingCall(invitation));
    }

    /// Ends updates that nobody answers, as timer B ends a SIP transaction (RFC 3261, section 17.1.1.2).
    pub(super) fn expire_updates(&mut self) {
        for account in 0..self.accounts.len() {
            for line in 0..LINES {
                let seat = Seat { account, line };
                let now = self.now;
                let Some(leg) = self.leg_mut(seat) else { continue };
                if leg.update.as_ref().is_some_and(|update| now >= update.until)
                    && let Some(update) = leg.update.take()
                {
                    let body = EventBody::Error { code: sip_status::REQUEST_TIMEOUT, reason: "Request Timeout".into() };
                    self.tell(seat, Some(&update.transaction), body);
                }
            }
        }
    }

    /// Handles the answer of this side to an offer from the far side.
    fn update_answered(&mut self, seat: Seat, answer: &Answer, jsep: Jsep) {
        let Some(far) = self.leg(seat).map(|leg| leg.far) else { return };
        let Some(update) = self.leg_mut(far).and_then(|leg| leg.update.take()) else {
            return self.refuse(answer, response_code::UNEXPECTED_ANSWER, "no offer is open");
        };
        self.acknowledge(answer);
        if let Some(leg) = self.leg_mut(seat) {
            leg.sdp = Some(jsep.sdp.clone().into());
        }
        self.tell(seat, Some(&answer.transaction), EventBody::Updated { jsep: None });
        if update.wants_answer {
            let callee = Some(self.number(seat.account));
            let body = EventBody::Accepted { jsep: Some(jsep), callee: callee.map(Into::into), is_focus: None };
            self.tell(far, Some(&update.transaction), body);
        }
        self.tell(far, Some(&update.transaction), EventBody::Updated { jsep: None });
    }
}

/// The same description with the next `o=` version and another direction.
fn next_version(sdp: &str, direction: &str) -> String {
    const DIRECTIONS: [&str; 4] = ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"];
    let mut lines: Vec<String> = Vec::new();
    for line in sdp.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if DIRECTIONS.contains(&line) {
            continue;
        }
        if let Some(origin) = line.strip_prefix("o=") {
            let mut parts: Vec<String> = origin.split(' ').map(str::to_owned).collect();
            if let Some(version) = parts.get_mut(2) {
                *version = version.parse::<u64>().map_or_else(|_| "1".into(), |version| (version + 1).to_string());
            }
            lines.push(format!("o={}", parts.join(" ")));
            continue;
        }
        lines.push(line.to_owned());
    }
    lines.push(format!("a={direction}"));
    lines.join("\r\n") + "\r\n"
}
