//! What must always hold at a door. It is checked at every step, and from the outside: from the inputs of the core and
//! its effects.

use std::collections::{BTreeMap, BTreeSet};

use callbox::config::Sound;
use callbox::core::*;
use callbox::signaling::*;

use crate::alarms::{Alarms, is_of_alarm};
use crate::house::House;
use crate::keypad::Keypad;
use crate::passages::{Passages, Right};

/// The index of the output "strike" in the configuration.
pub const STRIKE: usize = 0;
/// The index of the output "lamp".
const LAMP: usize = 1;
/// The index of the output "alarm_lamp".
const ALARM_LAMP: usize = 2;
pub const MAX_ON_MS: u64 = 8_000;
const SIGN_MS: u64 = 2_000;
/// `press_max_age_s` plus the time that a line, an offer and a slow network may take.
const PRESS_IS_OLD_MS: u64 = 15_000;
/// A state ends at the tick of its deadline. This allows for rounding.
const SLACK_MS: u64 = 1_000;

/// Something that must never happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub what: String,
}

#[derive(Debug, Clone)]
struct Known {
    state: CallState,
    since: u64,
    /// When dialling began.
    begun: u64,
}

/// Everything that is known about the station since its process started.
#[derive(Debug)]
pub struct Checks {
    /// How many calls of one press may ring at a time.
    width: usize,
    lines: usize,
    pub violation: Option<Violation>,
    press_at: Option<u64>,
    /// When the press was made that the next call is for; taken when that call is made.
    wished_at: Option<u64>,
    /// Media liveness has announced that it redials.
    redial_announced: bool,
    /// The number that a press must call first, by the hour at which it was made.
    first_number: Option<&'static str>,
    /// Whether the door's rules have `hours`.
    hours: bool,
    live_outgoing: BTreeSet<CallId>,
    /// Calls that the previous process made.
    restored_outgoing: BTreeSet<CallId>,
    answered: bool,
    redials: u32,
    calls: BTreeMap<CallId, Known>,
    last_digit: BTreeMap<CallId, u64>,
    /// The call that each peer connection belongs to.
    bound: BTreeMap<u32, CallId>,
    /// Calls of which the station was told that they are up.
    told_up: BTreeSet<CallId>,
    callers: BTreeMap<CallId, String>,
    /// Calls of which the station knows that the server has them: candidates may be sent.
    known_to_server: BTreeSet<CallId>,
    line_calls: BTreeMap<u32, CallId>,
    transactions: BTreeMap<TransactionId, CallId>,
    typed: BTreeMap<u32, Vec<(char, u64)>>,
    digit_now: Option<u32>,
    strike_on_since: Option<u64>,
    passages: Passages,
    alarms: Alarms,
    keypad: Keypad,
    house: House,
    /// Whether there is a sound card.
    card: bool,
    lamp: Drive,
}

impl Checks {
    pub fn new(width: usize, hours: bool) -> Self {
        Self {
            width,
            lines: 2,
            violation: None,
            press_at: None,
            wished_at: None,
            redial_announced: false,
            first_number: None,
            hours,
            live_outgoing: BTreeSet::new(),
            restored_outgoing: BTreeSet::new(),
            answered: false,
            redials: 0,
            calls: BTreeMap::new(),
            last_digit: BTreeMap::new(),
            bound: BTreeMap::new(),
            told_up: BTreeSet::new(),
            callers: BTreeMap::new(),
            known_to_server: BTreeSet::new(),
            line_calls: BTreeMap::new(),
            transactions: BTreeMap::new(),
            typed: BTreeMap::new(),
            digit_now: None,
            strike_on_since: None,
            passages: Passages::default(),
            alarms: Alarms::default(),
            keypad: Keypad::default(),
            house: House::default(),
            card: true,
            lamp: Drive::Off,
        }
    }

    pub fn fail(&mut self, rule: &'static str, what: impl Into<String>) {
        if self.violation.is_none() {
            self.violation = Some(Violation { rule, what: what.into() });
        }
    }

