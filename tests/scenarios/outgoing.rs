use crate::door::*;
use callbox::config::Sound;
use callbox::core::*;
use callbox::signaling::*;

#[test]
fn a_press_rings_and_the_visitor_hears_it() {
    let mut door = Door::online(BELL);
    door.press();
    assert!(door.heard(Sound::Connecting), "the visitor hears a sign at once");
    let request = door.take_one("outgoing_call");
    assert!(
        matches!(&request.body, RequestBody::OutgoingCall { number, jsep, .. } if number == "100" && jsep.sdp == "our offer")
    );
    door.ack(&request);
    assert_eq!(door.scene.tone, None);
    door.event_of(&request, EventBody::Ringing {});
    assert_eq!(door.scene.tone, Some(Sound::Ringback));
    assert_eq!(door.states(), [CallState::Alerting, CallState::Idle]);
    assert!(!door.microphone_is_open());
}

#[test]
fn a_warm_peer_connection_lets_the_press_send_at_once() {
    let mut door = Door::online(BELL);
    door.media_answers = false;
    door.press();
    door.take_one("outgoing_call");
}

#[test]
fn a_warm_peer_connection_is_made_anew_after_five_minutes() {
    let mut door = Door::online(BELL);
    let before = door.media.len();
    door.sent.clear();
    door.advance(330_000);
    let commands: Vec<&MediaCommand> = door.media[before..].iter().map(|(_, command)| command).collect();
    assert_eq!(commands, [&MediaCommand::Close, &MediaCommand::Offer]);
}

#[test]
fn nothing_is_trickled_before_the_ack() {
    let mut door = Door::online(BELL);
    door.press();
    let request = door.take_one("outgoing_call");
    assert!(door.take("ice_trickle").is_empty());
    door.ack(&request);
    let trickled: Vec<RequestBody> = door.take("ice_trickle").into_iter().map(|request| request.body).collect();
    assert!(matches!(trickled[0], RequestBody::IceTrickle { candidate: Trickle::Candidate(_) }));
    assert!(matches!(trickled[1], RequestBody::IceTrickle { candidate: Trickle::Completed }));
}

#[test]
fn an_event_that_overtakes_the_ack_counts_as_the_ack() {
    let mut door = Door::online(BELL);
    door.press();
    let request = door.take_one("outgoing_call");
    door.event_of(&request, EventBody::Calling {});
    assert_eq!(door.take("ice_trickle").len(), 2);
    door.ack(&request);
    assert!(door.take("ice_trickle").is_empty(), "the candidates are not sent twice");
}

#[test]
fn the_answer_opens_the_microphone_and_stops_the_ringback() {
    let mut door = Door::online(BELL);
    let request = door.ringing_call();
    door.event_of(&request, accepted());
    assert_eq!(door.scene.tone, None);
    assert!(door.microphone_is_open());
    assert!(door.heard(Sound::Answer));
    assert!(
        door.last_media(|command| matches!(command, MediaCommand::ApplyAnswer { answer } if answer == "their answer"))
            .is_some()
    );
}

#[test]
fn early_media_replaces_the_ringback_and_leaves_the_microphone_closed() {
    let mut door = Door::online(BELL);
    let request = door.ringing_call();
    let progress = EventBody::Progress { callee: None, jsep: Some(Jsep::answer("early answer")), is_focus: None };
    door.event_of(&request, progress);
    assert_eq!(door.scene.tone, None);
    assert_eq!(door.scene.calls.len(), 1);
    assert!(door.scene.calls[0].loudspeaker && !door.scene.calls[0].microphone);
    door.event_of(&request, EventBody::Accepted { jsep: None, callee: None, is_focus: None });
    assert!(door.microphone_is_open());
}

#[test]
fn nobody_answers_and_the_call_ends_after_ring_s() {
    let mut door = Door::online(BELL);
    door.ringing_call();
    door.advance(29_000);
    assert!(door.take("hangup").is_empty());
    door.advance(1_500);
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&hangup, 487);
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
    assert!(door.heard(Sound::NoAnswer), "{:?}", door.sounds);
}

