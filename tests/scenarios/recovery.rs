use crate::door::*;
use callbox::core::*;
use callbox::signaling::*;

const ANSWER: &str = "[[answer]]\naction = \"answer\"\nafter_ms = 500\n";

fn back(door: &mut Door, lines: Vec<Option<LineState>>) {
    door.sent.clear();
    door.reopen();
    door.state(lines);
}

fn on_line(request: &Request, line: Option<LineState>) -> Vec<Option<LineState>> {
    let mut lines = vec![None, None];
    lines[request.line.unwrap().0 as usize] = line;
    lines
}

fn id(request: &Request) -> String {
    request.call_id.clone().unwrap().0
}

#[test]
fn a_call_outlives_its_session_with_the_sound_flowing() {
    let mut door = Door::online(&format!("{BELL}[calls]\nmax_talk_s = 600\n"));
    let request = door.talking_call();
    door.lose(1006);
    assert!(door.microphone_is_open());
    let line = busy(&id(&request), vec![accepted(), EventBody::Ringing {}]);
    back(&mut door, on_line(&request, line));
    assert!(door.microphone_is_open());
    assert!(door.take("update").is_empty() && door.take("hangup").is_empty());
}

#[test]
fn a_call_without_ice_is_renegotiated_after_the_reconnect() {
    let mut door = Door::online(&format!("{BELL}[calls]\nmax_talk_s = 600\n"));
    let request = door.talking_call();
    let media = door.scene.calls[0].media;
    door.lose(1006);
    door.input(Input::Media(media, MediaEvent::Disconnected));
    let line = busy(&id(&request), vec![accepted()]);
    back(&mut door, on_line(&request, line));
    door.take_one("update");
}

#[test]
fn a_call_that_the_server_no_longer_has_ends_here_too() {
    let mut door = Door::online(&format!("{BELL}[calls]\nmax_talk_s = 600\n"));
    door.talking_call();
    door.lose(1006);
    back(&mut door, vec![None, None]);
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
    assert!(door.take("hangup").is_empty());
    assert_eq!(door.open_media(), 1);
}

#[test]
fn a_call_that_ended_while_we_were_away_ends_with_the_servers_reason() {
    let mut door = Door::online(&format!("{BELL}[calls]\nmax_talk_s = 600\n"));
    let request = door.talking_call();
    door.lose(1006);
    let hangup = EventBody::Hangup { code: 200, reason: "Session Terminated".into() };
    let line = busy(&id(&request), vec![hangup, accepted()]);
    back(&mut door, on_line(&request, line));
    assert_eq!(door.cause(), Some((200, "Session Terminated".into())));
}

#[test]
fn a_hangup_made_offline_is_sent_first() {
    let mut door = Door::online(&format!("{BELL}[calls]\nmax_talk_s = 600\n"));
    let request = door.talking_call();
    door.lose(1006);
    door.command(Command::Hangup { line: None }).unwrap();
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
    let line = busy(&id(&request), vec![accepted()]);
    back(&mut door, on_line(&request, line));
    let first = door.sent.first().cloned();
    assert!(
        matches!(&first, Some(ClientMessage::Request(sent)) if sent.body == RequestBody::Hangup {} && sent.call_id == request.call_id),
        "{first:?}"
    );
    assert_eq!(door.take("hangup").len(), 1, "it is sent only once");
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle], "the call is not restored");
}

#[test]
fn a_hangup_without_ack_is_sent_again_after_the_reconnect() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    door.command(Command::Hangup { line: None }).unwrap();
    door.lose(1006);
    let line = busy(&id(&request), vec![accepted()]);
    back(&mut door, on_line(&request, line));
    assert_eq!(door.take_one("hangup").call_id, request.call_id);
}

#[test]
fn a_hangup_that_was_acknowledged_is_not_sent_again() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    door.command(Command::Hangup { line: None }).unwrap();
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&request, 200);
    door.lose(1006);
    back(&mut door, vec![None, None]);
    assert!(door.take("hangup").is_empty());
}