    /// The process died: its outputs are at rest, and what it knew is lost.
    pub fn died(&mut self) {
        let callers = std::mem::take(&mut self.callers);
        let (mut alarms, mut keypad) = (std::mem::take(&mut self.alarms), std::mem::take(&mut self.keypad));
        let mut house = std::mem::take(&mut self.house);
        alarms.died();
        keypad.died();
        house.died();
        let violation = self.violation.take();
        *self = Self { callers, alarms, keypad, house, violation, ..Self::new(self.width, self.hours) };
    }

    pub fn started(&mut self, now: u64, local: Option<LocalTime>) {
        self.alarms.started(now);
        self.house.started(now, local);
    }

    /// To be called before the station gets an input.
    pub fn input(&mut self, now: u64, local: Option<LocalTime>, input: &Input) {
        self.house.input(now, local, input);
        self.digit_now = None;
        self.passages.input(now, input);
        self.keypad.input(input);
        match input {
            Input::Audio(event) => self.card = *event == AudioEvent::Ready,
            Input::Socket(SocketEvent::Message(message)) => self.told(message),
            Input::Media(media, MediaEvent::Digit(digit)) => {
                self.typed.entry(media.0).or_default().push((digit.0, now));
                self.digit_now = Some(media.0);
                let call = self.bound.get(&media.0);
                let of_alarm = call.is_none_or(|call| self.alarms.has(call) && self.told_up.contains(call));
                if digit.0 == '1' && of_alarm {
                    self.alarms.confirmed(call);
                }
                if let Some(call) = self.bound.get(&media.0) {
                    self.last_digit.insert(call.clone(), now);
                }
            }
            _ => {}
        }
    }

    fn told(&mut self, message: &ServerMessage) {
        match message {
            ServerMessage::State(state) => {
                for (number, line) in (0..).zip(&state.lines) {
                    let Some((line, call_id)) = line.as_ref().and_then(|line| Some((line, line.call_id.as_ref()?)))
                    else {
                        continue;
                    };
                    self.known_to_server.insert(call_id.clone());
                    self.line_calls.insert(number, call_id.clone());
                    for entry in &line.call_logs {
                        if let LogMessage::Event(event) = &entry.1 {
                            self.told_event(call_id, &event.body);
                        }
                    }
                }
            }
            ServerMessage::Event(event) => {
                if let Some(call_id) = &event.call_id {
                    self.known_to_server.insert(call_id.clone());
                    self.told_event(call_id, &event.body);
                }
            }
            ServerMessage::Response(response) => {
                let acked = matches!(response.body, ResponseBody::Ack);
                if let (true, Some(call)) =
                    (acked, response.transaction.as_ref().and_then(|of| self.transactions.get(of)))
                {
                    self.known_to_server.insert(call.clone());
                }
            }
            ServerMessage::Keepalive { .. } => {}
        }
    }

    fn told_event(&mut self, call_id: &CallId, body: &EventBody) {
        match body {
            EventBody::Accepted { .. } => {
                self.told_up.insert(call_id.clone());
            }
            EventBody::Hangup { .. } => {
                self.told_up.remove(call_id);
            }
            EventBody::IncomingCall(invitation) => {
                self.callers.insert(call_id.clone(), invitation.caller.clone().into());
            }
            _ => {}
        }
    }

    /// To be called with each effect of the station.
    pub fn effect(&mut self, now: u64, effect: &Effect) {
        if let Effect::Drive(output, drive) = effect
            && let Err(what) = self.house.drives(now, *output, *drive)
        {
            self.fail("conditions", what);
        }
        match effect {
            // A sound is a sign only if there is a sound card, and only if it is about the press.
            Effect::Play { sound: Sound::Connecting | Sound::Busy | Sound::NoConnection, .. } if self.card => {
                self.press_at = None;
            }
            Effect::Scene(scene) => {
                if self.card && scene.tone.is_some() {
                    self.press_at = None;
                }
                self.scene(scene);
            }
            Effect::Drive(callbox::config::OutputIndex(LAMP), drive) => self.lamp = *drive,
            Effect::Drive(callbox::config::OutputIndex(ALARM_LAMP), drive) => self.alarms.lamp(*drive),
            Effect::CheckCode { typed, .. } => {
                if let Err(what) = self.keypad.asks(typed) {
                    self.fail("keypad", what);
                }
            }
            Effect::Send(ClientMessage::Request(request)) => self.sent(now, request),
            Effect::Drive(callbox::config::OutputIndex(STRIKE), drive) => self.strike(now, *drive),
            Effect::Fact(fact) => self.fact(now, fact),
            _ => {}
        }
    }

