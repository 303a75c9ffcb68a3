use crate::door::*;
use callbox::core::*;
use callbox::signaling::*;

const LOGIN: &str = "";

fn state(door: &Door) -> SessionState {
    door.station.status().session.state
}

fn failure(kind: ConnectFailureKind) -> Input {
    Input::Socket(SocketEvent::Failed(ConnectFailure { kind, message: "no".into(), retry_after: None }))
}

/// Milliseconds until the next attempt to connect.
fn wait(door: &mut Door) -> u64 {
    let (before, start) = (door.connects.len(), door.now_ms);
    while door.connects.len() == before {
        let next = door.station.next_deadline().expect("an attempt is planned").at.0;
        door.advance(next.saturating_sub(door.now_ms).max(1));
        assert!(door.now_ms - start < 2 * 3_600_000, "no attempt within two hours");
    }
    door.now_ms - start
}

#[test]
fn the_first_connection_takes_the_session_over_from_our_own_dead_socket() {
    let mut door = Door::new(LOGIN);
    door.advance(0);
    assert_eq!(door.connects, [true]);
}

#[test]
fn no_request_is_sent_before_the_state_handshake() {
    let mut door = Door::new(BELL);
    door.advance(0);
    door.input(Input::Socket(SocketEvent::Opened { local: None }));
    door.press();
    assert!(door.sent.is_empty());
    door.state(vec![None, None]);
    door.take_one("outgoing_call");
}

#[test]
fn a_server_that_never_says_state_is_left() {
    let mut door = Door::new(BELL);
    door.advance(0);
    door.input(Input::Socket(SocketEvent::Opened { local: None }));
    door.advance(10_000);
    assert_eq!(door.disconnects.len(), 1);
    assert!(wait(&mut door) <= 500);
}

#[test]
fn silence_is_broken_by_keepalives_and_a_dead_link_is_left() {
    let mut door = Door::online(BELL);
    door.echoes = false;
    door.advance(30_000);
    let first = door.keepalives();
    assert_eq!(first.len(), 1);
    door.server(ServerMessage::Keepalive { transaction: Some(first[0].clone()) });
    door.sent.clear();
    door.advance(30_000);
    assert_eq!(door.keepalives().len(), 1);
    door.advance(9_900);
    assert!(door.disconnects.is_empty());
    door.advance(100);
    assert_eq!(door.disconnects, [4502]);
    assert_eq!(door.connects.len(), 2, "it reconnects at once");
}

#[test]
fn any_request_restarts_the_keepalive_interval() {
    let mut door = Door::online(BELL);
    door.advance(20_000);
    door.echoes = false;
    door.ringing_call();
    door.sent.clear();
    door.advance(20_000);
    assert!(door.keepalives().is_empty());
}

#[test]
fn the_first_try_after_a_loss_comes_within_half_a_second() {
    for _ in 0..20 {
        let mut door = Door::online(BELL);
        door.advance(31_000);
        door.lose(1006);
        assert!(wait(&mut door) <= 501);
        assert_eq!(door.connects.last(), Some(&true));
    }
}

#[test]
fn after_a_server_restart_the_clients_spread_over_five_seconds() {
    let waits: Vec<u64> = (0..30)
        .map(|seed| {
            let mut door = Door::online(BELL);
            // Each seed starts at another place in the random sequence.
            for _ in 0..seed {
                door.lose(1006);
                door.reopen();
                door.state(vec![None, None]);
                door.advance(31_000);
            }
            door.lose(1001);
            wait(&mut door)
        })
        .collect();
    assert!(waits.iter().all(|wait| *wait <= 5_001), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait > 1_000), "{waits:?}");
}

#[test]
fn failures_in_a_row_wait_longer_and_never_beyond_a_minute() {
    let mut door = Door::new(BELL);
    door.advance(0);
    let mut waits = Vec::new();
    for _ in 0..40 {
        door.input(failure(ConnectFailureKind::Network));
        waits.push(wait(&mut door));
    }
    assert!(waits.iter().all(|wait| *wait <= 60_001), "{waits:?}");
    assert!(waits[10..].iter().any(|wait| *wait > 20_000), "{waits:?}");
    assert_eq!(
        door.facts.iter().filter(|fact| matches!(fact, Fact::Session { .. })).count(),
        2,
        "reported once: {:?}",
        door.facts
    );
}

