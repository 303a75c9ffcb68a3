//! Addresses that come and go, several servers, a clock that is not set, a process that starts again.

use std::net::IpAddr;

use crate::door::*;
use callbox::config::Sound;
use callbox::core::*;
use callbox::signaling::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addresses(texts: &[&str]) -> Input {
    Input::Addresses([&["127.0.0.1"], texts].concat().iter().map(|text| address(text)).collect())
}

/// A door that is registered over this address.
fn online_at(rest: &str, local: &str) -> Door {
    let mut door = Door::new(rest);
    door.input(addresses(&[local]));
    door.advance(0);
    door.input(Input::Socket(SocketEvent::Opened { local: Some(address(local)) }));
    door.state(vec![None, None]);
    door.advance(10);
    door.sent.clear();
    door
}

fn failed(kind: ConnectFailureKind) -> Input {
    Input::Socket(SocketEvent::Failed(ConnectFailure { kind, message: "no".into(), retry_after: None }))
}

/// Fails attempts until the next one is made to another server; returns how many failed.
fn fail_until_next_server(door: &mut Door) -> usize {
    let server = *door.servers.last().unwrap();
    for failures in 1..20 {
        let before = door.connects.len();
        door.input(failed(ConnectFailureKind::Network));
        while door.connects.len() == before {
            door.advance(100);
        }
        if *door.servers.last().unwrap() != server {
            return failures;
        }
    }
    panic!("always the same server");
}

#[test]
fn a_new_address_is_used_within_half_a_second() {
    let mut door = online_at(BELL, "192.0.2.10");
    door.advance(60_000);
    door.input(addresses(&[]));
    assert_eq!(door.disconnects.len(), 1, "its own address is gone");
    // The network stays away for a long time, so the back-off grows.
    for _ in 0..12 {
        let before = door.connects.len();
        while door.connects.len() == before {
            door.advance(100);
        }
        door.input(failed(ConnectFailureKind::Network));
    }
    let before = door.connects.len();
    door.input(addresses(&["198.51.100.7"]));
    door.advance(500);
    assert_eq!(door.connects.len(), before + 1);
}

#[test]
fn a_socket_that_still_has_its_address_is_kept_and_asked() {
    let mut door = online_at(BELL, "192.0.2.10");
    door.echoes = false;
    door.input(addresses(&["192.0.2.10", "198.51.100.7"]));
    assert!(door.disconnects.is_empty());
    assert_eq!(door.keepalives().len(), 1);
    door.advance(10_000);
    assert_eq!(door.disconnects, [4502], "it did not answer");
}

#[test]
fn a_socket_whose_address_went_is_left_at_once() {
    let mut door = online_at(BELL, "192.0.2.10");
    door.advance(60_000);
    let before = door.connects.len();
    door.input(addresses(&["198.51.100.7"]));
    door.advance(500);
    assert_eq!(door.disconnects.len(), 1);
    assert_eq!(door.connects.len(), before + 1);
    assert_eq!(door.connects.last(), Some(&true), "the only connection that it can replace is our own dead one");
}

#[test]
fn an_attempt_from_an_address_that_went_is_made_anew() {
    let mut door = online_at(BELL, "192.0.2.10");
    door.lose(1006);
    while door.connects.len() == 1 {
        door.advance(10);
    }
    door.input(addresses(&["198.51.100.7"]));
    door.advance(0);
    assert_eq!(door.connects.len(), 3);
    assert_eq!(door.disconnects.len(), 1);
}

#[test]
fn a_wait_that_the_server_asked_for_is_not_cut_short_by_a_new_address() {
    let mut door = online_at(BELL, "192.0.2.10");
    door.lose(4410);
    let before = door.connects.len();
    door.input(addresses(&["198.51.100.7"]));
    door.advance(60_000);
    assert_eq!(door.connects.len(), before);
}