    fn sent(&mut self, now: u64, request: &Request) {
        let line = request.line.map_or(u32::MAX, |line| line.0);
        if let Some(call_id) = &request.call_id {
            match &request.body {
                RequestBody::OutgoingCall { jsep, number, .. } if is_of_alarm(number) => {
                    self.transactions.insert(request.transaction.clone(), call_id.clone());
                    self.line_calls.insert(line, call_id.clone());
                    self.bind(jsep, call_id);
                    if let Err(what) = self.alarms.dials(now, call_id) {
                        self.fail("alarm", what);
                    }
                }
                RequestBody::OutgoingCall { jsep, number, .. } => {
                    if let Some(first) = self.first_number.take_if(|_| !self.redial_announced)
                        && *number != first
                    {
                        self.fail("hours", format!("{number} is called, though {first} is on duty"));
                    }
                    self.transactions.insert(request.transaction.clone(), call_id.clone());
                    self.line_calls.insert(line, call_id.clone());
                    self.bind(jsep, call_id);
                    self.dials(now, call_id);
                }
                RequestBody::Accept { jsep } | RequestBody::Update { jsep } => {
                    self.line_calls.insert(line, call_id.clone());
                    self.bind(jsep, call_id);
                }
                RequestBody::Hangup {} | RequestBody::Decline { refer_id: None } => {
                    self.live_outgoing.remove(call_id);
                    self.restored_outgoing.remove(call_id);
                    self.told_up.remove(call_id);
                }
                _ => {}
            }
        }
        if matches!(request.body, RequestBody::IceTrickle { .. }) {
            let known = self.line_calls.get(&line).is_some_and(|call| self.known_to_server.contains(call));
            if !known {
                self.fail("trickle", format!("a candidate on line {line} before the server knows its call"));
            }
        }
    }

    /// Rule 1: one press, one call, and no call for an old press.
    fn dials(&mut self, now: u64, call_id: &CallId) {
        if !self.live_outgoing.insert(call_id.clone()) {
            // It is sent again because the first one was lost with its socket.
            return;
        }
        let redial = std::mem::take(&mut self.redial_announced);
        if !redial && self.wished_at.take().is_some_and(|at| now > at + PRESS_IS_OLD_MS) {
            return self.fail("no ghosts", "a press is dialled long after it was made");
        }
        // A call that the previous process made is up as well.
        let live: Vec<&CallId> = self.live_outgoing.iter().chain(&self.restored_outgoing).collect();
        if live.len() > self.width {
            return self.fail("one press, one call", format!("calls up at a time: {live:?}"));
        }
        if self.answered {
            self.redials += 1;
            if self.redials > 1 || !redial {
                self.fail("one press, one call", format!("call {} after an answered one", call_id.0));
            }
        }
    }

    /// Rule 4: no two calls share a peer connection.
    fn bind(&mut self, jsep: &Jsep, call_id: &CallId) {
        let Some(media) = jsep.sdp.split('.').nth(1).and_then(|media| media.parse().ok()) else {
            return self.fail("protocol", format!("sent a description that is not ours: {}", jsep.sdp));
        };
        // A call that is dialled again on another line keeps its peer connection and gets a new id.
        let before = self.bound.insert(media, call_id.clone());
        let shared = before.as_ref().is_some_and(|before| before != call_id && self.is_alive(before));
        if shared {
            self.fail("one peer connection a call", format!("{before:?} and {call_id:?} share {media}"));
        }
    }

    fn is_alive(&self, call_id: &CallId) -> bool {
        self.calls
            .get(call_id)
            .is_some_and(|call| !matches!(call.state, CallState::Idle | CallState::Ending | CallState::Dialing))
    }

