//! The simulated server: a state machine, written from the text of docs/protocol.md and not from the station's code.
//! It has legs where the station has calls.

use std::collections::VecDeque;

use callbox::core::Random;
use callbox::signaling::*;

use crate::alarms::is_of_alarm;
use crate::plan::between;

/// The keepalive interval that it asks for: 5 min, as production servers do.
pub const KEEPALIVE_MS: u64 = 300_000;
const LINES: usize = 2;

/// One line of the session.
#[derive(Debug, Default)]
pub struct Line {
    pub leg: Option<Leg>,
    /// Until then the media server cleans up, and a new call is refused with 490.
    cleaning_until: u64,
}

/// A call as the server sees it.
#[derive(Debug)]
pub struct Leg {
    pub serial: u64,
    pub call_id: CallId,
    /// The number of the far end.
    pub number: String,
    pub state: LegState,
    /// Newest first.
    log: Vec<CallLogEntry>,
    transaction: Option<TransactionId>,
    /// The newest description of the station; it names the peer connection and counts its offers and answers.
    pub description: Option<String>,
    pub station_holds: bool,
    pub far_end_holds: bool,
    /// Until then a re-INVITE of the far end waits for the station's answer, and an update of the station meets it.
    offered_until: u64,
    pub muted: bool,
    answers_offerless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegState {
    /// The INVITE was sent, and perhaps the far end rings.
    Calling,
    /// The station rings.
    Inviting,
    Up,
}

/// What the server does, and after how many milliseconds.
#[derive(Debug)]
pub struct Act {
    pub after_ms: u64,
    pub what: Doing,
}

#[derive(Debug)]
pub enum Doing {
    Say(ServerMessage),
    Close(u16),
    Timer(u64, Timer),
    /// The media of this leg can flow from now on.
    Media(u64),
    /// The leg is over, and its peer connection receives nothing any more.
    MediaEnds(String),
    /// The far end presses these keys.
    Keys(u64, String),
}

/// What far ends do by themselves.
#[derive(Debug, Clone)]
pub enum Timer {
    Rings,
    EarlyMedia,
    Answers,
    Refuses(i64),
    GivesUp,
    HangsUp,
    Reoffers { holds: bool },
    Mutes,
    Cleaned(usize),
}

#[derive(Debug)]
pub struct Server {
    pub lines: Vec<Line>,
    pub registered: bool,
    pub acts: VecDeque<Act>,
    next_serial: u64,
    /// Idle lines of the next `state` are objects with a null `call_id`, once.
    pub null_call_ids: bool,
    /// What the station did against the protocol.
    pub complaint: Option<String>,
}

impl Server {
    pub fn new() -> Self {
        Self {
            lines: (0..LINES).map(|_| Line::default()).collect(),
            registered: true,
            acts: VecDeque::new(),
            next_serial: 0,
            null_call_ids: false,
            complaint: None,
        }
    }

    fn act(&mut self, after_ms: u64, what: Doing) {
        self.acts.push_back(Act { after_ms, what });
    }

    fn say(&mut self, after_ms: u64, message: ServerMessage) {
        self.act(after_ms, Doing::Say(message));
    }

    fn event(
        &mut self,
        after_ms: u64,
        line: usize,
        call_id: &CallId,
        transaction: Option<TransactionId>,
        body: EventBody,
    ) {
        if let Some(leg) = self.leg_of(line, call_id) {
            let entry = Event { transaction: None, line: None, call_id: None, body: body.clone() };
            leg.log.insert(0, CallLogEntry(0, LogMessage::Event(Box::new(entry))));
        }
        let line = number(line);
        let event = Event { transaction, line, call_id: Some(call_id.clone()), body };
        self.say(after_ms, ServerMessage::Event(Box::new(event)));
    }

    fn line_event(&mut self, after_ms: u64, line: usize, body: EventBody) {
        let event = Event { transaction: None, line: number(line), call_id: None, body };
        self.say(after_ms, ServerMessage::Event(Box::new(event)));
    }

    fn leg_of(&mut self, line: usize, call_id: &CallId) -> Option<&mut Leg> {
        self.lines.get_mut(line)?.leg.as_mut().filter(|leg| leg.call_id == *call_id)
    }

    fn line_with(&self, serial: u64) -> Option<usize> {
        self.lines.iter().position(|line| line.leg.as_ref().is_some_and(|leg| leg.serial == serial))
    }