#[test]
fn a_phone_that_is_off_sounds_otherwise_than_one_that_nobody_answers() {
    for code in [480, 408] {
        let mut door = Door::online(BELL);
        door.press();
        let request = door.take_one("outgoing_call");
        door.ack(&request);
        door.hung_up(&request, code);
        assert!(door.heard(Sound::NotReachable), "{code}: {:?}", door.sounds);
        let cause = door.station.status().last_end.unwrap().cause;
        assert_eq!(cause.unanswered, Some(Unanswered::NotReachable), "{code}");
    }
}

#[test]
fn where_it_rang_somewhere_and_nobody_came_that_is_what_the_visitor_hears() {
    let mut door = Door::online(&BELL.replace("\"100\"", "[\"100\", \"101\"]"));
    let first = door.ringing_call();
    door.hung_up(&first, 480);
    door.advance(1_000);
    let second = door.take_one("outgoing_call");
    door.ack(&second);
    door.sounds.clear();
    door.hung_up(&second, 404);
    assert_eq!(door.sounds.first().map(|(sound, _)| *sound), Some(Sound::NoAnswer));
}

const LIST: &str = r#"
[[button]]
name = "bell"
pin = 17
press = { call = ["100", "101", "102"], ring_s = 10 }
"#;

#[test]
fn a_list_is_tried_in_turn_until_somebody_answers() {
    let mut door = Door::online(LIST);
    let first = door.ringing_call();
    door.hung_up(&first, 486);
    let second = door.take_one("outgoing_call");
    assert!(matches!(&second.body, RequestBody::OutgoingCall { number, .. } if number == "101"));
    assert!(!door.heard(Sound::Busy), "the visitor does not hear each refusal");
    door.ack(&second);
    door.answered(&second);
    door.hung_up(&second, 200);
    assert!(door.take("outgoing_call").is_empty(), "after an answer nobody else is called");
}

#[test]
fn a_list_that_nobody_takes_ends_with_the_tone_of_the_last_refusal() {
    let mut door = Door::online(LIST);
    let first = door.ringing_call();
    door.hung_up(&first, 603);
    for code in [480, 486] {
        // The media server may still be cleaning up both lines.
        door.advance(2000);
        let next = door.take_one("outgoing_call");
        door.ack(&next);
        door.hung_up(&next, code);
    }
    assert!(door.heard(Sound::Busy), "{:?}", door.sounds);
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn the_next_number_waits_until_the_call_before_is_really_over() {
    let mut door = Door::online(LIST);
    door.ringing_call();
    door.advance(10_500);
    let cancel = door.take_one("hangup");
    assert!(door.take("outgoing_call").is_empty());
    door.ack(&cancel);
    door.hung_up(&cancel, 487);
    door.take_one("outgoing_call");
}

#[test]
fn a_parallel_list_rings_on_both_lines_and_the_first_answer_wins() {
    let mut door = Door::online(
        "[[button]]\nname = \"bell\"\npin = 17\npress = { call = [\"100\", \"101\", \"102\"], order = \"parallel\" }\n",
    );
    door.press();
    let calls = door.take("outgoing_call");
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0].line, calls[1].line);
    for call in &calls {
        door.ack(call);
        door.event_of(call, EventBody::Ringing {});
    }
    door.answered(&calls[1]);
    let hangup = door.take_one("hangup");
    assert_eq!(hangup.call_id, calls[0].call_id);
    door.ack(&hangup);
    door.hung_up(&hangup, 487);
    assert!(door.take("outgoing_call").is_empty(), "the third is not called any more");
    assert!(door.states().contains(&CallState::Established));
}

#[test]
fn when_one_of_a_parallel_list_refuses_the_next_one_rings() {
    let mut door = Door::online(
        "[[button]]\nname = \"bell\"\npin = 17\npress = { call = [\"100\", \"101\", \"102\"], order = \"parallel\" }\n",
    );
    door.press();
    let calls = door.take("outgoing_call");
    door.ack(&calls[0]);
    door.hung_up(&calls[0], 486);
    door.advance(2000);
    let third = door.take_one("outgoing_call");
    assert!(matches!(&third.body, RequestBody::OutgoingCall { number, .. } if number == "102"));
}