    /// Rule 2: the microphone is open only in calls that are up, and only for people whom a rule admits.
    fn scene(&mut self, scene: &Scene) {
        let mut unbound = 0;
        for call in scene.calls.iter().filter(|call| call.microphone) {
            let Some(call_id) = self.bound.get(&call.media.0).cloned() else {
                unbound += 1;
                continue;
            };
            if !self.told_up.contains(&call_id) {
                self.fail("microphone", format!("open in {call_id:?}, which is not up"));
            }
            if let Some(caller) = self.callers.get(&call_id).filter(|caller| *caller != "100" && *caller != "200") {
                let what = format!("open for {caller}, which no rule admits");
                self.fail("microphone", what);
            }
        }
        // After a restart or for a repair, a call that is up has a new peer connection without a description yet.
        let described: BTreeSet<&CallId> =
            scene.calls.iter().filter_map(|call| self.bound.get(&call.media.0)).collect();
        let replaced = self.told_up.iter().filter(|call| !described.contains(call)).count();
        if unbound > replaced {
            let what = format!("open for {unbound} calls without a description, {replaced} are allowed");
            self.fail("microphone", what);
        }
        if scene.calls.len() > self.lines {
            self.fail("microphone", "more calls than lines");
        }
    }

    /// Rule 3: the relay goes on only after the right code, and never stays on for longer than `MAX_ON_MS`.
    fn strike(&mut self, now: u64, drive: Drive) {
        self.passages.right(now, Right::Strike, drive == Drive::On);
        if drive != Drive::On {
            self.check_strike(now);
            self.strike_on_since = None;
            return;
        }
        self.strike_on_since.get_or_insert(now);
        let asked = self.digit_now.is_some_and(|media| {
            let admitted = self.bound.get(&media).is_some_and(|call| {
                self.told_up.contains(call) && self.callers.get(call).is_none_or(|caller| caller == "100")
            });
            let typed = self.typed.get(&media).map_or(&[][..], Vec::as_slice);
            let code = matches!(typed, [.., ('5', first), ('#', second)] if second - first <= 3_000);
            admitted && code
        });
        let by_code = self.keypad.may_open(now) && self.house.code_holds();
        if !asked && !by_code {
            self.fail("relay", "turned on, but nobody who may use the code has entered it");
        }
    }

    fn check_strike(&mut self, now: u64) {
        if self.strike_on_since.is_some_and(|since| now > since + MAX_ON_MS) {
            self.fail("relay", format!("on for longer than {MAX_ON_MS} ms"));
        }
    }

    fn fact(&mut self, now: u64, fact: &Fact) {
        if let Err(what) = self.passages.fact(now, fact) {
            self.fail("door", what);
        }
        self.alarms.fact(now, fact);
        if let Err(what) = self.house.fact(fact) {
            self.fail("schedule", what);
        }
        if let Err(what) = self.keypad.fact(now, fact) {
            self.fail("keypad", what);
        }
        match fact {
            Fact::Press { button, .. } if button == "bell" => {
                self.press_at.get_or_insert(now);
                if self.live_outgoing.is_empty() {
                    // While a call is still ending, its list may go on: then this press belongs to that call.
                    let new = self.calls.is_empty();
                    self.wished_at = new.then_some(now);
                    let by_day = self.house.local().is_some_and(|local| (480..1200).contains(&local.minute_of_day));
                    self.first_number = (self.hours && new).then_some(if by_day { "100" } else { "101" });
                    self.redial_announced = false;
                    self.answered = false;
                    self.redials = 0;
                }
            }
            Fact::Repair { step: RepairStep::Redial, .. } => self.redial_announced = true,
            Fact::Call { call_id, state, direction, number, .. } => {
                let call_id = CallId(call_id.clone());
                let of_alarm = is_of_alarm(number);
                self.check_call(now, &call_id);
                match state {
                    CallState::Idle | CallState::Ending if of_alarm => self.alarms.ended(now, &call_id),
                    _ if of_alarm => self.alarms.is_on(&call_id),
                    _ => {}
                }
                // A call that the previous process made belongs to another press.
                let own = *direction == Direction::Outgoing && self.live_outgoing.contains(&call_id);
                if own && matches!(state, CallState::Established) {
                    self.answered = true;
                }
                if matches!(state, CallState::Ending | CallState::Idle) {
                    self.live_outgoing.remove(&call_id);
                    self.restored_outgoing.remove(&call_id);
                } else if *direction == Direction::Outgoing && !own && !of_alarm && is_up(*state) {
                    self.restored_outgoing.insert(call_id.clone());
                }
                if *state == CallState::Idle {
                    self.calls.remove(&call_id);
                    return;
                }
                let begun = self.calls.get(&call_id).map_or(now, |call| call.begun);
                let same = self.calls.get(&call_id).filter(|call| is_up(call.state) && is_up(*state));
                let since = same.map_or(now, |call| call.since);
                self.calls.insert(call_id, Known { state: *state, since, begun });
            }
            _ => {}
        }
    }