#[test]
fn media_is_restarted_at_once_when_the_address_of_a_call_goes() {
    let mut door = online_at(BELL, "192.0.2.10");
    let request = door.talking_call();
    door.input(addresses(&["198.51.100.7"]));
    door.advance(500);
    door.input(Input::Socket(SocketEvent::Opened { local: Some(address("198.51.100.7")) }));
    let call_id = request.call_id.unwrap();
    door.state(vec![busy(&call_id.0, vec![accepted()]), None]);
    let update = door.take_one("update");
    assert!(matches!(update.body, RequestBody::Update { jsep } if jsep.sdp == "our next offer"));

    // The session stays if its own address stays.
    let mut door = online_at(BELL, "192.0.2.10");
    door.input(addresses(&["192.0.2.10", "198.51.100.7"]));
    door.talking_call();
    door.input(addresses(&["192.0.2.10"]));
    door.take_one("update");
    assert!(door.disconnects.is_empty());
}

#[test]
fn the_offer_that_is_kept_warm_is_made_anew_with_the_new_address() {
    let mut door = online_at(BELL, "192.0.2.10");
    let before = door.media.len();
    door.input(addresses(&["192.0.2.10", "198.51.100.7"]));
    let made: Vec<&MediaCommand> = door.media[before..].iter().map(|(_, command)| command).collect();
    assert_eq!(made, [&MediaCommand::Close, &MediaCommand::Offer]);
}

const TWO_SERVERS: &str = r#"[core]
url = ["https://first.example.com", "https://second.example.com"]
token = "t"
"#;

fn two_servers() -> Door {
    Door::configured(callbox::config::parse("test.toml", TWO_SERVERS, &Default::default()).unwrap())
}

#[test]
fn the_next_server_is_tried_after_three_failures_and_they_take_turns() {
    let mut door = two_servers();
    door.advance(0);
    assert_eq!(door.servers, [0]);
    assert_eq!(fail_until_next_server(&mut door), 3);
    assert_eq!(door.servers.last(), Some(&1));
    assert_eq!(fail_until_next_server(&mut door), 3);
    assert_eq!(door.servers.last(), Some(&0));
}

/// A door that is registered at the second server, while the first one is down.
fn on_second_server() -> Door {
    let mut door = two_servers();
    door.advance(0);
    fail_until_next_server(&mut door);
    door.input(Input::Socket(SocketEvent::Opened { local: None }));
    door.state(vec![None, None]);
    door
}

/// Lets time pass; the first server answers every probe (`answered`), or none.
fn probe(door: &mut Door, seconds: u64, answered: bool) {
    for _ in 0..seconds {
        let before = door.probes;
        door.advance(1000);
        if door.probes > before {
            door.input(Input::Probed { answered });
        }
    }
}

/// Seconds until the first server is tried, while it answers every probe.
fn probe_until_first(door: &mut Door) -> u64 {
    for waited in 0..600 {
        if door.servers.last() == Some(&0) {
            return waited;
        }
        probe(door, 1, true);
    }
    panic!("the first server is never tried");
}

#[test]
fn the_first_server_is_used_again_when_it_was_healthy_for_five_minutes() {
    let mut door = on_second_server();
    probe(&mut door, 600, false);
    assert_eq!(door.servers.last(), Some(&1));
    probe(&mut door, 280, true);
    assert_eq!(door.servers.last(), Some(&1), "not yet");
    probe(&mut door, 60, false);
    probe(&mut door, 280, true);
    assert_eq!(door.servers.last(), Some(&1), "after a failure the five minutes begin again");
    let waited = probe_until_first(&mut door);
    assert!((20..=80).contains(&waited), "{waited}");
    assert_eq!(door.station.status().session.server, 0);
}

#[test]
fn a_call_is_not_interrupted_for_the_first_server() {
    let mut door = on_second_server();
    door.incoming(0, "in", "100");
    let decline = door.take_one("decline");
    door.ack(&decline);
    door.command(Command::Call { number: "100".into(), line: None }).unwrap();
    let request = door.take_one("outgoing_call");
    door.ack(&request);
    door.answered(&request);
    for _ in 0..14 {
        probe(&mut door, 20, true);
        let media = door.scene.calls[0].media;
        door.input(Input::Media(media, MediaEvent::Received));
    }
    assert_eq!(door.servers.last(), Some(&1));
    door.hung_up(&request, 200);
    assert!(probe_until_first(&mut door) <= 100);
}