#[test]
fn a_decline_made_offline_is_sent_as_decline() {
    let mut door = Door::online("[[answer]]\naction = \"ring\"\n[calls]\nring_timeout_s = 300\n");
    door.incoming(0, "c1", "100");
    door.lose(1006);
    door.command(Command::Hangup { line: None }).unwrap();
    let invited = EventBody::IncomingCall(invitation("100", Some(Jsep::offer("o"))));
    back(&mut door, vec![busy("c1", vec![invited]), None]);
    door.take_one("decline");
    assert_eq!(door.states()[0], CallState::Idle, "it does not ring again");
}

#[test]
fn an_unanswered_call_that_came_while_we_were_away_rings_now() {
    let mut door = Door::online(ANSWER);
    door.lose(1006);
    let invited = EventBody::IncomingCall(invitation("100", Some(Jsep::offer("o"))));
    back(&mut door, vec![busy("c1", vec![invited]), None]);
    assert_eq!(door.states()[0], CallState::Incoming);
    door.advance(500);
    door.take_one("accept");
}

#[test]
fn an_orphan_that_was_never_accepted_is_ended() {
    let mut door = Door::online(ANSWER);
    door.lose(1006);
    back(&mut door, vec![busy("ghost", vec![EventBody::Ringing {}, EventBody::Calling {}]), None]);
    assert_eq!(door.take_one("hangup").call_id, Some("ghost".into()));
}

#[test]
fn a_call_of_a_former_life_that_is_up_is_restored_by_an_update() {
    let mut door = Door::new(ANSWER);
    door.advance(0);
    door.input(Input::Socket(SocketEvent::Opened { local: None }));
    let invited = EventBody::IncomingCall(invitation("100", Some(Jsep::offer("o"))));
    door.state(vec![busy("c1", vec![accepted(), invited]), None]);
    let update = door.take_one("update");
    assert!(matches!(&update.body, RequestBody::Update { jsep } if jsep.kind == JsepKind::Offer));
    door.ack(&update);
    door.event_of(&update, accepted());
    assert_eq!(door.states()[0], CallState::Established);
    assert_eq!(door.station.status().lines[0].call.as_ref().unwrap().number, "100");
}

#[test]
fn a_line_with_a_null_call_is_idle() {
    let mut door = Door::online(BELL);
    door.lose(1006);
    back(&mut door, vec![Some(LineState { call_id: None, call_logs: Vec::new() }), None]);
    assert!(door.take("hangup").is_empty());
    door.press();
    door.take_one("outgoing_call");
}

#[test]
fn an_answer_that_came_while_we_were_away_is_applied_from_the_log() {
    let mut door = Door::online(&BELL.replace("ring_s = 30", "ring_s = 300"));
    let request = door.ringing_call();
    door.lose(1006);
    let line = busy(&id(&request), vec![accepted(), EventBody::Ringing {}, EventBody::Calling {}]);
    back(&mut door, on_line(&request, line));
    assert!(door.last_media(|command| matches!(command, MediaCommand::ApplyAnswer { .. })).is_some());
    assert_eq!(door.states()[request.line.unwrap().0 as usize], CallState::Established);
}

#[test]
fn a_call_that_was_dialled_into_the_loss_is_given_up_with_a_sign() {
    let mut door = Door::online(&BELL.replace("ring_s = 30", "ring_s = 300"));
    door.press();
    door.take_one("outgoing_call");
    door.advance(6_000);
    door.lose(1006);
    door.sounds.clear();
    back(&mut door, vec![None, None]);
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
    assert!(door.heard(callbox::config::Sound::NoConnection), "{:?}", door.sounds);
}

#[test]
fn an_answer_that_went_down_with_the_socket_is_sent_again() {
    let mut door = Door::online(ANSWER);
    door.incoming(0, "c1", "100");
    door.advance(500);
    door.take_one("accept");
    door.lose(1006);
    let invited = EventBody::IncomingCall(invitation("100", Some(Jsep::offer("o"))));
    back(&mut door, vec![busy("c1", vec![invited]), None]);
    let accept = door.take_one("accept");
    assert_eq!(accept.call_id, Some("c1".into()));
    door.event_of(&accept, EventBody::Accepted { jsep: None, callee: None, is_focus: None });
    assert_eq!(door.states()[0], CallState::Established);
}