#[test]
fn each_end_has_its_tone() {
    for (code, sound) in [
        (486, Some(Sound::Busy)),
        (600, Some(Sound::Busy)),
        (603, Some(Sound::Refused)),
        (404, Some(Sound::NotFound)),
        (503, Some(Sound::NoConnection)),
        (480, Some(Sound::NoAnswer)),
        (408, Some(Sound::NoAnswer)),
        (487, None),
    ] {
        let mut door = Door::online(BELL);
        let request = door.ringing_call();
        door.sounds.clear();
        door.hung_up(&request, code);
        assert_eq!(door.sounds.first().map(|(sound, _)| *sound), sound, "{code}");
    }
}

#[test]
fn a_call_while_both_lines_are_busy_plays_the_busy_tone() {
    let mut door =
        Door::online(&format!("{BELL}{BELL_TWO}[calls]\nsecond_call = \"mix\"\n[[answer]]\naction = \"answer\"\n"));
    door.talking_in(0, "one", "200");
    door.talking_in(1, "two", "201");
    door.sounds.clear();
    door.press();
    assert!(door.heard(Sound::Busy));
    assert!(door.take("outgoing_call").is_empty());
}

const BELL_TWO: &str = "[[button]]\nname = \"other\"\npin = 18\npress = { call = \"101\" }\n";

#[test]
fn a_second_button_during_a_call_is_busy_where_second_calls_are_rejected() {
    let mut door = Door::online(&format!("{BELL}{BELL_TWO}"));
    door.talking_call();
    let _ = door.command(Command::Press { button: ButtonIndex(1), gesture: Gesture::Press });
    assert!(door.take("outgoing_call").is_empty());
    assert!(door.heard(Sound::Busy));
}

#[test]
fn a_second_button_during_a_call_takes_its_place_where_calls_are_replaced() {
    let mut door = Door::online(&format!("{BELL}{BELL_TWO}[calls]\nsecond_call = \"replace\"\n"));
    let first = door.talking_call();
    let _ = door.command(Command::Press { button: ButtonIndex(1), gesture: Gesture::Press });
    let hangup = door.take_one("hangup");
    assert_eq!(hangup.call_id, first.call_id);
    door.take_one("outgoing_call");
}

#[test]
fn lines_take_turns_and_the_next_call_avoids_the_one_being_cleaned() {
    let mut door = Door::online(BELL);
    let first = door.ringing_call();
    door.hung_up(&first, 486);
    door.press();
    let second = door.take_one("outgoing_call");
    assert_ne!(first.line, second.line);
}

#[test]
fn on_a_single_line_the_next_call_waits_for_ice_hangup() {
    let mut door = Door::online(BELL);
    door.lose(1006);
    door.reopen();
    door.state(vec![None]);
    let first = door.ringing_call();
    door.hung_up(&first, 486);
    door.press();
    assert!(door.take("outgoing_call").is_empty());
    door.event(None, first.line, None, EventBody::IceHangup { reason: None });
    door.take_one("outgoing_call");
}

#[test]
fn on_a_single_line_without_ice_hangup_the_next_call_goes_out_a_little_later() {
    let mut door = Door::online(BELL);
    door.lose(1006);
    door.reopen();
    door.state(vec![None]);
    let first = door.ringing_call();
    door.hung_up(&first, 486);
    door.press();
    assert!(door.take("outgoing_call").is_empty());
    door.advance(1600);
    door.take_one("outgoing_call");
}

#[test]
fn a_line_that_is_still_being_cleaned_is_tried_once_more_on_the_other() {
    let mut door = Door::online(BELL);
    door.press();
    let first = door.take_one("outgoing_call");
    door.refuse(&first, 490);
    let second = door.take_one("outgoing_call");
    assert_ne!(first.line, second.line);
    assert_eq!(first.call_id, second.call_id, "it is the same call");
    door.refuse(&second, 490);
    door.advance(1000);
    assert!(door.take("outgoing_call").is_empty(), "it is tried again only once");
    assert!(door.heard(Sound::NoConnection));
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
}