#[test]
fn a_first_server_that_fails_on_the_way_back_is_left_after_one_attempt() {
    let mut door = on_second_server();
    probe_until_first(&mut door);
    assert_eq!(fail_until_next_server(&mut door), 1);
}

#[test]
fn a_clock_that_is_not_set_is_waited_for_and_named() {
    let mut door = Door::new(BELL);
    door.advance(0);
    door.input(failed(ConnectFailureKind::NotYetValid));
    let session = door.station.status().session;
    assert_eq!(session.state, SessionState::WaitingForTime);
    assert!(session.reason.unwrap().contains("clock"));
    door.advance(500);
    door.local = Some(LocalTime::in_some_week(Weekday::Monday, 600));
    door.advance(1_000);
    assert_eq!(door.connects.len(), 2, "it connects at once when the clock is set");
}

#[test]
fn a_certificate_of_the_future_under_a_set_clock_is_a_certificate_fault() {
    let mut door = Door::new(BELL);
    door.local = Some(LocalTime::in_some_week(Weekday::Monday, 600));
    door.advance(0);
    door.input(failed(ConnectFailureKind::NotYetValid));
    assert_eq!(door.station.status().session.state, SessionState::Offline);
}

#[test]
fn a_clock_that_is_never_set_does_not_end_the_attempts() {
    let mut door = Door::new(BELL);
    door.advance(0);
    for attempts in 2..6 {
        door.input(failed(ConnectFailureKind::NotYetValid));
        let before = door.now_ms;
        while door.connects.len() < attempts {
            door.advance(500);
            assert!(door.now_ms - before <= 61_000);
        }
    }
}

#[test]
fn a_ping_pong_of_takeovers_is_named() {
    let mut door = Door::online(BELL);
    door.lose(4441);
    assert!(!door.station.status().session.ping_pong);
    door.reopen();
    door.state(vec![None, None]);
    door.lose(4441);
    let session = door.station.status().session;
    assert!(session.ping_pong);
    assert_eq!(session.counters.takeovers, 2);
    assert!(session.reason.unwrap().contains("two devices use this account"));
    door.reopen();
    door.state(vec![None, None]);
    assert!(door.station.status().session.ping_pong, "the status reports it while it is recent");
    door.advance(11 * 60_000);
    assert!(!door.station.status().session.ping_pong);
}

/// The same door after its process ended and started again.
fn restarted(door: &Door, rest: &str) -> Door {
    let mut after = Door::new(rest);
    after.now_ms = door.now_ms + 2_000;
    after.station = Station::new(
        std::sync::Arc::new(configuration(rest)),
        99,
        5_000_000,
        Now { at: Time(after.now_ms), local: None },
    );
    after.station.recall(door.memory.clone());
    after.reopen();
    after
}

#[test]
fn a_restarted_process_takes_its_call_up_again_as_it_was() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    let call_id = request.call_id.unwrap();
    door.advance(100_000);
    let mut after = restarted(&door, BELL);
    after.state(vec![busy(&call_id.0, vec![accepted()]), None]);
    let update = after.take_one("update");
    assert_eq!(update.call_id, Some(call_id));
    let call = after.station.status().lines[0].call.clone().unwrap();
    assert_eq!((call.number.as_str(), call.direction), ("100", Direction::Outgoing));
    assert!(call.talk_s.unwrap() >= 102, "{call:?}");
    // It is still the call of its button: another press makes no second call.
    after.press();
    assert!(after.take("outgoing_call").is_empty());
    // The talk time goes on from where it was: 300 s in all.
    after.ack(&update);
    after.event_of(&update, accepted());
    after.media_connected();
    let mut waited = 0;
    while after.take("hangup").is_empty() {
        after.advance(1000);
        for call in after.scene.calls.clone() {
            after.input(Input::Media(call.media, MediaEvent::Received));
        }
        waited += 1;
    }
    assert!((195..=199).contains(&waited), "{waited}");
}