#[test]
fn a_session_that_is_lost_soon_does_not_reset_the_back_off() {
    let mut door = Door::new(BELL);
    door.advance(0);
    let mut total = 0;
    for _ in 0..10 {
        door.input(Input::Socket(SocketEvent::Opened { local: None }));
        door.state(vec![None, None]);
        door.advance(1_000);
        door.lose(1011);
        total += wait(&mut door);
    }
    assert!(total > 20_000, "{total}");
}

#[test]
fn retry_after_is_honoured() {
    let mut door = Door::new(BELL);
    door.advance(0);
    let failure = ConnectFailure {
        kind: ConnectFailureKind::Unavailable,
        message: "503".into(),
        retry_after: Some(std::time::Duration::from_secs(120)),
    };
    door.input(Input::Socket(SocketEvent::Failed(failure)));
    let waited = wait(&mut door);
    assert!((120_000..=150_001).contains(&waited), "{waited}");
}

#[test]
fn a_dead_token_that_cannot_be_renewed_is_a_fault_and_tried_slowly() {
    for code in [4201, 4300, 4301, 4302] {
        let mut door = Door::online(BELL);
        door.lose(code);
        assert_eq!(state(&door), SessionState::Refused, "{code}");
        assert_eq!(door.logins, 0);
        assert!((240_000..=360_001).contains(&wait(&mut door)), "{code}");
    }
}

#[test]
fn an_unauthorized_upgrade_is_a_dead_token() {
    let mut door = Door::new(BELL);
    door.advance(0);
    door.input(failure(ConnectFailureKind::Unauthorized));
    assert_eq!(state(&door), SessionState::Refused);
    assert!(wait(&mut door) >= 240_000);
}

#[test]
fn an_account_problem_is_a_fault_and_tried_slowly() {
    for code in [4410, 4411, 4412] {
        let mut door = Door::online(BELL);
        door.lose(code);
        assert_eq!(state(&door), SessionState::Refused);
        assert!((240_000..=360_001).contains(&wait(&mut door)), "{code}");
    }
}

#[test]
fn a_session_that_another_connection_holds_is_asked_for_without_force() {
    for code in [4431, 4432] {
        let mut door = Door::online(BELL);
        door.lose(code);
        assert_eq!(state(&door), SessionState::TakenOver);
        let waited = wait(&mut door);
        assert!((25_000..=35_001).contains(&waited), "{code}: {waited}");
        assert_eq!(door.connects.last(), Some(&false));
    }
}

#[test]
fn another_client_that_took_over_is_never_fought() {
    let mut door = Door::online(BELL);
    for _ in 0..5 {
        door.lose(4441);
        assert_eq!(wait(&mut door), 60_000);
        assert_eq!(door.connects.last(), Some(&false));
        door.input(Input::Socket(SocketEvent::Opened { local: None }));
        door.state(vec![None, None]);
    }
}

#[test]
fn takeover_once_forces_once_an_hour() {
    let mut door = Door::online("[calls]\n");
    let config = format!("takeover = \"once\"\n{BELL}");
    let mut other = Door::online(&config);
    other.lose(4441);
    wait(&mut other);
    assert_eq!(other.connects.last(), Some(&true));
    other.input(Input::Socket(SocketEvent::Opened { local: None }));
    other.state(vec![None, None]);
    other.lose(4441);
    wait(&mut other);
    assert_eq!(other.connects.last(), Some(&false));
    door.lose(4441);
    wait(&mut door);
    assert_eq!(door.connects.last(), Some(&false), "by default a takeover is never forced");
}

#[test]
fn takeover_always_forces_three_times_in_ten_minutes() {
    let mut door = Door::online(&format!("takeover = \"always\"\n{BELL}"));
    let mut forced = Vec::new();
    for _ in 0..5 {
        door.lose(4441);
        wait(&mut door);
        forced.push(*door.connects.last().unwrap());
        door.input(Input::Socket(SocketEvent::Opened { local: None }));
        door.state(vec![None, None]);
    }
    assert_eq!(forced, [true, true, true, false, false]);
}

