//! The telephony server of the sandbox. It is pure: connections and their requests come in, messages go out.
//!
//! A call to a number reaches the account of that number. Descriptions and candidates are relayed, and the media flows
//! directly between the clients. The exchange implements the server side of docs/protocol.md as far as that makes sense
//! without SIP.

mod calls;
mod leg;
mod transfers;
mod updates;

use std::time::Duration;

use crate::config::Line;
use crate::core::Time;
use crate::signaling::{
    CallId, ClientMessage, CloseCause, Event, EventBody, FrameError, LineState, Registration, RegistrationStatus,
    Request, RequestBody, Response, ResponseBody, ServerMessage, StateHandshake, TransactionId, response_code,
};

use leg::{Leg, Seat};

/// Lines of each account.
const LINES: usize = 2;
/// The keepalive interval that the `state` handshake asks for (docs/protocol.md, "Handshakes").
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// The calls of an account whose connection is lost live on for this long.
const LOST_PATIENCE: Duration = Duration::from_secs(60);
/// Malformed frames that a connection may send before it is closed.
const MAX_BAD_FRAMES: u32 = 20;

/// Identifies a connection. An id is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// Something to do for a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    Send(ConnectionId, ServerMessage),
    /// Close the connection with this code (docs/protocol.md, "Close codes").
    Close(ConnectionId, u16),
}

struct Account {
    number: String,
    name: String,
    connection: Option<ConnectionId>,
    bad_frames: u32,
    lost_at: Option<Time>,
    lines: [Option<Leg>; LINES],
}

/// All accounts and their calls.
pub struct Exchange {
    accounts: Vec<Account>,
    transfers: Vec<transfers::Transfer>,
    next_refer: i64,
    now: Time,
    wall_clock_ms: i64,
    out: Vec<Delivery>,
}

impl Exchange {
    /// An exchange with these accounts, each a number and a name.
    pub fn new(accounts: impl IntoIterator<Item = (String, String)>) -> Self {
        let accounts = accounts
            .into_iter()
            .map(|(number, name)| Account {
                number,
                name,
                connection: None,
                bad_frames: 0,
                lost_at: None,
                lines: [None, None],
            })
            .collect();
        Self { accounts, transfers: Vec::new(), next_refer: 1, now: Time(0), wall_clock_ms: 0, out: Vec::new() }
    }

    /// Sets the time: the caller does this before every other input. `wall_clock_ms` counts milliseconds since the Unix
    /// epoch. Ends the calls of accounts that did not reconnect in time, and the updates that nobody answered.
    pub fn tick(&mut self, now: Time, wall_clock_ms: i64) {
        self.now = now;
        self.wall_clock_ms = wall_clock_ms;
        for account in 0..self.accounts.len() {
            let lost = self
                .accounts
                .get(account)
                .and_then(|account| account.lost_at)
                .is_some_and(|at| now.since(at) >= LOST_PATIENCE);
            if lost {
                self.abandon(account);
            }
        }
        self.expire_updates();
    }

