//! A door in virtual time: the core with a scripted server, a microphone, pins and a visitor.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use callbox::blackbox::Recorder;
use callbox::config::{Config, OutputIndex, PlayTo, Playable, Sound, parse};
use callbox::core::*;
use callbox::signaling::*;

/// The path of a sound that lasts for so many seconds.
pub fn wav(seconds: u32) -> String {
    let path = format!("{}/{seconds}s.wav", env!("CARGO_TARGET_TMPDIR"));
    let spec =
        hound::WavSpec { channels: 1, sample_rate: 8_000, bits_per_sample: 8, sample_format: hound::SampleFormat::Int };
    // Tests that run side by side write the same file, so each write must be whole.
    let part = format!("{path}.{:?}", std::thread::current().id());
    let mut writer = hound::WavWriter::create(&part, spec).unwrap();
    (0..seconds * 8_000).for_each(|index| writer.write_sample(if index % 16 < 8 { 40_i8 } else { -40 }).unwrap());
    writer.finalize().unwrap();
    std::fs::rename(part, &path).unwrap();
    path
}

/// Makes a configuration; `rest` follows the keys of `[core]`.
pub fn configuration(rest: &str) -> Config {
    let text = format!("[core]\nurl = \"https://core.example.com\"\ntoken = \"t\"\n{rest}");
    parse("test.toml", &text, &BTreeMap::new()).unwrap_or_else(|errors| panic!("{errors}"))
}

pub const BELL: &str = r#"
[[button]]
name = "bell"
pin = 17
press = { call = "100", ring_s = 30 }
"#;

pub struct Door {
    pub station: Station,
    pub now_ms: u64,
    pub local: Option<LocalTime>,
    pub sent: Vec<ClientMessage>,
    pub facts: Vec<Fact>,
    pub sounds: Vec<(Sound, bool)>,
    /// Codes that somebody has typed, to be checked.
    pub checks: Vec<(u32, callbox::secret::DoorCode, Vec<callbox::config::CodeIndex>)>,
    /// Announcements, and `None` where one was ended.
    pub announced: Vec<Option<(Playable, PlayTo)>>,
    pub scene: Scene,
    pub drives: HashMap<usize, Drive>,
    pub media: Vec<(MediaId, MediaCommand)>,
    pub connects: Vec<bool>,
    /// The server of each attempt in `connects`.
    pub servers: Vec<usize>,
    pub probes: usize,
    pub ice_server_requests: usize,
    pub memory: Memory,
    pub disconnects: Vec<u16>,
    pub logins: usize,
    pub tokens_refused: usize,
    pub replies: Vec<Result<Done, Refusal>>,
    /// Whether peer connections answer at once.
    pub media_answers: bool,
    /// Whether the server echoes keepalives.
    pub echoes: bool,
    /// Whether something arrives from the server after every request, if only an echo that no keepalive asked for.
    pub alive: bool,
    pub recorder: Recorder,
    commands: u64,
    lines: usize,
}

impl Door {
    /// A door that has not connected yet.
    pub fn new(rest: &str) -> Self {
        Self::configured(configuration(rest))
    }

    pub fn configured(config: Config) -> Self {
        let now = Now { at: Time(0), local: None };
        Self {
            station: Station::new(Arc::new(config), 7, 1000, now),
            now_ms: 0,
            local: None,
            sent: Vec::new(),
            facts: Vec::new(),
            sounds: Vec::new(),
            checks: Vec::new(),
            announced: Vec::new(),
            scene: Scene::default(),
            drives: HashMap::new(),
            media: Vec::new(),
            connects: Vec::new(),
            servers: Vec::new(),
            probes: 0,
            ice_server_requests: 0,
            memory: Memory::default(),
            disconnects: Vec::new(),
            logins: 0,
            tokens_refused: 0,
            replies: Vec::new(),
            media_answers: true,
            echoes: true,
            alive: true,
            recorder: Recorder::default(),
            commands: 0,
            lines: 2,
        }
    }

    /// A door that is registered and idle.
    pub fn online(rest: &str) -> Self {
        let mut door = Self::new(rest);
        door.connect();
        door.input(Input::Audio(AudioEvent::Ready));
        door.sent.clear();
        door.sounds.clear();
        door
    }

