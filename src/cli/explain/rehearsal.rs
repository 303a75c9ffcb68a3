//! A rehearsal: a copy of the station decides what would happen.

use std::sync::Arc;

use crate::cli::narrate;
use crate::cli::output::say;
use crate::config::{CodeIndex, Config, ReaderIndex, ScheduleIndex};
use crate::core::*;
use crate::secret::DtmfDigit;
use crate::signaling::*;

/// The longest virtual time for which a press or an edge is followed.
const HORIZON_MS: u64 = 90 * 60_000;

/// A copy of the station, with a server that accepts every request and, unless `answering` is set, a far end that never
/// answers.
pub(super) struct Rehearsal {
    config: Arc<Config>,
    station: Station,
    local: Option<LocalTime>,
    now_ms: u64,
    pressed_ms: u64,
    told: bool,
    answers: Vec<(u64, Input)>,
    /// The peer connection of the last call.
    pub(super) media: MediaId,
    /// Whether the far end answers a call of the station.
    answering: bool,
    /// The code that somebody types.
    code: Option<CodeIndex>,
}

impl Rehearsal {
    pub(super) fn new(config: Arc<Config>, local: Option<LocalTime>, offline: bool) -> Self {
        let station = Station::new(Arc::clone(&config), 1, 1, Now { at: Time(0), local });
        let (now_ms, pressed_ms) = (0, 0);
        let mut rehearsal = Self {
            config,
            station,
            local,
            now_ms,
            pressed_ms,
            told: false,
            answers: Vec::new(),
            media: MediaId(0),
            answering: false,
            code: None,
        };
        rehearsal.feed(Input::Audio(AudioEvent::Ready));
        if offline {
            let message = "no network, because of --offline".to_owned();
            // Four failures are enough for the back-off to grow.
            for _ in 0..4 {
                let failure =
                    ConnectFailure { kind: ConnectFailureKind::Network, message: message.clone(), retry_after: None };
                rehearsal.feed(Input::Socket(SocketEvent::Failed(failure)));
                rehearsal.pass(30_000);
            }
        } else {
            rehearsal.feed(Input::Socket(SocketEvent::Opened { local: None }));
            let registration = Registration { status: RegistrationStatus::Registered, code: None, reason: None };
            rehearsal.feed(said(ServerMessage::State(Box::new(StateHandshake {
                keepalive_interval: 3_600_000,
                timestamp: 0,
                registration,
                lines: vec![None; 2],
                guest_line: None,
            }))));
            rehearsal.pass(1_000);
        }
        rehearsal
    }

    /// Prints what follows from these inputs until the station is at rest.
    pub(super) fn run(self, inputs: Vec<Input>) {
        self.run_for(inputs, HORIZON_MS);
    }

    /// Prints what follows when somebody types a code, or shows a card.
    pub(super) fn run_code(mut self, reader: ReaderIndex, code: CodeIndex) {
        self.code = Some(code);
        let key = |key| Input::Key { reader, key };
        let symbol = ReaderKey::Symbol(DtmfDigit('0'));
        self.run(vec![key(symbol), key(ReaderKey::Enter)]);
    }

    /// Prints what follows when a schedule comes due.
    pub(super) fn run_schedule(mut self, schedule: ScheduleIndex) {
        self.station.bring_due(schedule);
        self.run(vec![Input::Tick]);
    }

    pub(super) fn run_for(mut self, inputs: Vec<Input>, most_ms: u64) {
        let session = self.station.status().session;
        let reason = session.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        say!("  the session is {}{reason}", session.state);
        say!("  if nobody does anything else:");
        self.pressed_ms = self.now_ms;
        self.told = true;
        inputs.into_iter().for_each(|input| self.feed(input));
        let end = self.now_ms + most_ms;
        // An edge takes effect only after its debounce time, so the station still looks at rest before that.
        self.pass(250);
        while self.now_ms < end && !self.is_over() {
            self.pass(250);
        }
        if let Some(alarm) = self.station.status().alarms.first() {
            say!("  the alarm is {}, and goes on like that until somebody takes or ends it", alarm.state);
        }
    }

    fn event(&self, body: EventBody) -> Input {
        let event = Event { transaction: None, line: Some(Line(0)), call_id: Some(CallId("rehearsal".into())), body };
        said(ServerMessage::Event(Box::new(event)))
    }

    pub(super) fn invitation(&mut self, from: &str) -> Input {
        self.event(EventBody::IncomingCall(Invitation {
            callee: Default::default(),
            caller: from.into(),
            caller_display_name: None,
            referred_by: None,
            replace_call_id: None,
            is_focus: None,
            jsep: Some(Jsep::offer("a rehearsal")),
        }))
    }

    /// Sets up a call in one direction, and returns whether it is established. Nothing is printed meanwhile.
    pub(super) fn connect_to(&mut self, number: &str, direction: Direction) -> bool {
        match direction {
            Direction::Outgoing => {
                let command = Command::Call { number: number.into(), line: None };
                self.answering = true;
                self.feed(Input::Command(CommandId(1), By::Station, command));
                self.pass(2_000);
            }
            Direction::Incoming => {
                let invitation = self.invitation(number);
                self.feed(invitation);
                self.feed(Input::Command(CommandId(1), By::Station, Command::Answer { line: None }));
                self.pass(500);
                let accepted = EventBody::Accepted { jsep: None, callee: None, is_focus: None };
                let accepted = self.event(accepted);
                self.feed(accepted);
                self.pass(500);
            }
        }
        self.feed(Input::Media(self.media, MediaEvent::Connected));
        self.answering = false;
        self.station.status().lines.iter().any(|line| line.state == CallState::Established)
    }