    pub fn leg(&self, serial: u64) -> Option<&Leg> {
        self.lines.iter().filter_map(|line| line.leg.as_ref()).find(|leg| leg.serial == serial)
    }

    pub fn leg_described(&self, description: &str) -> Option<&Leg> {
        let legs = self.lines.iter().filter_map(|line| line.leg.as_ref());
        legs.into_iter().find(|leg| leg.description.as_deref() == Some(description))
    }

    /// The first frame of a connection.
    pub fn state(&mut self) -> ServerMessage {
        let null = std::mem::take(&mut self.null_call_ids);
        let line = |line: &Line| match &line.leg {
            Some(leg) => Some(LineState { call_id: Some(leg.call_id.clone()), call_logs: leg.log.clone() }),
            None if null => Some(LineState { call_id: None, call_logs: Vec::new() }),
            None => None,
        };
        let status = if self.registered { RegistrationStatus::Registered } else { RegistrationStatus::Unregistered };
        ServerMessage::State(Box::new(StateHandshake {
            keepalive_interval: KEEPALIVE_MS,
            timestamp: 0,
            registration: Registration { status, code: None, reason: None },
            lines: self.lines.iter().map(line).collect(),
            guest_line: None,
        }))
    }

    pub fn register(&mut self, registered: bool) {
        self.registered = registered;
        let body = if registered { EventBody::Registered { phrase: None } } else { EventBody::Unregistered {} };
        self.say(0, ServerMessage::Event(Box::new(Event { transaction: None, line: None, call_id: None, body })));
    }

    /// The server restarts and has forgotten its calls.
    pub fn forget(&mut self) {
        for line in 0..self.lines.len() {
            if let Some(leg) = self.lines[line].leg.take() {
                self.end_media(&leg);
            }
            self.lines[line].cleaning_until = 0;
        }
    }

    /// Somebody calls the door.
    pub fn invite(&mut self, from: &str, gives_up_ms: u64, offerless: bool, random: &mut Random) -> Option<u64> {
        if !self.registered {
            return None;
        }
        let Some(line) = self.lines.iter().position(|line| line.leg.is_none()) else {
            let body = EventBody::MissedCall { callee: "door".into(), caller: from.into(), caller_display_name: None };
            let event = Event { transaction: None, line: None, call_id: Some(random.call_id()), body };
            self.say(0, ServerMessage::Event(Box::new(event)));
            return None;
        };
        self.next_serial += 1;
        let serial = self.next_serial;
        let call_id = random.call_id();
        self.lines[line].leg = Some(Leg {
            serial,
            call_id: call_id.clone(),
            number: from.into(),
            state: LegState::Inviting,
            log: Vec::new(),
            transaction: None,
            description: None,
            station_holds: false,
            far_end_holds: false,
            offered_until: 0,
            muted: false,
            answers_offerless: offerless,
        });
        let jsep = (!offerless).then(|| Jsep::offer(format!("far offer {serial} 0")));
        let invitation = Invitation {
            callee: "door".into(),
            caller: from.into(),
            caller_display_name: None,
            referred_by: None,
            replace_call_id: None,
            is_focus: None,
            jsep,
        };
        self.event(0, line, &call_id, None, EventBody::IncomingCall(invitation));
        self.act(gives_up_ms, Doing::Timer(serial, Timer::GivesUp));
        Some(serial)
    }

    /// A request of the station.
    pub fn request(&mut self, now: u64, request: Request, random: &mut Random) {
        let Request { transaction, line, call_id, body } = request;
        let line = line.map_or(usize::MAX, callbox::config::Line::index);
        let answer = Answerer { transaction: transaction.clone(), line, call_id: call_id.clone() };
        if line >= self.lines.len() {
            return self.refuse(&answer, 456);
        }
        match body {
            RequestBody::OutgoingCall { number, jsep, .. } => {
                let Some(call_id) = call_id else { return self.refuse(&answer, 456) };
                self.outgoing(now, answer, call_id, number.into(), jsep, random);
            }
            RequestBody::IceTrickle { .. } => {
                let known = self.lines[line].leg.is_some();
                if known { self.ack(&answer, 0) } else { self.refuse(&answer, 459) }
            }
            body => {
                let Some(call_id) = call_id else { return self.refuse(&answer, 456) };
                if self.leg_of(line, &call_id).is_none() {
                    // The request crosses the end of its call: an error, or the socket is closed.
                    return if random.below(4) == 0 {
                        self.act(0, Doing::Close(4610))
                    } else {
                        self.refuse(&answer, 454)
                    };
                }
                self.in_call(now, answer, line, call_id, body, random);
            }
        }
    }