    pub fn connect(&mut self) {
        self.reopen();
        let lines = vec![None; self.lines];
        self.state(lines);
        self.advance(10);
    }

    pub fn state(&mut self, lines: Vec<Option<LineState>>) {
        self.state_with(lines, RegistrationStatus::Registered);
    }

    pub fn state_with(&mut self, lines: Vec<Option<LineState>>, status: RegistrationStatus) {
        let state = StateHandshake {
            keepalive_interval: 30_000,
            timestamp: 0,
            registration: Registration { status, code: None, reason: None },
            lines,
            guest_line: None,
        };
        self.server(ServerMessage::State(Box::new(state)));
    }

    pub fn server(&mut self, message: ServerMessage) {
        self.input(Input::Socket(SocketEvent::Message(Box::new(message))));
    }

    /// Lets time pass until the core tries to connect; then the socket opens.
    pub fn reopen(&mut self) {
        let before = self.connects.len();
        while self.connects.len() == before {
            let next = self.station.next_deadline().expect("an attempt is planned").at.0;
            self.advance(next.saturating_sub(self.now_ms));
        }
        self.input(Input::Socket(SocketEvent::Opened { local: None }));
    }

    pub fn lose(&mut self, code: u16) {
        self.input(Input::Socket(SocketEvent::Closed(CloseCause::from_code(code))));
    }

    pub fn input(&mut self, input: Input) {
        let now = Now { at: Time(self.now_ms), local: self.local };
        self.recorder.record(&self.station, now, &input);
        self.station.handle(now, input);
        self.drain();
    }

    /// Lets time pass, stopping at every deadline of the core.
    pub fn advance(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        let mut steps = 0;
        while let Some(deadline) = self.station.next_deadline().filter(|deadline| deadline.at.0 <= end) {
            self.now_ms = deadline.at.0.max(self.now_ms);
            self.input(Input::Tick);
            steps += 1;
            assert!(steps < 10_000, "the core never comes to rest");
        }
        self.now_ms = end;
        self.input(Input::Tick);
    }

    fn drain(&mut self) {
        let (mut answers, mut echoes) = (Vec::new(), Vec::new());
        while let Some(effect) = self.station.poll_effect() {
            match effect {
                Effect::Connect { server, force } => {
                    self.connects.push(force);
                    self.servers.push(server.0);
                }
                Effect::Probe(_) => self.probes += 1,
                Effect::Remember(memory) => self.memory = memory,
                Effect::Disconnect { code } => self.disconnects.push(code),
                Effect::Send(ClientMessage::Keepalive { transaction }) if self.echoes => echoes.push(transaction),
                Effect::Send(message) => {
                    if self.alive && matches!(message, ClientMessage::Request(_)) {
                        echoes.push("transaction-0".into());
                    }
                    self.sent.push(message);
                }
                Effect::ObtainToken => self.logins += 1,
                Effect::ObtainIceServers => self.ice_server_requests += 1,
                Effect::TokenRefused => self.tokens_refused += 1,
                Effect::Media(media, command) => {
                    if self.media_answers {
                        answers.extend(answer(&command).into_iter().map(|event| (media, event)));
                    }
                    self.media.push((media, command));
                }
                Effect::Scene(scene) => self.scene = scene,
                Effect::Play { sound, to_calls } => self.sounds.push((sound, to_calls)),
                Effect::CheckCode { check, typed, codes } => self.checks.push((check, typed, codes)),
                Effect::Announce(what) => self.announced.push(what),
                Effect::Drive(OutputIndex(index), drive) => {
                    self.drives.insert(index, drive);
                }
                Effect::Reply(_, result) => self.replies.push(result),
                Effect::Fact(fact) => self.facts.push(fact),
            }
        }
        for transaction in echoes {
            self.server(ServerMessage::Keepalive { transaction: Some(transaction) });
        }
        for (media, event) in answers {
            self.input(Input::Media(media, event));
        }
    }

    // ---- the visitor and the resident ----

    pub fn press(&mut self) {
        // The reply does not matter: a press that cannot become a call is still answered with a sign.
        let _ = self.command(Command::Press { button: ButtonIndex(0), gesture: Gesture::Press });
    }