    fn is_over(&self) -> bool {
        let [_, delayed, hunts, _] = self.station.backlog();
        let judges_a_door = || self.station.status().doors.iter().any(|door| door.state == DoorState::Opening);
        self.station.is_at_rest() && delayed == 0 && hunts == 0 && self.answers.is_empty() && !judges_a_door()
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        loop {
            let deadline = self.station.next_deadline().map_or(u64::MAX, |deadline| deadline.at.0);
            let answer = self.answers.iter().map(|(at, _)| *at).min().unwrap_or(u64::MAX);
            let next = deadline.min(answer);
            if next > end {
                break;
            }
            self.now_ms = self.now_ms.max(next);
            match self.answers.iter().position(|(at, _)| *at == answer && answer <= deadline) {
                Some(index) => {
                    let (_, input) = self.answers.swap_remove(index);
                    self.feed(input);
                }
                None => self.feed(Input::Tick),
            }
        }
        self.now_ms = end;
    }

    pub(super) fn feed(&mut self, input: Input) {
        // Where time alone leads to a decision, people want to know which deadline it was.
        let mut deadline = self.station.next_deadline().filter(|_| matches!(input, Input::Tick));
        self.station.handle(Now { at: Time(self.now_ms), local: self.local }, input);
        while let Some(effect) = self.station.poll_effect() {
            if self.told
                && is_a_decision(&effect)
                && let Some(message) = narrate::effect(&self.config, &effect)
            {
                let after = (self.now_ms - self.pressed_ms) as f64 / 1000.0;
                if let Some(deadline) = deadline.take() {
                    say!("  {after:>7.1} s  deadline: {deadline}");
                }
                say!("  {after:>7.1} s  {message}");
            }
            self.respond(&effect);
        }
    }

    fn answer_after(&mut self, ms: u64, input: Input) {
        self.answers.push((self.now_ms + ms, input));
    }

    fn respond(&mut self, effect: &Effect) {
        match effect {
            Effect::Media(media, MediaCommand::Answer { .. }) => {
                self.media = *media;
                let answer = MediaEvent::LocalAnswer { sdp: "a rehearsal".into(), far_end_holds: false };
                self.answer_after(10, Input::Media(*media, answer));
            }
            Effect::Media(media, MediaCommand::ApplyAnswer { .. }) => self.media = *media,
            Effect::Media(media, MediaCommand::Offer) => {
                let offer = MediaEvent::LocalOffer { sdp: "a rehearsal".into() };
                self.answer_after(10, Input::Media(*media, offer));
            }
            Effect::CheckCode { check, codes, .. } => {
                let matched = codes.iter().copied().filter(|code| self.code == Some(*code)).collect();
                self.answer_after(100, Input::CodeChecked { check: *check, matched });
            }
            Effect::Send(ClientMessage::Keepalive { transaction }) => {
                let echo = ServerMessage::Keepalive { transaction: Some(transaction.clone()) };
                self.answer_after(10, said(echo));
            }
            Effect::Send(ClientMessage::Request(request)) => {
                let event = |body| {
                    let transaction = Some(request.transaction.clone());
                    let event = Event { transaction, line: request.line, call_id: request.call_id.clone(), body };
                    said(ServerMessage::Event(Box::new(event)))
                };
                let ack = ServerMessage::Response(Response {
                    transaction: Some(request.transaction.clone()),
                    line: request.line,
                    call_id: request.call_id.clone(),
                    body: ResponseBody::Ack,
                });
                self.answer_after(20, said(ack));
                match request.body {
                    RequestBody::OutgoingCall { .. } if self.answering => {
                        let jsep = Some(Jsep::answer("a rehearsal"));
                        let accepted = EventBody::Accepted { jsep, callee: None, is_focus: None };
                        self.answer_after(200, event(accepted));
                    }
                    RequestBody::OutgoingCall { .. } => self.answer_after(200, event(EventBody::Ringing {})),
                    RequestBody::Hangup {} => {
                        let hangup =
                            EventBody::Hangup { code: sip_status::REQUEST_TERMINATED, reason: "cancelled".into() };
                        self.answer_after(60, event(hangup));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// The input for a message of the server.
fn said(message: ServerMessage) -> Input {
    Input::Socket(SocketEvent::Message(Box::new(message)))
}

/// Whether a person at the door or at the far end would notice the effect.
fn is_a_decision(effect: &Effect) -> bool {
    match effect {
        Effect::Send(ClientMessage::Request(request)) => !matches!(request.body, RequestBody::IceTrickle { .. }),
        Effect::Play { .. } | Effect::Announce(_) | Effect::Scene(_) | Effect::Drive(..) | Effect::Connect { .. } => {
            true
        }
        Effect::Fact(fact) => matches!(
            fact,
            Fact::PressRefused { .. }
                | Fact::SensorRefused { .. }
                | Fact::DoorRefused { .. }
                | Fact::ScheduleRefused { .. }
                | Fact::Door { .. }
                | Fact::Alarm { .. }
                | Fact::Code { .. }
                | Fact::ReaderRefused { .. }
                | Fact::Dtmf { .. }
                | Fact::Call { cause: Some(_), .. }
        ),
        _ => false,
    }
}