    fn ack(&mut self, answer: &Answerer, after_ms: u64) {
        self.say(after_ms, answer.response(ResponseBody::Ack));
    }

    fn refuse(&mut self, answer: &Answerer, code: i64) {
        self.say(0, answer.response(ResponseBody::Error { code, reason: "refused".into() }));
    }

    /// An `ack` and an event of its request. In one case of five the event overtakes the `ack`.
    fn ack_and_event(&mut self, answer: &Answerer, call_id: &CallId, body: EventBody, random: &mut Random) {
        let overtakes = random.below(5) == 0;
        if !overtakes {
            self.ack(answer, 0);
        }
        self.event(0, answer.line, call_id, Some(answer.transaction.clone()), body);
        if overtakes {
            self.ack(answer, 3);
        }
    }

    fn outgoing(
        &mut self,
        now: u64,
        answer: Answerer,
        call_id: CallId,
        number: String,
        jsep: Jsep,
        random: &mut Random,
    ) {
        let line = answer.line;
        if self.lines.iter().filter_map(|line| line.leg.as_ref()).any(|leg| leg.call_id == call_id) {
            self.complaint = Some(format!("two calls with the call id {}", call_id.0));
        }
        if self.lines[line].leg.is_some() {
            return self.refuse(&answer, 447);
        }
        if now < self.lines[line].cleaning_until {
            return self.refuse(&answer, 490);
        }
        if !self.registered {
            return self.refuse(&answer, 403);
        }
        self.next_serial += 1;
        let serial = self.next_serial;
        let log = vec![CallLogEntry(
            0,
            LogMessage::Request(Request {
                transaction: answer.transaction.clone(),
                line: None,
                call_id: None,
                body: RequestBody::OutgoingCall {
                    number: number.clone().into(),
                    jsep: jsep.clone(),
                    from: None,
                    refer_id: None,
                    replaces: None,
                },
            }),
        )];
        self.lines[line].leg = Some(Leg {
            serial,
            call_id: call_id.clone(),
            number,
            state: LegState::Calling,
            log,
            transaction: Some(answer.transaction.clone()),
            description: Some(jsep.sdp.into()),
            station_holds: false,
            far_end_holds: false,
            offered_until: 0,
            muted: false,
            answers_offerless: false,
        });
        self.ack_and_event(&answer, &call_id, EventBody::Calling {}, random);
        let (first, then) = match random.below(20) {
            0..11 => (Timer::Rings, Some(Timer::Answers)),
            11 | 12 => (Timer::EarlyMedia, Some(Timer::Answers)),
            13 | 14 => (Timer::Rings, Some(Timer::Refuses(603))),
            15 => (Timer::Refuses(486), None),
            16 => (Timer::Refuses(404), None),
            17 => (Timer::Answers, None),
            _ => (Timer::Rings, None),
        };
        self.act(between(random, 30, 400), Doing::Timer(serial, first));
        if let Some(then) = then {
            self.act(between(random, 500, 28_000), Doing::Timer(serial, then));
        }
    }

    fn accept(&mut self, answer: &Answerer, line: usize, call_id: &CallId, jsep: &Jsep, random: &mut Random) {
        let Some(leg) = self.leg_of(line, call_id) else { return };
        let serial = leg.serial;
        leg.state = LegState::Up;
        leg.description = Some(jsep.sdp.clone().into());
        let offers = jsep.kind == JsepKind::Offer;
        if offers != leg.answers_offerless {
            self.complaint = Some("accept has a jsep of the wrong kind".into());
        }
        if offers {
            self.ack_and_event(answer, call_id, EventBody::Accepting {}, random);
        }
        let jsep = offers.then(|| Jsep::answer(format!("far answer to {}", jsep.sdp)));
        let accepted = EventBody::Accepted { jsep, callee: None, is_focus: None };
        if offers {
            self.event(10, line, call_id, Some(answer.transaction.clone()), accepted);
        } else {
            self.ack_and_event(answer, call_id, accepted, random);
        }
        self.up(serial, random);
    }