    /// Carries out a command and returns its reply.
    pub fn command(&mut self, command: Command) -> Result<Done, Refusal> {
        self.commands += 1;
        self.input(Input::Command(CommandId(self.commands), By::User { user: "anna".into() }, command));
        self.replies.pop().expect("every command is answered")
    }

    pub fn heard(&self, sound: Sound) -> bool {
        let announced =
            self.announced.iter().any(|one| matches!(one, Some((Playable::Sound(heard), _)) if *heard == sound));
        announced || self.sounds.iter().any(|(heard, _)| *heard == sound)
    }

    pub fn microphone_is_open(&self) -> bool {
        self.scene.calls.iter().any(|call| call.microphone) && !self.scene.muted
    }

    pub fn states(&self) -> Vec<CallState> {
        self.station.status().lines.iter().map(|line| line.state).collect()
    }

    pub fn cause(&self) -> Option<(i64, String)> {
        self.station.status().last_end.map(|end| (end.cause.code, end.cause.text))
    }

    // ---- the server ----

    /// Removes the requests of this name from what was sent and returns them, oldest first.
    pub fn take(&mut self, name: &str) -> Vec<Request> {
        let mut taken = Vec::new();
        self.sent.retain(|message| match message {
            ClientMessage::Request(request) if request.body.kind().name() == name => {
                taken.push(request.clone());
                false
            }
            _ => true,
        });
        taken
    }

    /// As `take`, where exactly one request of this name must have been sent.
    pub fn take_one(&mut self, name: &str) -> Request {
        let mut taken = self.take(name);
        assert_eq!(taken.len(), 1, "{name}: {taken:?}, others: {:?}", self.sent);
        taken.remove(0)
    }

    pub fn keepalives(&mut self) -> Vec<TransactionId> {
        let found = self.sent.iter().filter_map(|message| match message {
            ClientMessage::Keepalive { transaction } => Some(transaction.clone()),
            ClientMessage::Request(_) => None,
        });
        found.collect()
    }

    pub fn ack(&mut self, request: &Request) {
        self.respond(request, ResponseBody::Ack);
    }

    pub fn refuse(&mut self, request: &Request, code: i64) {
        self.respond(request, ResponseBody::Error { code, reason: "no".into() });
    }

    fn respond(&mut self, request: &Request, body: ResponseBody) {
        self.server(ServerMessage::Response(Response {
            transaction: Some(request.transaction.clone()),
            line: request.line,
            call_id: request.call_id.clone(),
            body,
        }));
    }

    /// An event of the call that a request is about, with the request's transaction.
    pub fn event_of(&mut self, request: &Request, body: EventBody) {
        let transaction = Some(request.transaction.clone());
        self.event(transaction, request.line, request.call_id.clone(), body);
    }

    pub fn event(
        &mut self,
        transaction: Option<TransactionId>,
        line: Option<Line>,
        call_id: Option<CallId>,
        body: EventBody,
    ) {
        self.server(ServerMessage::Event(Box::new(Event { transaction, line, call_id, body })));
    }

    /// Somebody calls the door.
    pub fn incoming(&mut self, line: u32, call_id: &str, caller: &str) {
        self.incoming_with(line, call_id, caller, Some(Jsep::offer("their offer")));
    }

    pub fn incoming_with(&mut self, line: u32, call_id: &str, caller: &str, jsep: Option<Jsep>) {
        self.event(None, Some(Line(line)), Some(call_id.into()), EventBody::IncomingCall(invitation(caller, jsep)));
    }

    /// A press whose call the server accepts and which rings.
    pub fn ringing_call(&mut self) -> Request {
        self.press();
        let request = self.take_one("outgoing_call");
        self.ack(&request);
        self.event_of(&request, EventBody::Ringing {});
        request
    }

    /// A press that was answered, with media.
    pub fn talking_call(&mut self) -> Request {
        let request = self.ringing_call();
        self.answered(&request);
        request
    }

    pub fn answered(&mut self, request: &Request) {
        self.event_of(request, accepted());
        self.media_connected();
    }

    /// The media of every call connects.
    pub fn media_connected(&mut self) {
        let media: Vec<MediaId> = self.media.iter().map(|(media, _)| *media).collect();
        for media in media {
            self.input(Input::Media(media, MediaEvent::Connected));
        }
    }

