//! Set-up and end of calls.

use crate::core::Direction;
use crate::signaling::{
    CallId, EventBody, Invitation, Jsep, ReferId, RequestBody, TransactionId, Trickle, response_code, sip_status,
};

use super::leg::{Leg, LegState, Seat};
use super::{Answer, Exchange, LINES};

/// What an `outgoing_call` asks for.
pub(super) struct Wish {
    pub(super) number: String,
    pub(super) jsep: Jsep,
    pub(super) refer_id: Option<ReferId>,
    pub(super) replaces: Option<String>,
}

impl Exchange {
    pub(super) fn outgoing_call(&mut self, seat: Seat, call_id: CallId, answer: &Answer, wish: Wish) {
        if self.leg(seat).is_some() {
            return self.refuse(answer, response_code::WRONG_STATE, "the line is busy");
        }
        self.acknowledge(answer);
        let transaction = answer.transaction.clone();
        // The far seat is set when it is known. Until then it is this side's own seat.
        let mut leg = Leg::new(call_id.clone(), Direction::Outgoing, seat, Some(wish.jsep.sdp.clone().into()));
        leg.transaction = Some(transaction.clone());
        leg.replaces = wish.replaces.clone().map(CallId);
        let logged = RequestBody::OutgoingCall {
            number: wish.number.clone().into(),
            jsep: wish.jsep.clone(),
            from: None,
            refer_id: wish.refer_id.clone(),
            replaces: wish.replaces.clone(),
        };
        leg.log_request(self.wall_clock_ms, &transaction, &logged);
        self.put(seat, Some(leg));
        self.tell(seat, Some(&transaction), EventBody::Calling {});
        if let Some(refer_id) = wish.refer_id.clone() {
            self.transfer_dialled(seat, refer_id);
        }
        match self.find_place(seat, &call_id, &wish) {
            Ok(far) => self.ring(seat, far, call_id, wish),
            Err((code, reason)) => self.end(seat, code, reason, None),
        }
    }

    /// An idle line of the called account, or the SIP status that says why there is none.
    fn find_place(&mut self, seat: Seat, call_id: &CallId, wish: &Wish) -> Result<Seat, (i64, &'static str)> {
        let account = self.account(&wish.number).ok_or((sip_status::NOT_FOUND, "Not Found"))?;
        let called = self.accounts.get(account).ok_or((sip_status::NOT_FOUND, "Not Found"))?;
        if called.connection.is_none() {
            return Err((sip_status::TEMPORARILY_UNAVAILABLE, "Temporarily Unavailable"));
        }
        let line = (0..LINES).find(|line| called.lines.get(*line).is_some_and(Option::is_none));
        let Some(line) = line else {
            let missed = EventBody::MissedCall {
                callee: wish.number.clone().into(),
                caller: self.number(seat.account).into(),
                caller_display_name: self
                    .accounts
                    .get(seat.account)
                    .map(|account| account.name.clone())
                    .map(Into::into),
            };
            self.tell_missed(account, call_id.clone(), missed);
            return Err((sip_status::BUSY_HERE, "Busy Here"));
        };
        Ok(Seat { account, line })
    }

    fn tell_missed(&mut self, account: usize, call_id: CallId, body: EventBody) {
        use crate::signaling::{Event, ServerMessage};
        if let Some(connection) = self.accounts.get(account).and_then(|account| account.connection) {
            let event = Event { transaction: None, line: None, call_id: Some(call_id), body };
            self.out.push(super::Delivery::Send(connection, ServerMessage::Event(Box::new(event))));
        }
    }

    fn ring(&mut self, seat: Seat, far: Seat, call_id: CallId, wish: Wish) {
        let caller = self.number(seat.account);
        let name = self.accounts.get(seat.account).map(|account| account.name.clone());
        let referred_by = wish.refer_id.as_ref().and_then(|refer_id| self.referrer(refer_id));
        if let Some(leg) = self.leg_mut(seat) {
            leg.far = far;
        }
        self.put(far, Some(Leg::new(call_id, Direction::Incoming, seat, None)));
        let invitation = Invitation {
            callee: wish.number.into(),
            caller: caller.into(),
            caller_display_name: name.map(Into::into),
            referred_by: referred_by.map(Into::into),
            replace_call_id: wish.replaces.map(CallId),
            is_focus: None,
            jsep: Some(wish.jsep),
        };
        self.tell(far, None, EventBody::IncomingCall(invitation));
        let transaction = self.leg(seat).and_then(|leg| leg.transaction.clone());
        self.tell(seat, transaction.as_ref(), EventBody::Ringing {});
    }