#[test]
fn a_call_that_was_answered_while_no_process_ran_is_still_the_call_of_its_button() {
    let config = format!("{BELL}[calls]\nsecond_call = \"hold\"\n");
    let mut door = Door::online(&config);
    door.press();
    let request = door.take_one("outgoing_call");
    // The power fails, and what was remembered is lost. The server's log says who was called.
    door.memory = Memory::default();
    let asked = LogMessage::Request(request.clone());
    let mut line = busy(&request.call_id.unwrap().0, vec![accepted()]);
    line.as_mut().unwrap().call_logs.push(CallLogEntry(0, asked));
    let mut after = restarted(&door, &config);
    after.state(vec![line, None]);
    after.take_one("update");
    after.press();
    assert!(after.take("outgoing_call").is_empty(), "no second call for the same bell");
    assert!(after.take("hold").is_empty());
}

#[test]
fn a_press_made_offline_is_of_the_call_that_comes_back() {
    let config = format!("{BELL}[calls]\nsecond_call = \"hold\"\n");
    let mut door = Door::online(&config);
    let request = door.talking_call();
    let mut after = restarted(&door, &config);
    // The process runs again but has no session yet when the visitor presses.
    after.press();
    after.state(vec![busy(&request.call_id.unwrap().0, vec![accepted()]), None]);
    let update = after.take_one("update");
    assert!(after.take("outgoing_call").is_empty(), "no second call for the same visitor");
    assert!(after.take("hold").is_empty());
    after.ack(&update);
    after.event_of(&update, accepted());
    after.media_connected();
    after.hung_up(&update, 200);
    after.advance(30_000);
    assert!(after.take("outgoing_call").is_empty(), "nor after the call");
}

#[test]
fn a_hangup_made_offline_is_sent_even_by_the_next_process() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    let call_id = request.call_id.unwrap();
    door.lose(1006);
    door.command(Command::Hangup { line: None }).unwrap();
    let mut after = restarted(&door, BELL);
    after.state(vec![busy(&call_id.0, vec![accepted()]), None]);
    let hangup = after.take_one("hangup");
    assert_eq!(hangup.call_id, Some(call_id));
    assert!(after.take("update").is_empty(), "the call is not taken up again");
}

#[test]
fn wrong_codes_count_on_in_the_next_process() {
    let config = format!(
        "{BELL}[[output]]\nname = \"strike\"\nkind = \"relay\"\npin = 23\nmax_on_ms = 8000\n\
         [[dtmf]]\ndigits = \"4711\"\nrun = {{ output = \"strike\", pulse_ms = 3000 }}\n"
    );
    let mut door = Door::online(&config);
    let request = door.talking_call();
    door.digits("1111222233334444");
    let call_id = request.call_id.unwrap();
    let mut after = restarted(&door, &config);
    after.state(vec![busy(&call_id.0, vec![accepted()]), None]);
    after.digits("1111");
    let locks = |fact: &Fact| matches!(fact, Fact::Dtmf { locked_s: Some(60), number, .. } if number == "100");
    assert!(after.facts.iter().any(locks), "{:?}", after.facts);
    after.digits("4711");
    assert_ne!(after.drives.get(&0), Some(&Drive::On));
    // The lock also holds in the process after that.
    let mut later = restarted(&after, &config);
    later.state(vec![busy(&call_id.0, vec![accepted()]), None]);
    later.digits("4711");
    assert_ne!(later.drives.get(&0), Some(&Drive::On));
}

#[test]
fn nothing_is_remembered_of_calls_that_are_over() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    assert_eq!(door.memory.calls.len(), 1);
    door.hung_up(&request, 200);
    assert_eq!(door.memory, Memory::default());
}

#[test]
fn a_call_that_the_server_ended_meanwhile_is_forgotten() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let mut after = restarted(&door, BELL);
    after.state(vec![None, None]);
    assert_eq!(after.states(), [CallState::Idle, CallState::Idle]);
    assert_eq!(after.memory, Memory::default());
    after.press();
    after.take_one("outgoing_call");
    assert!(!after.heard(Sound::NoConnection));
}

#[test]
fn a_press_that_meets_silence_finds_the_dead_link_and_is_dialled_in_time() {
    let mut door = Door::online(BELL);
    door.advance(60_000);
    door.alive = false;
    door.press();
    let lost = door.take_one("outgoing_call");
    door.advance(3_000);
    assert_eq!(door.disconnects, [4502], "nothing was received since the press");
    door.advance(0);
    door.input(Input::Socket(SocketEvent::Opened { local: None }));
    door.state(vec![None, None]);
    let again = door.take_one("outgoing_call");
    assert_eq!(again.call_id, lost.call_id);
    assert_ne!(again.transaction, lost.transaction);
}

