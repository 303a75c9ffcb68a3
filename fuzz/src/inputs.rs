//! Inputs of the core, chosen by bytes.

use std::time::Duration;

use callbox::config::OutputIndex;
use callbox::core::*;
use callbox::signaling::*;

use super::door::Door;

/// Makes small choices from bytes.
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
    let input = match choices.below(25) {
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
        18 => ice_servers(choices),
        19 => state(choices, calls),
        20 | 21 => call_event(choices, calls),
        22 => response(choices, calls),
        23 => {
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

fn ice_servers(choices: &mut Choices<'_>) -> Input {
    Input::IceServers(match choices.below(4) {
        0 => IceServersAnswer::NotOffered,
        1 => IceServersAnswer::Failed("no".into()),
        _ => IceServersAnswer::Obtained {
            counts: IceServerCounts { turn_udp: choices.below(3).into(), ..IceServerCounts::default() },
            changed: choices.below(2) == 0,
            lifetime: Some(Duration::from_secs(u64::from(choices.byte()) * 60)).filter(|lifetime| !lifetime.is_zero()),
            until: None,
        },
    })
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
