//! What the fuzzers do with their bytes. `tests/fuzz` does the same with the corpora, on stable Rust.
//!
//! Each function panics if it finds something that must never happen. The fuzzers look for an input that makes callbox
//! panic, hang, or act without being asked.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use callbox::config::{Config, MediaConfig, OutputIndex, parse};
use callbox::core::*;
use callbox::media::MediaContext;
use callbox::media::guard::{Guard, Protection};
use callbox::media::offline::{OfflineReceiver, answer, read_description};
use callbox::signaling::*;

const HOUSE: &str = r#"
[core]
url = ["https://one.example.com", "https://two.example.com"]
token = "t"

[[button]]
name = "bell"
pin = 17
press = { call = ["100", "101"], ring_s = 30 }
long_press = { hangup = "all" }

[[sensor]]
name = "door"
pin = 27
opened = { hangup = "all", after_ms = 5000 }

[[output]]
name = "strike"
kind = "relay"
pin = 23
max_on_ms = 8000

[[answer]]
from = ["100", "2*"]
action = "answer"
after_ms = 500

[[dtmf]]
digits = "5#"
run = { output = "strike", pulse_ms = 3000 }

[calls]
second_call = "hold"
"#;

static CONFIG: LazyLock<Arc<Config>> =
    LazyLock::new(|| Arc::new(parse("/fuzz.toml", HOUSE, &BTreeMap::new()).expect("the house is valid")));

/// Datagrams of a socket: what passes the guard goes to the library's parsers, as it would in a call.
pub fn guard(data: &[u8]) {
    use std::time::{Duration, Instant};
    let mut guard = Guard::default();
    let (far_end, server) =
        ("192.0.2.7:4000".parse().expect("an address"), "192.0.2.9:3478".parse().expect("an address"));
    let mut now = Instant::now();
    guard.local_credentials("ours", "a password of twenty-two");
    guard.remote_candidate(far_end, now);
    guard.payload_type(96);
    let mut choices = data;
    for _ in 0..64 {
        let Some((&[what, length], rest)) = choices.split_first_chunk::<2>() else { return };
        let (datagram, rest) = rest.split_at(usize::from(length).min(rest.len()));
        choices = rest;
        now += Duration::from_millis(u64::from(what));
        match what % 16 {
            0 => guard.keys_up(Protection::AesCm),
            1 => guard.keys_up(Protection::AesGcm),
            2 => guard.outgoing(datagram, far_end, now),
            3 => guard.outgoing(datagram, server, now),
            4 => guard.stream(u32::from(length)),
            5 => drop(guard.incoming(datagram, server, now)),
            _ => {
                let passed = guard.incoming(datagram, far_end, now).is_ok();
                let alert = datagram.starts_with(&[21, 0xFE, 0xFD, 0, 0]);
                assert!(!(passed && alert), "an alert in the clear has passed");
                if passed {
                    library(datagram);
                }
            }
        }
    }
}

/// The library's parser for a datagram, by its first octet (RFC 7983).
fn library(datagram: &[u8]) {
    match datagram.first() {
        Some(0..=3) => stun(datagram),
        Some(20..=63) => dtls(datagram),
        Some(128..=191) => srtp(datagram),
        _ => {}
    }
}

/// The library's STUN.
pub fn stun(data: &[u8]) {
    let mut message = rtc::stun::message::Message { raw: data.to_vec(), ..Default::default() };
    if message.decode().is_ok() {
        let _ = message.to_string();
    }
}

/// The library's DTLS: a server that takes every datagram for a part of its handshake, if the guard lets it pass.
pub fn dtls(data: &[u8]) {
    use rtc::dtls::endpoint::Endpoint;
    use rtc::shared::TransportProtocol;
    let address = "192.0.2.7:4000".parse().expect("an address");
    let mut endpoint = Endpoint::new(address, TransportProtocol::UDP, Some(Arc::clone(&DTLS)));
    let mut guard = Guard::default();
    let now = std::time::Instant::now();
    guard.remote_candidate(address, now);
    for datagram in data.chunks(512) {
        if guard.incoming(datagram, address, now).is_ok() {
            let _ = endpoint.read(now, address, None, datagram.into());
            while let Some(sent) = endpoint.poll_transmit() {
                guard.outgoing(&sent.message, address, now);
            }
        }
    }
}