    pub(super) fn accept(&mut self, seat: Seat, answer: &Answer, jsep: Jsep) {
        let Some(leg) = self.leg_mut(seat) else { return };
        if leg.direction != Direction::Incoming || leg.state != LegState::Ringing {
            return self.refuse(answer, response_code::WRONG_WEBRTC_STATE, "the call is not ringing");
        }
        leg.state = LegState::Up;
        leg.sdp = Some(jsep.sdp.clone().into());
        let far = leg.far;
        self.acknowledge(answer);
        let callee = self.number(seat.account);
        let accepted = |jsep| EventBody::Accepted { jsep, callee: Some(callee.clone().into()), is_focus: None };
        self.tell(seat, Some(&answer.transaction), accepted(None));
        let (mut transaction, mut replaces) = (None, None);
        if let Some(leg) = self.leg_mut(far) {
            leg.state = LegState::Up;
            transaction = leg.transaction.clone();
            replaces = leg.replaces.take();
        }
        self.tell(far, transaction.as_ref(), accepted(Some(jsep)));
        self.transfer_answered(far, sip_status::OK, "OK");
        if let Some(replaced) = replaces {
            self.end_replaced(&replaced, seat.account);
        }
        for side in [seat, far] {
            self.tell_line(side, EventBody::IceWebrtcup {});
            let media = EventBody::IceMedia { kind: "audio".into(), receiving: true, mid: Some("0".into()) };
            self.tell_line(side, media);
        }
    }

    /// Ends the call that a transferred call replaces.
    fn end_replaced(&mut self, call_id: &CallId, account: usize) {
        let line =
            (0..LINES).find(|line| self.leg(Seat { account, line: *line }).is_some_and(|leg| leg.call_id == *call_id));
        if let Some(line) = line {
            self.end(Seat { account, line }, sip_status::OK, "Replaced", None);
        }
    }

    pub(super) fn decline(&mut self, seat: Seat, answer: &Answer) {
        self.acknowledge(answer);
        let rings =
            self.leg(seat).is_some_and(|leg| leg.direction == Direction::Incoming && leg.state == LegState::Ringing);
        // A decline of an established call is acknowledged and has no effect, as on the real server.
        if rings {
            self.tell(
                seat,
                Some(&answer.transaction),
                EventBody::Declining { code: sip_status::BUSY_HERE, refer_id: None },
            );
            self.end(seat, sip_status::BUSY_HERE, "Busy Here", Some(&answer.transaction));
        }
    }

    pub(super) fn hangup(&mut self, seat: Seat, answer: &Answer) {
        let Some(leg) = self.leg(seat) else { return };
        let (direction, state) = (leg.direction, leg.state);
        if (direction, state) == (Direction::Incoming, LegState::Ringing) {
            // Web clients refuse a second call in this way.
            return self.decline(seat, answer);
        }
        self.acknowledge(answer);
        self.tell(seat, Some(&answer.transaction), EventBody::Hangingup { code: None });
        match state {
            LegState::Ringing => {
                self.end(seat, sip_status::REQUEST_TERMINATED, "Request Terminated", Some(&answer.transaction))
            }
            LegState::Up => self.end(seat, sip_status::OK, "Session Terminated", Some(&answer.transaction)),
        }
    }

    /// Ends the call of an account that did not reconnect, or whose session is over.
    pub(super) fn end_lost(&mut self, seat: Seat) {
        if self.leg(seat).is_some() {
            self.end(seat, sip_status::REQUEST_TIMEOUT, "Request Timeout", None);
        }
    }

    /// Ends a call on both sides.
    pub(super) fn end(&mut self, seat: Seat, code: i64, reason: &str, transaction: Option<&TransactionId>) {
        let Some(leg) = self.leg(seat) else { return };
        let (far, call_id) = (leg.far, leg.call_id.clone());
        self.end_leg(seat, code, if code == sip_status::OK { "to BYE" } else { reason }, transaction);
        let linked = far != seat && self.leg(far).is_some_and(|leg| leg.call_id == call_id && leg.far == seat);
        if linked {
            self.end_leg(far, code, reason, None);
        }
    }

    fn end_leg(&mut self, seat: Seat, code: i64, reason: &str, transaction: Option<&TransactionId>) {
        let of_dial = self.leg(seat).and_then(|leg| leg.transaction.clone());
        let transaction = transaction.cloned().or(of_dial);
        self.tell(seat, transaction.as_ref(), EventBody::Hangup { code, reason: reason.to_owned() });
        self.transfer_answered(seat, code, reason);
        self.put(seat, None);
        self.tell_line(seat, EventBody::IceHangup { reason: None });
    }

    pub(super) fn trickle(&mut self, seat: Seat, candidate: Trickle) {
        let Some(far) = self.leg(seat).map(|leg| leg.far) else { return };
        if far != seat {
            self.tell_line(far, EventBody::IceTrickle { candidate });
        }
    }
}