#[test]
fn a_request_that_crossed_the_end_of_its_call_is_not_a_fault() {
    let mut door = Door::online(BELL);
    door.advance(31_000);
    door.talking_call();
    door.command(Command::Hangup { line: None }).unwrap();
    door.lose(4610);
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
    assert!(wait(&mut door) <= 1, "it reconnects at once");
    door.sent.clear();
    door.input(Input::Socket(SocketEvent::Opened { local: None }));
    door.state(vec![None, None]);
    assert!(door.take("hangup").is_empty(), "nothing more is sent for that call");
}

#[test]
fn garbage_is_counted_and_reported_once_and_the_session_lives() {
    let mut door = Door::online(BELL);
    for _ in 0..5 {
        door.input(Input::Socket(SocketEvent::BadFrame(FrameError::NotAnObject)));
        let unknown = FrameError::Unknown { kind: "event".into(), name: "sunshine".into() };
        door.input(Input::Socket(SocketEvent::BadFrame(unknown)));
    }
    let counters = door.station.status().session.counters;
    assert_eq!((counters.malformed_frames, counters.unknown_messages), (5, 5));
    assert_eq!(door.facts.iter().filter(|fact| matches!(fact, Fact::Protocol { .. })).count(), 2);
    assert_eq!(state(&door), SessionState::Registered);
}

#[test]
fn a_late_response_is_counted_and_dropped() {
    let mut door = Door::online(BELL);
    door.press();
    let request = door.take_one("outgoing_call");
    door.advance(10_100);
    door.ack(&request);
    assert_eq!(door.station.status().session.counters.late_responses, 1);
    assert_eq!(door.station.status().session.counters.timed_out_requests, 1);
    assert_eq!(door.states()[0], CallState::Dialing);
}

#[test]
fn transactions_are_digits_and_never_repeat() {
    let mut door = Door::online(BELL);
    let mut seen = Vec::new();
    for _ in 0..5 {
        door.advance(2000);
        let request = door.talking_call();
        seen.push(request.transaction.clone());
        door.hung_up(&request, 200);
        door.lose(1006);
        door.reopen();
        door.state(vec![None, None]);
        door.sent.clear();
    }
    for transaction in &seen {
        let digits = transaction.0.strip_prefix("transaction-").unwrap();
        assert!(digits.chars().all(|digit| digit.is_ascii_digit()));
    }
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), seen.len());
}

#[test]
fn a_login_gets_a_new_token_once_and_then_waits() {
    let now = |ms| Now { at: Time(ms), local: None };
    let mut station = Station::new(std::sync::Arc::new(config_with_login()), 1, 1, now(0));
    let effects = |station: &mut Station, ms, input| {
        station.handle(now(ms), input);
        std::iter::from_fn(|| station.poll_effect()).collect::<Vec<_>>()
    };
    effects(&mut station, 0, Input::Tick);
    let asked = effects(&mut station, 1, failure(ConnectFailureKind::NoToken));
    assert!(asked.contains(&Effect::ObtainToken));
    let connected = effects(&mut station, 2, Input::Token(Ok(())));
    assert!(connected.contains(&Effect::Connect { server: ServerIndex(0), force: true }));
    let refused = effects(&mut station, 3, failure(ConnectFailureKind::Unauthorized));
    assert!(!refused.contains(&Effect::ObtainToken), "a fresh token that is refused is not renewed again at once");
    assert_eq!(station.status().session.state, SessionState::Refused);
}

#[test]
fn registration_comes_and_goes_with_its_events() {
    let mut door = Door::online(BELL);
    door.event(None, None, None, EventBody::Unregistered {});
    assert_eq!(state(&door), SessionState::Unregistered);
    door.event(None, None, None, EventBody::Registering {});
    door.event(None, None, None, EventBody::Registered { phrase: Some("authorization_failure".into()) });
    assert_eq!(state(&door), SessionState::Unregistered);
    door.event(None, None, None, EventBody::Registered { phrase: Some("ok".into()) });
    assert_eq!(state(&door), SessionState::Registered);
}