    /// ICE of the call in the scene loses the far end.
    pub fn lose_media(&mut self) {
        let media = self.scene.calls[0].media;
        self.input(Input::Media(media, MediaEvent::Disconnected));
    }

    /// ICE of every peer connection loses the far end.
    pub fn lose_media_of_all(&mut self) {
        let media: Vec<MediaId> = self.media.iter().map(|(media, _)| *media).collect();
        for media in media {
            self.input(Input::Media(media, MediaEvent::Disconnected));
        }
    }

    /// An incoming call that was answered, with media.
    pub fn talking_in(&mut self, line: u32, call_id: &str, caller: &str) {
        self.incoming(line, call_id, caller);
        self.advance(1000);
        let accept = self.take_one("accept");
        self.ack(&accept);
        self.event_of(&accept, EventBody::Accepted { jsep: None, callee: None, is_focus: None });
        self.media_connected();
    }

    pub fn hung_up(&mut self, request: &Request, code: i64) {
        self.event_of(request, EventBody::Hangup { code, reason: "bye".into() });
    }

    /// The far end of the newest call presses keys.
    pub fn digits(&mut self, digits: &str) {
        let media = self.scene.calls.last().expect("a call in the scene").media;
        for digit in digits.chars() {
            self.input(Input::Media(media, MediaEvent::Digit(callbox::secret::DtmfDigit(digit))));
        }
    }

    pub fn last_media(&self, wanted: impl Fn(&MediaCommand) -> bool) -> Option<&MediaCommand> {
        self.media.iter().rev().map(|(_, command)| command).find(|command| wanted(command))
    }

    /// Peer connections that were made and not closed.
    pub fn open_media(&self) -> usize {
        let made = self
            .media
            .iter()
            .filter(|(_, command)| matches!(command, MediaCommand::Offer | MediaCommand::Answer { .. }));
        let closed = self.media.iter().filter(|(_, command)| *command == MediaCommand::Close);
        made.count() - closed.count()
    }
}

fn answer(command: &MediaCommand) -> Vec<MediaEvent> {
    let candidate = Candidate {
        candidate: "candidate:1 1 udp 1 192.0.2.1 4000 typ host".into(),
        sdp_mid: Some("0".into()),
        sdp_m_line_index: Some(0),
    };
    match command {
        MediaCommand::Offer => vec![
            MediaEvent::LocalOffer { sdp: "our offer".into() },
            MediaEvent::LocalCandidate(candidate),
            MediaEvent::CandidatesComplete,
        ],
        MediaCommand::RestartIce => vec![MediaEvent::LocalOffer { sdp: "our next offer".into() }],
        MediaCommand::Answer { .. } => {
            vec![MediaEvent::LocalAnswer { sdp: "our answer".into(), far_end_holds: false }]
        }
        MediaCommand::AnswerUpdate { offer } => vec![MediaEvent::LocalAnswer {
            sdp: "our answer".into(),
            far_end_holds: offer.contains("sendonly") || offer.contains("inactive"),
        }],
        _ => Vec::new(),
    }
}

pub fn accepted() -> EventBody {
    EventBody::Accepted { jsep: Some(Jsep::answer("their answer")), callee: None, is_focus: None }
}

pub fn invitation(caller: &str, jsep: Option<Jsep>) -> Invitation {
    Invitation {
        callee: "door".into(),
        caller: caller.into(),
        caller_display_name: None,
        referred_by: None,
        replace_call_id: None,
        is_focus: None,
        jsep,
    }
}

/// A busy line of the `state` handshake; the log is newest first.
pub fn busy(call_id: &str, log: Vec<EventBody>) -> Option<LineState> {
    let entries = log.into_iter().map(|body| {
        let event = Event { transaction: None, line: None, call_id: None, body };
        CallLogEntry(0, LogMessage::Event(Box::new(event)))
    });
    Some(LineState { call_id: Some(call_id.into()), call_logs: entries.collect() })
}

/// A station that logs in with a password.
pub fn config_with_login() -> Config {
    let password = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "[core]\nurl = \"https://core.example.com\"\nlogin = \"door\"\npassword_file = \"{}\"\n",
        password.path().display()
    );
    callbox::config::parse("/test.toml", &text, &Default::default()).unwrap_or_else(|errors| panic!("{errors}"))
}