    /// The station renegotiates.
    fn offer(&mut self, now: u64, answer: &Answerer, line: usize, call_id: &CallId, jsep: &Jsep, random: &mut Random) {
        let Some(leg) = self.leg_of(line, call_id) else { return };
        let serial = leg.serial;
        if now < leg.offered_until || random.below(12) == 0 {
            self.ack(answer, 0);
            let body = EventBody::Error { code: 491, reason: "Request Pending".into() };
            return self.event(5, line, call_id, Some(answer.transaction.clone()), body);
        }
        if random.below(12) == 0 {
            return self.refuse(answer, 447);
        }
        leg.description = Some(jsep.sdp.clone().into());
        self.ack_and_event(answer, call_id, EventBody::Updating {}, random);
        let jsep = Some(Jsep::answer(format!("far answer to {}", jsep.sdp)));
        let accepted = EventBody::Accepted { jsep, callee: None, is_focus: None };
        self.event(15, line, call_id, Some(answer.transaction.clone()), accepted);
        self.act(30, Doing::Media(serial));
    }

    fn in_call(
        &mut self,
        now: u64,
        answer: Answerer,
        line: usize,
        call_id: CallId,
        body: RequestBody,
        random: &mut Random,
    ) {
        let Some(leg) = self.leg_of(line, &call_id) else { return };
        let (serial, state) = (leg.serial, leg.state);
        match (body, state) {
            (RequestBody::Accept { jsep }, LegState::Inviting) => self.accept(&answer, line, &call_id, &jsep, random),
            (RequestBody::Accept { .. }, _) => self.refuse(&answer, 447),
            (RequestBody::Decline { refer_id: None }, LegState::Inviting) => {
                self.ack_and_event(&answer, &call_id, EventBody::Declining { code: 486, refer_id: None }, random);
                self.end(now, line, 486, "declined", random);
            }
            // Acknowledged and otherwise ignored, as Janus does.
            (RequestBody::Decline { .. }, _) | (RequestBody::Hangup {}, LegState::Inviting) => self.ack(&answer, 0),
            (RequestBody::Hangup {}, state) => {
                self.ack_and_event(&answer, &call_id, EventBody::Hangingup { code: None }, random);
                let (code, message) = if state == LegState::Up { (200, "to BYE") } else { (487, "cancelled") };
                self.end(now, line, code, message, random);
            }
            (RequestBody::Hold { .. }, LegState::Up) => {
                leg.station_holds = true;
                self.ack_and_event(&answer, &call_id, EventBody::Holding {}, random);
            }
            (RequestBody::Unhold {}, LegState::Up) => {
                leg.station_holds = false;
                self.ack_and_event(&answer, &call_id, EventBody::Resuming {}, random);
            }
            (RequestBody::Update { jsep }, LegState::Up) if jsep.kind == JsepKind::Offer => {
                self.offer(now, &answer, line, &call_id, &jsep, random);
            }
            (RequestBody::Update { jsep }, LegState::Up) => {
                leg.description = Some(jsep.sdp.into());
                leg.offered_until = 0;
                self.ack_and_event(&answer, &call_id, EventBody::Updated { jsep: None }, random);
                self.act(30, Doing::Media(serial));
            }
            (RequestBody::Hold { .. } | RequestBody::Unhold {} | RequestBody::Update { .. }, _) => self.ack(&answer, 0),
            _ => self.refuse(&answer, 453),
        }
    }

    /// The leg is up: media flow, and the far end does what people do in a talk.
    fn up(&mut self, serial: u64, random: &mut Random) {
        self.act(between(random, 20, 200), Doing::Media(serial));
        let talk = between(random, 2_000, 150_000);
        if random.below(12) != 0 {
            self.act(talk, Doing::Timer(serial, Timer::HangsUp));
        }
        let somewhere = |random: &mut Random| between(random, 500, talk);
        if self.leg(serial).is_some_and(|leg| is_of_alarm(&leg.number)) && random.below(3) != 0 {
            // A human, and no mailbox.
            let at = between(random, 1_000, 25_000);
            self.act(at, Doing::Keys(serial, "1".into()));
        }
        if random.below(3) == 0 {
            let at = somewhere(random);
            let keys = ["5#", "5#", "9#", "12345", "5", "*5#"][usize::try_from(random.below(6)).unwrap_or(0)];
            self.act(at, Doing::Keys(serial, keys.into()));
        }
        if random.below(6) == 0 {
            let at = somewhere(random);
            self.act(at, Doing::Timer(serial, Timer::Reoffers { holds: random.below(2) == 0 }));
            self.act(at + between(random, 1_000, 30_000), Doing::Timer(serial, Timer::Reoffers { holds: false }));
        }
        if random.below(20) == 0 {
            let at = somewhere(random);
            self.act(at, Doing::Timer(serial, Timer::Mutes));
        }
    }