#[test]
fn a_lost_ack_is_not_a_failed_call() {
    let mut door = Door::online(BELL);
    door.press();
    let request = door.take_one("outgoing_call");
    door.advance(11_000);
    assert_eq!(door.states()[0], CallState::Dialing);
    door.event_of(&request, EventBody::Ringing {});
    door.answered(&request);
    assert_eq!(door.states()[0], CallState::Established);
}

#[test]
fn hanging_up_closes_the_peer_connection_only_after_the_ack() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let closed_before = door.open_media();
    door.command(Command::Hangup { line: None }).unwrap();
    let hangup = door.take_one("hangup");
    assert_eq!(door.open_media(), closed_before);
    door.ack(&hangup);
    assert_eq!(door.open_media(), closed_before - 1);
    assert!(!door.microphone_is_open());
}

#[test]
fn hanging_up_closes_the_peer_connection_after_a_second_without_ack() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let open = door.open_media();
    door.command(Command::Hangup { line: None }).unwrap();
    door.advance(999);
    assert_eq!(door.open_media(), open);
    door.advance(1);
    assert_eq!(door.open_media(), open - 1);
}

#[test]
fn a_hangup_that_nobody_confirms_frees_the_line_all_the_same() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.command(Command::Hangup { line: None }).unwrap();
    door.advance(10_100);
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
}

#[test]
fn after_a_call_no_peer_connection_but_the_warm_one_is_left() {
    let mut door = Door::online(BELL);
    for _ in 0..5 {
        let request = door.talking_call();
        door.hung_up(&request, 200);
        door.advance(2000);
    }
    assert_eq!(door.open_media(), 1);
}

#[test]
fn a_peer_connection_that_fails_ends_the_call_with_its_reason() {
    let mut door = Door::online(BELL);
    door.media_answers = false;
    door.press();
    door.take_one("outgoing_call");
    let media = door.media[0].0;
    door.input(Input::Media(media, MediaEvent::Failed("no sockets".into())));
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&hangup, 487);
    assert_eq!(door.cause().unwrap(), (500, "media: no sockets".into()));
}

#[test]
fn a_call_whose_media_never_connects_ends_by_itself() {
    let mut door = Door::online(BELL);
    let request = door.ringing_call();
    door.event_of(&request, accepted());
    door.advance(20_500);
    door.take_one("hangup");
}

#[test]
fn a_third_call_is_busy_and_holds_nobody() {
    let mut door =
        Door::online(&format!("{BELL}{BELL_TWO}[calls]\nsecond_call = \"hold\"\n[[answer]]\naction = \"answer\"\n"));
    door.talking_in(0, "one", "200");
    door.talking_in(1, "two", "201");
    door.take("hold");
    door.press();
    assert!(door.heard(Sound::Busy));
    assert!(door.take("hold").is_empty());
    assert_eq!(door.states(), [CallState::Held, CallState::Established]);
}

#[test]
fn on_a_single_line_a_call_is_replaced_once_its_line_is_free() {
    let mut door = Door::online(&format!("lines = 1\n{BELL}{BELL_TWO}[calls]\nsecond_call = \"replace\"\n"));
    let first = door.talking_call();
    let _ = door.command(Command::Press { button: ButtonIndex(1), gesture: Gesture::Press });
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    assert!(door.take("outgoing_call").is_empty());
    door.hung_up(&first, 200);
    door.advance(2_000);
    let second = door.take_one("outgoing_call");
    assert!(matches!(&second.body, RequestBody::OutgoingCall { number, .. } if number == "101"));
}

/// A call is up on the only line, and the other button takes its place.
fn replacing_call() -> (Door, Request) {
    let mut door = Door::online(&format!("lines = 1\n{BELL}{BELL_TWO}[calls]\nsecond_call = \"replace\"\n"));
    let first = door.talking_call();
    door.command(Command::Press { button: ButtonIndex(1), gesture: Gesture::Press }).unwrap();
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.sounds.clear();
    (door, first)
}

#[test]
fn a_renewed_registration_does_not_give_up_a_call_that_waits_for_its_line() {
    let (mut door, first) = replacing_call();
    door.event(None, None, None, EventBody::Registered { phrase: None });
    door.hung_up(&first, 200);
    door.advance(2_000);
    assert!(!door.heard(Sound::NoConnection), "{:?}", door.sounds);
    assert_eq!(door.take("outgoing_call").len(), 1);
}