#[test]
fn a_restored_call_keeps_its_mode() {
    let mut door = Door::new("[[answer]]\naction = \"answer\"\nmode = \"announce\"\n");
    door.reopen();
    let invited = EventBody::IncomingCall(invitation("100", Some(Jsep::offer("o"))));
    door.state(vec![busy("c1", vec![accepted(), invited]), None]);
    assert_eq!(door.states()[0], CallState::Established);
    assert!(!door.microphone_is_open());
}

#[test]
fn a_call_of_a_former_life_that_no_rule_admits_is_ended() {
    for log in [
        vec![accepted(), EventBody::IncomingCall(invitation("666", Some(Jsep::offer("o"))))],
        // The log does not say who called whom: such a call must not count as one of ours.
        vec![accepted(), EventBody::Ringing {}],
    ] {
        let mut door = Door::new("[[answer]]\nfrom = \"100\"\naction = \"answer\"\n");
        door.reopen();
        door.state(vec![busy("c1", log), None]);
        assert_eq!(door.take_one("hangup").call_id, Some("c1".into()));
        assert!(!door.microphone_is_open());
    }
}

#[test]
fn a_second_state_handshake_on_one_connection_is_older_than_what_we_did_since() {
    let mut door = Door::online(BELL);
    door.press();
    door.take_one("outgoing_call");
    door.state(vec![None, None]);
    assert_eq!(door.states()[0], CallState::Dialing);
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn the_next_number_that_a_recovery_dials_is_dialled_once() {
    let list = BELL.replace("call = \"100\"", "call = [\"100\", \"101\"]");
    let mut door = Door::online(&list);
    door.press();
    let request = door.take_one("outgoing_call");
    door.ack(&request);
    door.lose(1006);
    back(&mut door, vec![None, None]);
    let next = door.take_one("outgoing_call");
    assert!(matches!(&next.body, RequestBody::OutgoingCall { number, .. } if number == "101"));
}

#[test]
fn a_close_with_4610_drops_no_call_that_the_server_still_has() {
    let list = BELL.replace("call = \"100\"", "call = [\"100\", \"101\"]");
    let mut door = Door::online(&list);
    let first = door.ringing_call();
    door.advance(30_000);
    door.take_one("hangup");
    // The far end's hangup crosses ours, the next number is dialled, and then the server closes with 4610.
    door.hung_up(&first, 486);
    door.advance(1_600);
    let second = door.take_one("outgoing_call");
    door.ack(&second);
    door.lose(4610);
    back(&mut door, vec![None, busy(&second.call_id.clone().unwrap().0, vec![EventBody::Ringing {}])]);
    assert_eq!(door.states()[1], CallState::Alerting);
}

#[test]
fn a_call_that_still_rings_is_declined_whatever_was_said_offline() {
    let mut door = Door::online(ANSWER);
    door.incoming(0, "c1", "100");
    door.advance(500);
    door.take_one("accept");
    door.lose(1006);
    door.command(Command::Hangup { line: None }).unwrap();
    let invited = EventBody::IncomingCall(invitation("100", Some(Jsep::offer("o"))));
    back(&mut door, vec![busy("c1", vec![invited]), None]);
    let decline = door.take_one("decline");
    assert_eq!(decline.call_id, Some("c1".into()));
    assert!(door.take("hangup").is_empty());
}

#[test]
fn a_call_on_a_line_that_the_station_does_not_use_is_not_taken_up() {
    let mut door = Door::online(ANSWER);
    door.lose(1006);
    let invited = EventBody::IncomingCall(invitation("100", Some(Jsep::offer("o"))));
    let before = door.open_media();
    back(&mut door, vec![None, None, None, busy("x", vec![accepted(), invited])]);
    assert!(door.open_media() <= before + 1, "the only new peer connection is the warm one");
    assert!(door.scene.calls.is_empty());
    door.take_one("hangup");
}