static DTLS: LazyLock<Arc<rtc::dtls::config::HandshakeConfig>> = LazyLock::new(|| {
    let provider = rtc::crypto::default_provider().expect("ring");
    let certificate = rtc::dtls::crypto::Certificate::generate_self_signed(["callbox".to_owned()], provider.crypto());
    let config = rtc::dtls::config::ConfigBuilder::default()
        .with_certificates(vec![certificate.expect("a certificate")])
        .with_crypto_provider(provider)
        .build(false, None);
    Arc::new(config.expect("a configuration"))
});

/// The library's SRTP, with keys that no sender has.
pub fn srtp(data: &[u8]) {
    use rtc::srtp::{context::Context, protection_profile::ProtectionProfile};
    let provider = rtc::crypto::default_provider().expect("ring");
    for profile in [ProtectionProfile::Aes128CmHmacSha1_80, ProtectionProfile::AeadAes256Gcm] {
        let (key, salt) = (vec![7; profile.key_len()], vec![9; profile.salt_len()]);
        let context = Context::new(&key, &salt, profile, None, None, provider.crypto());
        let Ok(mut context) = context else { panic!("no context") };
        let _ = context.decrypt_rtp(data);
        if let Ok(decrypted) = context.decrypt_rtcp(data) {
            let mut decrypted = decrypted.freeze();
            let _ = rtc::rtcp::packet::unmarshal(&mut decrypted);
        }
    }
}

/// A station, and checks of what must always hold.
struct Door {
    station: Station,
    now_ms: u64,
    strike_on_since: Option<u64>,
    /// Whether the newest input may open the door: it is a digit or a command.
    may_open: bool,
}

impl Door {
    fn new() -> Self {
        let station = Station::new(Arc::clone(&CONFIG), 7, 1, Now { at: Time(0), local: None });
        let mut door = Self { station, now_ms: 0, strike_on_since: None, may_open: false };
        door.input(Input::Tick);
        door
    }

    fn registered() -> Self {
        let mut door = Self::new();
        door.input(Input::Socket(SocketEvent::Opened { local: None }));
        let state = r#"{"handshake":"state","keepalive_interval":30000,"timestamp":0,
            "registration":{"status":"registered"},"lines":[null,null]}"#;
        door.frame(state);
        door
    }

    fn frame(&mut self, text: &str) {
        let event = match ServerMessage::parse(text) {
            Ok(message) => SocketEvent::Message(Box::new(message)),
            Err(error) => SocketEvent::BadFrame(error),
        };
        self.input(Input::Socket(event));
    }

    fn input(&mut self, input: Input) {
        self.may_open = matches!(&input, Input::Media(_, MediaEvent::Digit(_)) | Input::Command(..));
        self.station.handle(Now { at: Time(self.now_ms), local: None }, input);
        let mut effects = 0;
        while let Some(effect) = self.station.poll_effect() {
            effects += 1;
            assert!(effects < 4096, "one input has too many effects");
            self.effect(&effect);
        }
        let [transactions, delayed, hunts, _] = self.station.backlog();
        assert!(transactions <= 96 && delayed <= 64 && hunts <= 17, "a queue exceeds its bound");
        if let Some(since) = self.strike_on_since {
            assert!(self.now_ms <= since + 8_000, "the strike is on for too long");
        }
    }

    fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Drive(OutputIndex(0), Drive::On) => {
                assert!(self.may_open, "the strike opens without being asked");
                self.strike_on_since.get_or_insert(self.now_ms);
            }
            Effect::Drive(OutputIndex(0), _) => self.strike_on_since = None,
            Effect::Scene(scene) if scene.calls.iter().any(|call| call.microphone) => {
                let up = self.station.status().lines.iter().any(|line| line.state == CallState::Established);
                assert!(up, "the microphone is open without a call");
            }
            _ => {}
        }
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        let mut ticks = 0;
        while let Some(deadline) = self.station.next_deadline().filter(|deadline| deadline.at.0 <= end) {
            self.now_ms = self.now_ms.max(deadline.at.0);
            self.input(Input::Tick);
            ticks += 1;
            assert!(ticks < 20_000, "the core never comes to rest");
        }
        self.now_ms = end;
    }

    /// Whatever the inputs were, every line is idle in the end.
    fn rests(mut self) {
        self.input(Input::Shutdown);
        let end = self.now_ms + 120_000;
        while !self.station.is_at_rest() && self.now_ms < end {
            self.pass(1_000);
        }
        assert!(self.station.is_at_rest(), "it never comes to rest: {:?}", self.station.status().lines);
    }
}