    /// Takes out what is to be sent, in order.
    pub fn drain(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.out)
    }

    /// The index of the account with this number.
    pub fn account(&self, number: &str) -> Option<usize> {
        self.accounts.iter().position(|account| account.number == number)
    }

    /// Whether any call is up or is being set up.
    pub fn has_calls(&self) -> bool {
        self.accounts.iter().any(|account| account.lines.iter().any(Option::is_some))
    }

    /// Adds a connection of an account, which receives `state`. If the account has another connection, that one is
    /// closed with 4441 if `force` is set; otherwise the new one is closed with 4431.
    pub fn connect(&mut self, connection: ConnectionId, account: usize, force: bool) {
        let Some(known) = self.accounts.get_mut(account) else {
            self.out.push(Delivery::Close(connection, CloseCause::SessionMissed.code()));
            return;
        };
        if let Some(other) = known.connection {
            if !force {
                self.out.push(Delivery::Close(connection, CloseCause::Attached.code()));
                return;
            }
            self.out.push(Delivery::Close(other, CloseCause::ForceAttached.code()));
        }
        known.connection = Some(connection);
        known.lost_at = None;
        known.bad_frames = 0;
        let lines = known
            .lines
            .iter()
            .map(|leg| leg.as_ref().map(|leg| LineState { call_id: Some(leg.call_id.clone()), call_logs: leg.logs() }))
            .collect();
        let state = StateHandshake {
            keepalive_interval: u64::try_from(KEEPALIVE_INTERVAL.as_millis()).unwrap_or(30_000),
            timestamp: self.wall_clock_ms,
            registration: Registration { status: RegistrationStatus::Registered, code: None, reason: None },
            lines,
            guest_line: None,
        };
        self.out.push(Delivery::Send(connection, ServerMessage::State(Box::new(state))));
    }

    /// Removes a connection. The calls of its account live on for a while.
    pub fn disconnected(&mut self, connection: ConnectionId) {
        let now = self.now;
        if let Some(account) = self.accounts.iter_mut().find(|account| account.connection == Some(connection)) {
            account.connection = None;
            account.lost_at = account.lines.iter().any(Option::is_some).then_some(now);
        }
    }

    /// Ends an account's calls, and closes its connection with 4201, because its token is no longer valid.
    pub fn log_out(&mut self, account: usize) {
        if let Some(connection) = self.accounts.get_mut(account).and_then(|account| account.connection.take()) {
            self.out.push(Delivery::Close(connection, CloseCause::SessionMissed.code()));
        }
        self.abandon(account);
    }

    fn abandon(&mut self, account: usize) {
        for line in 0..LINES {
            self.end_lost(Seat { account, line });
        }
        if let Some(account) = self.accounts.get_mut(account) {
            account.lost_at = None;
        }
    }

    /// Handles a frame from a connection.
    pub fn frame(&mut self, connection: ConnectionId, text: &str) {
        let Some(account) = self.accounts.iter().position(|account| account.connection == Some(connection)) else {
            return;
        };
        match ClientMessage::parse(text) {
            Ok(ClientMessage::Keepalive { transaction }) => {
                let echo = ServerMessage::Keepalive { transaction: Some(transaction) };
                self.out.push(Delivery::Send(connection, echo));
            }
            Ok(ClientMessage::Request(request)) => self.request(account, connection, request),
            Err(error) => self.bad_frame(account, connection, text, &error),
        }
    }

    /// Answers a malformed frame. After too many of them the connection is closed with 4501.
    fn bad_frame(&mut self, account: usize, connection: ConnectionId, text: &str, error: &FrameError) {
        let code = match error {
            FrameError::NotAnObject | FrameError::TooLong => response_code::INVALID_JSON_OBJECT,
            FrameError::NoDiscriminator | FrameError::Malformed { .. } => response_code::MISSING_ELEMENT,
            FrameError::Unknown { .. } => response_code::UNKNOWN_REQUEST,
        };
        let Some(known) = self.accounts.get_mut(account) else { return };
        known.bad_frames += 1;
        if known.bad_frames > MAX_BAD_FRAMES {
            known.connection = None;
            known.lost_at = Some(self.now);
            self.out.push(Delivery::Close(connection, CloseCause::SignalingMessage.code()));
            return;
        }
        if let Some(answer) = Answer::of_bad_request(connection, text) {
            return self.refuse(&answer, code, &error.to_string());
        }
        let body = EventBody::Error { code, reason: error.to_string() };
        let event = Event { transaction: None, line: None, call_id: None, body };
        self.out.push(Delivery::Send(connection, ServerMessage::Event(Box::new(event))));
    }

    fn request(&mut self, account: usize, connection: ConnectionId, request: Request) {
        let Request { transaction, line, call_id, body } = request;
        let answer = Answer { connection, transaction, line, call_id: call_id.clone() };
        let seat = line.map(Line::index).filter(|line| *line < LINES).map(|line| Seat { account, line });
        let Some(seat) = seat else {
            return self.refuse(&answer, response_code::MISSING_ELEMENT, "there is no such line");
        };
        if let RequestBody::IceTrickle { candidate } = body {
            self.acknowledge(&answer);
            return self.trickle(seat, candidate);
        }
        let Some(call_id) = call_id else {
            return self.refuse(&answer, response_code::MISSING_ELEMENT, "call_id is missing");
        };
        self.call_request(seat, call_id, answer, body);
    }

    fn call_request(&mut self, seat: Seat, call_id: CallId, answer: Answer, body: RequestBody) {
        if let RequestBody::OutgoingCall { number, jsep, refer_id, replaces, .. } = body {
            return self.outgoing_call(
                seat,
                call_id,
                &answer,
                calls::Wish { number: number.into(), jsep, refer_id, replaces },
            );
        }
        if self.leg(seat).is_none_or(|leg| leg.call_id != call_id) {
            return self.refuse(&answer, response_code::NO_SUCH_CALL, "no such call");
        }
        self.log_request(seat, &answer.transaction, &body);
        match body {
            RequestBody::Accept { jsep } => self.accept(seat, &answer, jsep),
            RequestBody::Decline { refer_id: Some(refer_id) } => self.decline_transfer(seat, &answer, refer_id),
            RequestBody::Decline { refer_id: None } => self.decline(seat, &answer),
            RequestBody::Hangup {} => self.hangup(seat, &answer),
            RequestBody::Hold { direction } => self.hold(seat, &answer, direction),
            RequestBody::Unhold {} => self.unhold(seat, &answer),
            RequestBody::Update { jsep } => self.update(seat, &answer, jsep),
            RequestBody::Transfer { number, replace_call_id } => {
                self.transfer(seat, &answer, number.into(), replace_call_id)
            }
            RequestBody::OutgoingCall { .. } | RequestBody::IceTrickle { .. } => {}
        }
    }

    fn leg(&self, seat: Seat) -> Option<&Leg> {
        self.accounts.get(seat.account)?.lines.get(seat.line)?.as_ref()
    }

    fn leg_mut(&mut self, seat: Seat) -> Option<&mut Leg> {
        self.accounts.get_mut(seat.account)?.lines.get_mut(seat.line)?.as_mut()
    }

    fn put(&mut self, seat: Seat, leg: Option<Leg>) {
        if let Some(place) = self.accounts.get_mut(seat.account).and_then(|account| account.lines.get_mut(seat.line)) {
            *place = leg;
        }
    }

    fn number(&self, account: usize) -> String {
        self.accounts.get(account).map(|account| account.number.clone()).unwrap_or_default()
    }

    fn acknowledge(&mut self, answer: &Answer) {
        self.respond(answer, ResponseBody::Ack);
    }

    fn refuse(&mut self, answer: &Answer, code: i64, reason: &str) {
        self.respond(answer, ResponseBody::Error { code, reason: reason.to_owned() });
    }

    fn respond(&mut self, answer: &Answer, body: ResponseBody) {
        let response = Response {
            transaction: Some(answer.transaction.clone()),
            line: answer.line,
            call_id: answer.call_id.clone(),
            body,
        };
        self.out.push(Delivery::Send(answer.connection, ServerMessage::Response(response)));
    }

    /// Writes a call-level event into the log of a seat's call, and sends it if the account is connected.
    fn tell(&mut self, seat: Seat, transaction: Option<&TransactionId>, body: EventBody) {
        let at = self.wall_clock_ms;
        let Some(leg) = self.leg_mut(seat) else { return };
        let call_id = leg.call_id.clone();
        leg.log_event(at, transaction, &body);
        self.send_event(seat, transaction, Some(call_id), body);
    }

    /// Sends a line-level event. It is not written into the call's log.
    fn tell_line(&mut self, seat: Seat, body: EventBody) {
        self.send_event(seat, None, None, body);
    }

    fn send_event(
        &mut self,
        seat: Seat,
        transaction: Option<&TransactionId>,
        call_id: Option<CallId>,
        body: EventBody,
    ) {
        let Some(connection) = self.accounts.get(seat.account).and_then(|account| account.connection) else { return };
        let event =
            Event { transaction: transaction.cloned(), line: u32::try_from(seat.line).ok().map(Line), call_id, body };
        self.out.push(Delivery::Send(connection, ServerMessage::Event(Box::new(event))));
    }

    fn log_request(&mut self, seat: Seat, transaction: &TransactionId, body: &RequestBody) {
        let at = self.wall_clock_ms;
        if let Some(leg) = self.leg_mut(seat) {
            leg.log_request(at, transaction, body);
        }
    }
}

/// Where the response to a request goes.
struct Answer {
    connection: ConnectionId,
    transaction: TransactionId,
    line: Option<Line>,
    call_id: Option<CallId>,
}

impl Answer {
    /// For a request that cannot be parsed but has a transaction, because its sender waits for a response.
    fn of_bad_request(connection: ConnectionId, text: &str) -> Option<Self> {
        let frame: serde_json::Value = serde_json::from_str(text).ok()?;
        frame.get("request")?;
        let transaction = TransactionId::from(frame.get("transaction")?.as_str()?);
        let line =
            frame.get("line").and_then(serde_json::Value::as_u64).and_then(|line| u32::try_from(line).ok()).map(Line);
        let call_id = frame.get("call_id").and_then(serde_json::Value::as_str).map(CallId::from);
        Some(Self { connection, transaction, line, call_id })
    }
}