    /// Rule 4: every state but idle has a deadline.
    fn check_call(&mut self, now: u64, call_id: &CallId) {
        // An alarm has no longest time.
        let Some(call) = self.calls.get(call_id).filter(|_| !self.alarms.has(call_id)) else { return };
        let digit = self.last_digit.get(call_id).copied().unwrap_or(0);
        let (from, limit) = match call.state {
            CallState::Dialing | CallState::Alerting => (call.begun, 30_000),
            CallState::Incoming => (call.since, 30_000),
            CallState::Answering => (call.since, 20_000),
            CallState::Established | CallState::Held => (call.since.max(digit), 300_000),
            CallState::Ending => (call.since, 10_000),
            CallState::Idle => return,
        };
        if now > from + limit + SLACK_MS {
            let what = format!("{call_id:?} is {:?} for {} s", call.state, (now - from) / 1000);
            self.fail("deadlines", what);
        }
    }

    /// Checks what time alone can break; to be called after every input.
    pub fn after_step(&mut self, now: u64, cannot_try_until: u64) {
        let in_call = !self.calls.is_empty() || !self.live_outgoing.is_empty() || self.alarms.is_pending();
        if let Err(what) = self.house.wrong(now, in_call) {
            self.fail("house", what);
        }
        if let Err(what) = self.alarms.wrong(now, cannot_try_until) {
            self.fail("alarm", what);
        }
        // Without a card the lamp is the sign: it blinks while the station calls, is on during a call, and
        // shows its fault pattern while no call can be made.
        if !self.card && self.lamp != Drive::Off {
            self.press_at = None;
        }
        if self.press_at.is_some_and(|at| now > at + SIGN_MS) {
            self.fail("a sign within 2 s", "the visitor saw and heard nothing");
        }
        self.check_strike(now);
        if let Err(what) = self.passages.missing(now) {
            self.fail("door", what);
        }
    }

    /// To be called when a motion has stayed for a while.
    pub fn motion_stayed(&mut self, now: u64) {
        if let Err(what) = self.house.stayed(now) {
            self.fail("motion", what);
        }
    }

    /// Checks every call; to be called at regular intervals.
    pub fn sweep(&mut self, now: u64) {
        let calls: Vec<CallId> = self.calls.keys().cloned().collect();
        for call_id in &calls {
            self.check_call(now, call_id);
        }
        if self.calls.len() > self.lines {
            self.fail("deadlines", format!("{} calls on {} lines", self.calls.len(), self.lines));
        }
        // What is over is dropped, so that a month fits in memory.
        if calls.is_empty() {
            self.bound.clear();
            self.told_up.clear();
            self.known_to_server.clear();
            self.transactions.clear();
            self.typed.clear();
            self.last_digit.clear();
            self.callers.clear();
        }
    }

    /// The station's calls, to be compared with the server's.
    pub fn call_ids(&self) -> BTreeSet<CallId> {
        self.calls.keys().cloned().collect()
    }

    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }
}

fn is_up(state: CallState) -> bool {
    matches!(state, CallState::Established | CallState::Held)
}