/// Frames of a server, one on each line, to a station that is registered.
pub fn signaling(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut door = Door::registered();
    for frame in text.split('\n').take(64) {
        door.frame(frame);
        door.pass(200);
    }
    door.rests();
}

/// A far end's description; one in 256 goes to a real peer connection.
pub fn sdp(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if read_description(&text).is_err() {
        return;
    }
    let sum = data.iter().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
    if sum != 0 {
        return;
    }
    static RUNTIME: LazyLock<tokio::runtime::Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"));
    let context = MediaContext {
        dropped: std::sync::Arc::default(),
        packets: tokio::sync::broadcast::channel(1).0,
        config: MediaConfig { codecs: CONFIG.media.codecs.clone(), ..MediaConfig::default() },
        extra_addresses: vec![([127, 0, 0, 1], 0).into()],
        rate_hz: 48_000,
        in_band: true,
        attach: Box::new(|_, _| {}),
    };
    let answered = RUNTIME
        .block_on(async { tokio::time::timeout(std::time::Duration::from_secs(10), answer(&context, &text)).await });
    assert!(answered.is_ok(), "the answer to an offer takes for ever");
}

/// A configuration file.
pub fn configuration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse("/fuzz.toml", &text, &BTreeMap::new()) {
        Ok(config) => {
            // Every valid configuration can be run.
            let mut station = Station::new(Arc::new(config), 1, 1, Now { at: Time(0), local: None });
            station.handle(Now { at: Time(1), local: None }, Input::Tick);
            while station.poll_effect().is_some() {}
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// Packets of a far end. Each is its length, the time since the one before in ms, and its bytes.
pub fn rtp(data: &[u8]) {
    let mut receiver = OfflineReceiver::new(48_000).expect("codecs");
    let (mut rest, mut now_ms, mut frames) = (data, 0_u64, 0);
    while let [length, pause, bytes @ ..] = rest {
        let (packet, after) = bytes.split_at(usize::from(*length).min(bytes.len()));
        now_ms += u64::from(*pause);
        receiver.packet(packet, now_ms as f64);
        while frames < now_ms / 10 && frames < 500 {
            frames += 1;
            let frame = receiver.frame();
            assert!(frame.iter().all(|sample| sample.is_finite()), "a sample is not a number");
        }
        rest = after;
    }
    receiver.frame();
}

/// Lines of the control socket, to a station that is registered.
pub fn control(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut door = Door::registered();
    for (number, line) in (0..).zip(text.split('\n').take(64)) {
        let Ok(request) = serde_json::from_str::<callbox::control::Request>(line) else { continue };
        if let Ok(command) = callbox::station::command_of(&CONFIG, request) {
            door.input(Input::Command(CommandId(number), By::Station, command));
        }
        door.pass(100);
    }
    door.rests();
}

/// Reads small choices out of bytes.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                self.0 = rest;
                *first
            }
            [] => 0,
        }
    }

    fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }
}

/// A sequence of all kinds of inputs of the core.
pub fn core(data: &[u8]) {
    let mut door = Door::new();
    let mut choices = Choices(data);
    let mut calls: Vec<(u32, CallId, String)> = Vec::new();
    while !choices.0.is_empty() {
        step(&mut door, &mut choices, &mut calls);
    }
    door.rests();
}