#[test]
fn a_call_that_waits_for_its_line_survives_a_short_loss_of_the_session() {
    let (mut door, _) = replacing_call();
    door.lose(1006);
    door.reopen();
    door.state(vec![None]);
    door.advance(2_000);
    assert!(!door.heard(Sound::NoConnection), "{:?}", door.sounds);
    assert_eq!(door.take("outgoing_call").len(), 1);
}

#[test]
fn a_press_made_offline_takes_the_place_of_the_call_that_is_up() {
    let mut door = Door::online(&format!("{BELL}{BELL_TWO}[calls]\nsecond_call = \"replace\"\n"));
    let first = door.talking_call();
    door.lose(1006);
    door.command(Command::Press { button: ButtonIndex(1), gesture: Gesture::Press }).unwrap();
    door.reopen();
    let call_id = first.call_id.clone().unwrap();
    door.state(vec![busy(&call_id.0, vec![accepted()]), None]);
    door.advance(2_000);
    assert_eq!(door.take("hangup").len(), 1);
    let second = door.take_one("outgoing_call");
    assert!(matches!(&second.body, RequestBody::OutgoingCall { number, .. } if number == "101"));
}

#[test]
fn a_press_that_waited_for_its_line_is_not_dialled_after_a_long_outage() {
    let mut door = Door::online(BELL);
    door.media_answers = false;
    // The warm peer connection is in use, and the next one never produces an offer.
    let first = door.ringing_call();
    door.hung_up(&first, 486);
    door.press();
    door.sounds.clear();
    door.lose(1006);
    door.advance(5_100);
    assert!(door.heard(Sound::NoConnection) || door.heard(Sound::Refused), "{:?}", door.sounds);
    door.media_answers = true;
    door.reopen();
    door.state(vec![None, None]);
    door.advance(5_000);
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn a_refusal_that_comes_after_the_visitor_hung_up_dials_nothing_again() {
    let mut door = Door::online(BELL);
    door.press();
    let request = door.take_one("outgoing_call");
    door.command(Command::Hangup { line: None }).unwrap();
    let hangup = door.take_one("hangup");
    door.refuse(&request, 490);
    door.ack(&hangup);
    door.hung_up(&hangup, 487);
    door.advance(1_000);
    assert!(door.take("outgoing_call").is_empty());
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
}

#[test]
fn an_offer_before_the_call_is_up_is_answered_once_ours_has_been() {
    let mut door = Door::online(BELL);
    let request = door.ringing_call();
    let update = || EventBody::UpdatingCall(invitation("100", Some(Jsep::offer("their offer"))));
    door.event_of(&request, update());
    assert!(door.take("update").is_empty(), "our own offer has no answer yet");
    let progress = EventBody::Progress { callee: None, jsep: Some(Jsep::answer("early answer")), is_focus: None };
    door.event_of(&request, progress);
    door.event_of(&request, update());
    door.take_one("update");
}

#[test]
fn a_refusal_without_a_number_is_a_refusal() {
    let mut door = Door::online(BELL);
    door.press();
    let request = door.take_one("outgoing_call");
    for code in ["", "\"code\":\"busy\","] {
        let transaction = &request.transaction;
        let text = format!(r#"{{"response":"error",{code}"transaction":"{transaction}","reason":"no"}}"#);
        let message = ServerMessage::parse(&text).unwrap();
        assert!(matches!(
            message,
            ServerMessage::Response(Response { body: ResponseBody::Error { code: 500, .. }, .. })
        ));
        door.server(message);
    }
    assert_eq!(door.states()[0], CallState::Idle);
}

#[test]
fn a_server_that_refuses_a_call_is_not_a_person_who_declines_it() {
    let mut door = Door::online(BELL);
    door.press();
    let request = door.take_one("outgoing_call");
    door.refuse(&request, 403);
    let ended = door.facts.iter().find_map(|fact| match fact {
        Fact::Call { cause: Some(cause), .. } => Some(cause.clone()),
        _ => None,
    });
    assert_eq!(ended.unwrap().unanswered, Some(Unanswered::Failed));
}