    fn end_media(&mut self, leg: &Leg) {
        if let Some(description) = &leg.description {
            self.act(0, Doing::MediaEnds(description.clone()));
        }
    }

    fn end(&mut self, now: u64, line: usize, code: i64, message: &str, random: &mut Random) {
        let Some(leg) = self.lines.get_mut(line).and_then(|line| line.leg.take()) else { return };
        let body = EventBody::Hangup { code, reason: message.into() };
        let line_number = number(line);
        let event =
            Event { transaction: leg.transaction.clone(), line: line_number, call_id: Some(leg.call_id.clone()), body };
        self.say(10, ServerMessage::Event(Box::new(event)));
        self.end_media(&leg);
        let cleaning = between(random, 50, 1_000);
        self.lines[line].cleaning_until = now + cleaning;
        self.act(cleaning, Doing::Timer(leg.serial, Timer::Cleaned(line)));
    }

    /// Something that a far end does by itself.
    pub fn timer(&mut self, now: u64, serial: u64, timer: Timer, random: &mut Random) {
        if let Timer::Cleaned(line) = timer {
            if now >= self.lines[line].cleaning_until {
                self.line_event(0, line, EventBody::IceHangup { reason: None });
            }
            return;
        }
        let Some(line) = self.line_with(serial) else { return };
        let Some(leg) = self.lines[line].leg.as_mut() else { return };
        let (call_id, transaction) = (leg.call_id.clone(), leg.transaction.clone());
        let description = leg.description.clone().unwrap_or_default();
        match (timer, leg.state) {
            (Timer::Rings, LegState::Calling) => self.event(0, line, &call_id, transaction, EventBody::Ringing {}),
            (Timer::EarlyMedia, LegState::Calling) => {
                let jsep = Some(Jsep::answer(format!("far answer to {description}")));
                let body = EventBody::Progress { callee: None, jsep, is_focus: None };
                self.event(0, line, &call_id, transaction, body);
                self.act(40, Doing::Media(serial));
            }
            (Timer::Answers, LegState::Calling) => {
                leg.state = LegState::Up;
                let early = leg.log.iter().any(|entry| {
                    matches!(&entry.1, LogMessage::Event(event) if matches!(event.body, EventBody::Progress { .. }))
                });
                let jsep = (!early).then(|| Jsep::answer(format!("far answer to {description}")));
                let body = EventBody::Accepted { jsep, callee: None, is_focus: None };
                self.event(0, line, &call_id, transaction, body);
                self.up(serial, random);
            }
            (Timer::Refuses(code), LegState::Calling) => self.end(now, line, code, "refused", random),
            (Timer::GivesUp, LegState::Inviting) => self.end(now, line, 487, "cancelled", random),
            (Timer::HangsUp, LegState::Up) => self.end(now, line, 200, "Session Terminated", random),
            (Timer::Reoffers { holds }, LegState::Up) => {
                leg.far_end_holds = holds;
                // SIP's transaction time-out (RFC 3261, timer B).
                leg.offered_until = now + 32_000;
                let number = leg.number.clone();
                let direction = if holds { "sendonly" } else { "sendrecv" };
                let invitation = Invitation {
                    callee: "door".into(),
                    caller: number.into(),
                    caller_display_name: None,
                    referred_by: None,
                    replace_call_id: None,
                    is_focus: None,
                    jsep: Some(Jsep::offer(format!("far offer {serial} again {direction}"))),
                };
                self.event(0, line, &call_id, None, EventBody::UpdatingCall(invitation));
            }
            (Timer::Mutes, LegState::Up) => leg.muted = true,
            _ => {}
        }
    }
}

/// Where a response goes.
struct Answerer {
    transaction: TransactionId,
    line: usize,
    call_id: Option<CallId>,
}

impl Answerer {
    fn response(&self, body: ResponseBody) -> ServerMessage {
        ServerMessage::Response(Response {
            transaction: Some(self.transaction.clone()),
            line: number(self.line),
            call_id: self.call_id.clone(),
            body,
        })
    }
}

fn number(line: usize) -> Option<callbox::config::Line> {
    u32::try_from(line).ok().map(callbox::config::Line)
}