fn step(door: &mut Door, choices: &mut Choices<'_>, calls: &mut Vec<(u32, CallId, String)>) {
    let input = match choices.below(24) {
        0 => return door.pass(u64::from(choices.byte()) * 7),
        1 => return door.pass(u64::from(choices.byte()) * 997),
        2 => Input::Edge { pin: Pin::Button(ButtonIndex(0)), active: choices.below(2) == 0 },
        3 => pin(choices),
        4 => Input::Socket(SocketEvent::Opened { local: None }),
        5 => {
            let code = [1000, 1001, 1006, 4201, 4402, 4410, 4431, 4441, 4502, 4600, 4610, 4999];
            let code = code[usize::from(choices.below(12))];
            Input::Socket(SocketEvent::Closed(CloseCause::from_code(code)))
        }
        6 => {
            use ConnectFailureKind::*;
            let kinds = [Network, Tls, NotYetValid, Unauthorized, Unavailable, Http, NoToken];
            let kind = kinds[usize::from(choices.below(7))];
            Input::Socket(SocketEvent::Failed(ConnectFailure { kind, message: "no".into(), retry_after: None }))
        }
        kind @ 7..=13 => media(kind, choices),
        14 => Input::Command(CommandId(1), By::Station, command(choices)),
        15 => Input::Addresses(vec![[192, 0, 2, choices.below(3)].into()]),
        16 => Input::Token(Ok(())),
        17 => Input::Probed { answered: choices.below(2) == 0 },
        18 => state(choices, calls),
        19 | 20 => call_event(choices, calls),
        21 => response(choices, calls),
        22 => {
            let call_id = CallId(format!("in{}", choices.below(4)));
            let line = u32::from(choices.below(3));
            calls.push((line, call_id.clone(), "transaction-0".into()));
            let body = EventBody::IncomingCall(invitation(choices));
            event(None, Some(Line(line)), Some(call_id), body)
        }
        _ => {
            // Later inputs may be about calls that the station has made, too.
            for line in door.station.status().lines {
                if let Some(call) = line.call {
                    calls.push((line.line.0, CallId(call.call_id), format!("transaction-{}", choices.byte())));
                }
            }
            calls.truncate(16);
            Input::Tick
        }
    };
    door.input(input);
}

fn pin(choices: &mut Choices<'_>) -> Input {
    let pin = [Pin::Button(ButtonIndex(0)), Pin::Sensor(SensorIndex(0))][usize::from(choices.below(2))];
    match choices.below(6) {
        way @ 0..2 => Input::Edge { pin, active: way == 0 },
        way @ 2..4 => Input::Level { pin, active: way == 2, debounced: choices.below(2) == 0 },
        way => {
            let fault = (way == 4).then(|| "held".to_owned());
            Input::PinFault { pin: AnyPin::Input(pin), fault }
        }
    }
}

fn media(kind: u8, choices: &mut Choices<'_>) -> Input {
    let event = match kind {
        7 => MediaEvent::LocalOffer { sdp: "offer".into() },
        8 => MediaEvent::LocalAnswer { sdp: "answer".into(), far_end_holds: choices.below(2) == 0 },
        9 => MediaEvent::Connected,
        10 => MediaEvent::Disconnected,
        11 => MediaEvent::Received,
        12 => MediaEvent::Failed("no".into()),
        _ => {
            let digit = char::from(b"0123456789*#"[usize::from(choices.below(12))]);
            MediaEvent::Digit(callbox::secret::DtmfDigit(digit))
        }
    };
    Input::Media(MediaId(u32::from(choices.below(12))), event)
}

/// The server's state, with lines on which a known call may be up.
fn state(choices: &mut Choices<'_>, calls: &[(u32, CallId, String)]) -> Input {
    let known = calls.last().cloned();
    let line = |choices: &mut Choices<'_>| {
        (choices.below(2) == 0).then(|| known.clone()).flatten().map(|(_, call_id, _)| LineState {
            call_id: (choices.below(4) != 0).then_some(call_id),
            call_logs: vec![CallLogEntry(
                0,
                LogMessage::Event(Box::new(Event {
                    transaction: None,
                    line: None,
                    call_id: None,
                    body: body(choices),
                })),
            )],
        })
    };
    let lines = vec![line(choices), line(choices)];
    let status = [RegistrationStatus::Registered, RegistrationStatus::Unregistered][usize::from(choices.below(2))];
    message(ServerMessage::State(Box::new(StateHandshake {
        keepalive_interval: u64::from(choices.byte()) * 1000,
        timestamp: 0,
        registration: Registration { status, code: None, reason: None },
        lines,
        guest_line: None,
    })))
}