#[test]
fn a_retry_after_of_zero_seconds_does_not_become_a_storm() {
    let mut door = Door::new(BELL);
    door.advance(0);
    for _ in 0..12 {
        let retry_after = Some(std::time::Duration::ZERO);
        let failure = ConnectFailure { kind: ConnectFailureKind::Unavailable, message: "503".into(), retry_after };
        door.input(Input::Socket(SocketEvent::Failed(failure)));
        wait(&mut door);
    }
    assert!(door.now_ms > 40_000, "the back-off grows: {} ms", door.now_ms);
}

#[test]
fn a_token_that_is_refused_is_put_away() {
    let mut door = Door::online(BELL);
    door.lose(4201);
    assert_eq!(door.tokens_refused, 1);
}

#[test]
fn an_odd_field_does_not_make_the_handshake_unreadable() {
    let text = r#"{"handshake":"state","keepalive_interval":30000,"registration":{"status":"sleeping"},
        "lines":[{"call_id":null,"call_logs":null},{"call_id":"a","call_logs":[["x",{}],[1],{"event":"accepted"},
        [1,{"event":"accepted"}]]},7]}"#;
    let Ok(ServerMessage::State(state)) = ServerMessage::parse(text) else { panic!("unreadable") };
    assert_eq!(state.registration.status, RegistrationStatus::Unregistered);
    assert_eq!(state.lines.len(), 3);
    assert_eq!(state.lines[0].as_ref().unwrap().call_id, None);
    assert_eq!(state.lines[1].as_ref().unwrap().call_logs.len(), 2);
    assert_eq!(state.lines[2], None);
    let failed = r#"{"event":"registration_failed","code":null,"reason":null}"#;
    assert!(matches!(ServerMessage::parse(failed), Ok(ServerMessage::Event(_))));
}

#[test]
fn nothing_that_a_server_says_about_one_field_makes_a_whole_state_unreadable() {
    for fields in [
        r#""keepalive_interval":"30000","timestamp":1.5,"registration":{"status":"registered","code":"no"}"#,
        r#""keepalive_interval":30000.0,"timestamp":"now","registration":"registered","guest_line":7"#,
        r#""keepalive_interval":-1,"timestamp":null,"registration":{"status":"REGISTERED","reason":9}"#,
        r#""registration":{"status":"registered"},"presence_infos":{}"#,
    ] {
        let text = format!(r#"{{"handshake":"state",{fields},"lines":[null,{{"call_logs":7}}]}}"#);
        let Ok(ServerMessage::State(state)) = ServerMessage::parse(&text) else { panic!("unreadable: {text}") };
        assert_eq!(state.registration.status, RegistrationStatus::Registered, "{text}");
        assert_eq!(state.lines.len(), 2, "{text}");
        assert!(state.keepalive_interval > 0);
    }
    let bare = r#"{"handshake":"state"}"#;
    assert!(matches!(ServerMessage::parse(bare), Ok(ServerMessage::State(_))));
}

#[test]
fn texts_from_outside_lose_what_would_move_a_cursor() {
    let text = "{\"event\":\"missed_call\",\"caller\":\"1\\u001b[2J\\u202e00\\n\",\"callee\":\"x\"}";
    let Ok(ServerMessage::Event(event)) = ServerMessage::parse(text) else { panic!() };
    assert!(matches!(event.body, EventBody::MissedCall { caller, .. } if caller == "1[2J00"));
}

#[test]
fn responses_that_come_late_are_reported_once_for_each_cause() {
    let mut door = Door::online(BELL);
    door.facts.clear();
    let late = |body| {
        ServerMessage::Response(Response {
            transaction: Some("transaction-1".into()),
            line: Some(Line(0)),
            call_id: None,
            body,
        })
    };
    for _ in 0..20 {
        door.server(late(ResponseBody::Ack));
        door.server(late(ResponseBody::Error { code: 490, reason: String::new() }));
    }
    let told = door.facts.iter().filter(|fact| matches!(fact, Fact::Protocol { .. })).count();
    assert_eq!(told, 2);
    assert_eq!(door.station.status().session.counters.late_responses, 40);
}