#[test]
fn a_press_that_is_too_old_after_a_dead_link_is_not_dialled() {
    let mut door = Door::online(BELL);
    door.advance(60_000);
    door.alive = false;
    door.press();
    door.take_one("outgoing_call");
    door.advance(5_100);
    door.input(Input::Socket(SocketEvent::Opened { local: None }));
    door.state(vec![None, None]);
    assert!(door.take("outgoing_call").is_empty());
    assert!(door.heard(Sound::NoConnection));
}

#[test]
fn a_server_that_is_slow_and_alive_is_not_left() {
    let mut door = Door::online(BELL);
    door.alive = false;
    door.press();
    let request = door.take_one("outgoing_call");
    door.advance(2_000);
    door.event(None, None, None, EventBody::Registered { phrase: None });
    door.advance(20_000);
    assert!(door.disconnects.is_empty());
    door.event_of(&request, EventBody::Ringing {});
    assert_eq!(door.states()[0], CallState::Alerting);
}

#[test]
fn requests_without_any_answer_reveal_a_dead_link_before_the_keepalive_does() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.advance(1_000);
    door.alive = false;
    door.command(Command::Hangup { line: None }).unwrap();
    door.advance(3_000);
    assert_eq!(door.disconnects, [4502]);
}

#[test]
fn a_route_that_comes_a_moment_after_its_address_is_used_at_once() {
    let mut door = online_at(BELL, "192.0.2.10");
    door.advance(60_000);
    door.input(addresses(&[]));
    for _ in 0..12 {
        let before = door.connects.len();
        while door.connects.len() == before {
            door.advance(100);
        }
        door.input(failed(ConnectFailureKind::Network));
    }
    let before = door.connects.len();
    door.input(addresses(&["198.51.100.7"]));
    door.advance(500);
    assert_eq!(door.connects.len(), before + 1);
    // There is no route yet. When it comes, the same addresses are reported once more.
    door.input(failed(ConnectFailureKind::Network));
    door.advance(100);
    door.input(addresses(&["198.51.100.7"]));
    door.advance(700);
    assert_eq!(door.connects.len(), before + 2);
}

#[test]
fn a_press_right_after_a_failed_attempt_is_tried_within_a_second() {
    let mut door = Door::new(BELL);
    door.advance(0);
    for _ in 0..12 {
        door.input(failed(ConnectFailureKind::Network));
        let before = door.connects.len();
        while door.connects.len() == before {
            door.advance(100);
        }
    }
    door.input(failed(ConnectFailureKind::Network));
    let before = door.connects.len();
    door.press();
    door.advance(1_000);
    assert_eq!(door.connects.len(), before + 1);
}

#[test]
fn a_clock_that_is_not_set_is_waited_for_in_the_login_too() {
    let mut door = Door::configured(config_with_login());
    door.advance(0);
    door.input(failed(ConnectFailureKind::NoToken));
    assert_eq!(door.logins, 1);
    door.input(Input::Token(Err(TokenError::NotYetValid("not valid yet".into()))));
    assert_eq!(door.station.status().session.state, SessionState::WaitingForTime);
}

#[test]
fn a_login_that_fails_again_and_again_for_one_reason_is_told_once() {
    let mut door = Door::configured(config_with_login());
    door.advance(0);
    for _ in 0..5 {
        door.input(failed(ConnectFailureKind::NoToken));
        door.input(Input::Token(Err(TokenError::Failed("nobody answers".into()))));
        let before = door.connects.len();
        while door.connects.len() == before {
            door.advance(100);
        }
    }
    assert!(door.logins >= 4, "{}", door.logins);
    let told: Vec<String> =
        door.facts.iter().filter(|fact| matches!(fact, Fact::Session { .. })).map(ToString::to_string).collect();
    assert_eq!(told.iter().filter(|text| text.contains("offline")).count(), 1, "{told:?}");
    assert!(told.len() <= 4, "{told:?}");
}