/// Anything that may happen to a call.
fn call_event(choices: &mut Choices<'_>, calls: &[(u32, CallId, String)]) -> Input {
    let (line, call_id, transaction) = pick(choices, calls);
    let call_id = (choices.below(5) != 0).then_some(call_id);
    event(Some(transaction), Some(Line(line)), call_id, body(choices))
}

fn event(transaction: Option<String>, line: Option<Line>, call_id: Option<CallId>, body: EventBody) -> Input {
    let transaction = transaction.map(TransactionId);
    message(ServerMessage::Event(Box::new(Event { transaction, line, call_id, body })))
}

fn response(choices: &mut Choices<'_>, calls: &[(u32, CallId, String)]) -> Input {
    let (line, call_id, transaction) = pick(choices, calls);
    let body = match choices.below(3) {
        0 => ResponseBody::Error {
            code: [447, 454, 469, 490, 491][usize::from(choices.below(5))],
            reason: String::new(),
        },
        _ => ResponseBody::Ack,
    };
    message(ServerMessage::Response(Response {
        transaction: Some(TransactionId(transaction)),
        line: Some(Line(line)),
        call_id: Some(call_id),
        body,
    }))
}

fn message(message: ServerMessage) -> Input {
    Input::Socket(SocketEvent::Message(Box::new(message)))
}

fn pick(choices: &mut Choices<'_>, calls: &[(u32, CallId, String)]) -> (u32, CallId, String) {
    let index = usize::from(choices.byte()) % calls.len().max(1);
    calls.get(index).cloned().unwrap_or((0, CallId("unknown".into()), "transaction-2".into()))
}

fn invitation(choices: &mut Choices<'_>) -> Invitation {
    Invitation {
        callee: "door".into(),
        caller: ["100", "205", "999"][usize::from(choices.below(3))].into(),
        caller_display_name: None,
        referred_by: None,
        replace_call_id: None,
        is_focus: None,
        jsep: (choices.below(3) != 0).then(|| Jsep::offer("far offer")),
    }
}

fn body(choices: &mut Choices<'_>) -> EventBody {
    let jsep = (choices.below(2) == 0).then(|| Jsep::answer("far answer"));
    match choices.below(18) {
        0 => EventBody::Ringing {},
        1 => EventBody::Progress { callee: None, jsep, is_focus: None },
        2 | 3 => EventBody::Accepted { jsep, callee: None, is_focus: None },
        4 => EventBody::Accepting {},
        5 => EventBody::Hangup { code: [200, 486, 487, 603][usize::from(choices.below(4))], reason: "bye".into() },
        6 => EventBody::Updated { jsep },
        7 => EventBody::UpdatingCall(invitation(choices)),
        8 => EventBody::IncomingCall(invitation(choices)),
        9 => EventBody::Error { code: [447, 454, 490, 491][usize::from(choices.below(4))], reason: String::new() },
        10 => EventBody::IceHangup { reason: None },
        11 => EventBody::IceMedia { kind: "audio".into(), receiving: choices.below(2) == 0, mid: None },
        12 => EventBody::Registered { phrase: None },
        13 => EventBody::Unregistered {},
        14 => EventBody::Transfer {
            refer_id: ReferId::Number(1),
            refer_to: "666".into(),
            referred_by: None,
            replace_call_id: None,
        },
        15 => EventBody::Proceeding { code: i64::from(choices.byte()) },
        16 => EventBody::MissedCall { callee: "door".into(), caller: "100".into(), caller_display_name: None },
        _ => EventBody::Calling {},
    }
}

fn command(choices: &mut Choices<'_>) -> Command {
    match choices.below(9) {
        0 => Command::Press { button: ButtonIndex(0), gesture: Gesture::Press },
        1 => Command::Call { number: "100".into(), line: Some(Line(u32::from(choices.below(4)))) },
        2 => Command::Hangup { line: None },
        3 => Command::Answer { line: None },
        4 => Command::Hold,
        5 => Command::Unhold,
        6 => Command::Output { output: OutputIndex(0), change: OutputChange::On },
        7 => Command::Mute { muted: true, keep: false },
        _ => Command::Dtmf("1".into()),
    }
}
