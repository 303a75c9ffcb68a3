use crate::door::*;
use callbox::config::Sound;
use callbox::core::*;
use callbox::signaling::*;

const ANSWER: &str = "[[answer]]\nfrom = [\"100\", \"2*\"]\naction = \"answer\"\nafter_ms = 500\n";
const RING: &str = "[[answer]]\naction = \"ring\"\n";

#[test]
fn a_caller_that_a_rule_admits_is_answered_after_the_delay() {
    let mut door = Door::online(ANSWER);
    door.incoming(0, "c1", "sip:231@core.example.com");
    door.advance(499);
    assert!(door.take("accept").is_empty());
    assert!(!door.microphone_is_open());
    door.advance(1);
    let accept = door.take_one("accept");
    assert!(matches!(&accept.body, RequestBody::Accept { jsep } if jsep.kind == JsepKind::Answer));
    assert!(!door.microphone_is_open(), "not before the server confirms");
    door.ack(&accept);
    door.event_of(&accept, EventBody::Accepted { jsep: None, callee: None, is_focus: None });
    assert!(door.microphone_is_open());
}

#[test]
fn a_caller_that_no_rule_admits_is_declined_and_never_heard() {
    let mut door = Door::online(ANSWER);
    door.incoming(0, "c1", "999");
    door.take_one("decline");
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
    assert!(door.scene.calls.is_empty());
}

#[test]
fn without_any_rule_every_call_is_declined() {
    let mut door = Door::online("");
    door.incoming(0, "c1", "100");
    door.take_one("decline");
}

#[test]
fn a_decline_rule_stands_before_a_wider_answer_rule() {
    let mut door = Door::online("[[answer]]\nfrom = \"666\"\naction = \"decline\"\n[[answer]]\naction = \"answer\"\n");
    door.incoming(0, "c1", "666");
    door.take_one("decline");
    door.incoming(0, "c2", "667");
    door.take_one("accept");
}

#[test]
fn a_call_rings_at_the_station_until_somebody_answers_there() {
    let mut door = Door::online(RING);
    door.incoming(0, "c1", "100");
    assert_eq!(door.scene.tone, Some(Sound::Ring));
    assert_eq!(door.states()[0], CallState::Incoming);
    door.command(Command::Answer { line: None }).unwrap();
    door.take_one("accept");
    assert_eq!(door.scene.tone, None);
}

#[test]
fn a_call_that_nobody_answers_at_the_station_is_declined_after_the_ring_timeout() {
    let mut door = Door::online(RING);
    door.incoming(0, "c1", "100");
    door.advance(60_100);
    door.take_one("decline");
}

#[test]
fn a_press_answers_what_rings_where_its_rule_says_so_and_calls_nobody() {
    let mut door = Door::online(&format!(
        "{RING}[[button]]\nname = \"bell\"\npin = 17\npress = {{ answer = true, call = \"100\" }}\n"
    ));
    door.incoming(0, "c1", "100");
    door.press();
    door.take_one("accept");
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn the_same_press_calls_when_nothing_rings() {
    let mut door = Door::online(&format!(
        "{RING}[[button]]\nname = \"bell\"\npin = 17\npress = {{ answer = true, call = \"100\" }}\n"
    ));
    door.press();
    door.take_one("outgoing_call");
}

#[test]
fn a_caller_who_gives_up_before_the_answer_is_not_answered() {
    let mut door = Door::online(ANSWER);
    door.incoming(0, "c1", "100");
    door.event(None, Some(Line(0)), Some("c1".into()), EventBody::Hangup { code: 487, reason: "cancelled".into() });
    door.advance(1000);
    assert!(door.take("accept").is_empty());
    assert_eq!(door.open_media(), 1, "only the warm one");
}

#[test]
fn an_accept_that_crosses_the_cancel_just_ends() {
    for code in [410, 454, 469] {
        let mut door = Door::online(ANSWER);
        door.incoming(0, "c1", "100");
        door.advance(500);
        let accept = door.take_one("accept");
        door.refuse(&accept, code);
        assert_eq!(door.states()[0], CallState::Idle, "{code}");
        assert!(door.take("hangup").is_empty() && door.take("decline").is_empty(), "{code}");
    }
}

#[test]
fn an_accept_without_ack_is_never_followed_by_decline() {
    let mut door = Door::online(ANSWER);
    door.incoming(0, "c1", "100");
    door.advance(500);
    let accept = door.take_one("accept");
    door.advance(10_100);
    assert!(door.take("decline").is_empty());
    door.event_of(&accept, EventBody::Accepted { jsep: None, callee: None, is_focus: None });
    assert_eq!(door.states()[0], CallState::Established);
}

#[test]
fn an_answer_that_is_never_confirmed_ends_with_hangup_not_decline() {
    let mut door = Door::online(ANSWER);
    door.incoming(0, "c1", "100");
    door.advance(500 + 20_100);
    assert!(door.take("decline").is_empty());
    door.take_one("hangup");
}

#[test]
fn an_offerless_invite_is_answered_with_an_offer() {
    let mut door = Door::online(ANSWER);
    door.incoming_with(0, "c1", "100", None);
    door.advance(500);
    let accept = door.take_one("accept");
    assert!(matches!(&accept.body, RequestBody::Accept { jsep } if jsep.kind == JsepKind::Offer));
    assert_eq!(door.take("ice_trickle").len(), 2);
    door.ack(&accept);
    door.event_of(&accept, EventBody::Accepting {});
    assert!(!door.microphone_is_open());
    door.event_of(&accept, accepted());
    assert!(door.microphone_is_open());
    assert!(door.last_media(|command| matches!(command, MediaCommand::ApplyAnswer { .. })).is_some());
}

#[test]
fn a_repeated_invitation_without_offer_keeps_the_stored_one() {
    let mut door = Door::online(ANSWER);
    door.incoming(0, "c1", "100");
    door.incoming_with(0, "c1", "100", None);
    door.advance(500);
    let accept = door.take_one("accept");
    assert!(matches!(&accept.body, RequestBody::Accept { jsep } if jsep.kind == JsepKind::Answer));
}

#[test]
fn a_call_to_ourselves_is_declined_on_its_line() {
    let mut door = Door::online(&format!("{BELL}{ANSWER}"));
    let ours = door.ringing_call();
    let other = 1 - ours.line.unwrap().0;
    door.incoming(other, &ours.call_id.clone().unwrap().0, "100");
    let decline = door.take_one("decline");
    assert_eq!(decline.line, Some(Line(other)));
    let open = door.open_media();
    door.ack(&decline);
    let hangup = EventBody::Hangup { code: 486, reason: "declined".into() };
    door.event(None, Some(Line(other)), ours.call_id.clone(), hangup);
    assert_eq!(door.states()[ours.line.unwrap().0 as usize], CallState::Alerting);
    assert_eq!(door.open_media(), open, "our own leg keeps its media");
}

#[test]
fn listen_and_announce_modes_open_one_direction_only() {
    for (mode, microphone, loudspeaker) in [("listen", true, false), ("announce", false, true)] {
        let mut door = Door::online(&format!("[[answer]]\naction = \"answer\"\nmode = \"{mode}\"\n"));
        door.talking_in(0, "c1", "100");
        assert_eq!(
            (door.scene.calls[0].microphone, door.scene.calls[0].loudspeaker),
            (microphone, loudspeaker),
            "{mode}"
        );
    }
}

#[test]
fn a_second_caller_is_declined_by_default() {
    let mut door = Door::online(ANSWER);
    door.talking_in(0, "c1", "100");
    door.incoming(1, "c2", "200");
    let decline = door.take_one("decline");
    assert_eq!(decline.call_id, Some("c2".into()));
}

#[test]
fn a_second_caller_puts_the_first_on_hold_until_the_second_call_ends() {
    let mut door = Door::online(&format!("{ANSWER}[calls]\nsecond_call = \"hold\"\n"));
    door.talking_in(0, "c1", "100");
    door.talking_in(1, "c2", "200");
    let hold = door.take_one("hold");
    assert_eq!(hold.call_id, Some("c1".into()));
    assert_eq!(door.states(), [CallState::Held, CallState::Established]);
    assert_eq!(door.scene.calls.len(), 1);
    door.event(None, Some(Line(1)), Some("c2".into()), EventBody::Hangup { code: 200, reason: String::new() });
    let unhold = door.take_one("unhold");
    assert_eq!(unhold.call_id, Some("c1".into()));
    assert_eq!(door.states()[0], CallState::Established);
}

#[test]
fn a_second_caller_joins_where_calls_are_mixed() {
    let mut door = Door::online(&format!("{ANSWER}[calls]\nsecond_call = \"mix\"\n"));
    door.talking_in(0, "c1", "100");
    assert!(!door.scene.mixed);
    door.talking_in(1, "c2", "200");
    assert!(door.scene.mixed);
    assert_eq!(door.scene.calls.len(), 2);
}

#[test]
fn a_second_caller_takes_the_place_of_the_first_where_calls_are_replaced() {
    let mut door = Door::online(&format!("{ANSWER}[calls]\nsecond_call = \"replace\"\n"));
    door.talking_in(0, "c1", "100");
    door.incoming(1, "c2", "200");
    door.advance(500);
    let hangup = door.take_one("hangup");
    assert_eq!(hangup.call_id, Some("c1".into()));
    door.take_one("accept");
}

#[test]
fn while_the_station_rings_somebody_a_caller_is_declined_even_where_calls_are_held() {
    let mut door = Door::online(&format!("{BELL}{ANSWER}[calls]\nsecond_call = \"hold\"\n"));
    door.ringing_call();
    door.incoming(1, "c2", "200");
    door.take_one("decline");
}

#[test]
fn no_codec_in_common_declines_the_call() {
    let mut door = Door::online(ANSWER);
    door.media_answers = false;
    door.incoming(0, "c1", "100");
    door.advance(500);
    let media = door.media.last().unwrap().0;
    door.input(Input::Media(media, MediaEvent::Refused { code: 488, message: "no codec that both sides know".into() }));
    door.take_one("decline");
}

#[test]
fn a_missed_call_is_a_fact_and_not_a_call() {
    let mut door = Door::online(ANSWER);
    let missed = EventBody::MissedCall { callee: "door".into(), caller: "100".into(), caller_display_name: None };
    door.event(None, None, Some("c9".into()), missed);
    assert!(door.facts.iter().any(|fact| matches!(fact, Fact::MissedCall { caller } if caller == "100")));
    assert_eq!(door.station.status().missed_calls, 1);
}

#[test]
fn rules_with_hours_do_not_match_while_the_clock_is_not_set() {
    let mut door = Door::online("[[answer]]\naction = \"answer\"\nhours = \"00:00-24:00\"\n");
    door.incoming(0, "c1", "100");
    door.take_one("decline");
    door.local = Some(LocalTime::in_some_week(Weekday::Monday, 600));
    door.incoming(0, "c2", "100");
    door.take_one("accept");
}

/// Hands over a frame of the server with exactly this text.
fn frame(door: &mut Door, text: &str) {
    let message = ServerMessage::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    door.server(message);
}

#[test]
fn a_call_without_a_caller_is_one_from_an_unknown_number() {
    for fields in ["", r#","caller":null,"callee":null"#, r#","caller":"","callee":7"#, r#","caller":{}"#] {
        let invitation = format!(
            r#"{{"event":"incoming_call","line":"0","call_id":"c1"{fields},"jsep":{{"type":"offer","sdp":"v=0"}}}}"#
        );
        let mut door = Door::online("[[answer]]\naction = \"answer\"\nafter_ms = 500\n");
        frame(&mut door, &invitation);
        assert_eq!(door.station.status().lines[0].call.as_ref().unwrap().number, "", "{fields}");
        door.advance(600);
        door.take_one("accept");
        let mut door = Door::online("[[answer]]\nfrom = \"100\"\naction = \"answer\"\n");
        frame(&mut door, &invitation);
        door.take_one("decline");
    }
}

#[test]
fn a_caller_is_found_in_every_form_of_address() {
    for caller in [r#"\"Flat 1\" <sip:100@core.example.com>"#, "tel:100", "SIPS:100@CORE.example.com;user=phone", "100"]
    {
        let mut door = Door::online("[[answer]]\nfrom = \"100\"\naction = \"answer\"\n");
        frame(
            &mut door,
            &format!(r#"{{"event":"incoming_call","line":0,"call_id":"c1","callee":"door","caller":"{caller}"}}"#),
        );
        assert_eq!(door.states()[0], CallState::Answering, "{caller}");
    }
}

/// The cleaning of a text must not turn its writer into somebody else.
#[test]
fn a_caller_whose_address_has_unseen_characters_is_nobody() {
    for caller in
        ["sip:100@core.exa\\u202emple.com", "sip:1\\u200e00@core.example.com", "sip:100@core\\u200b.example.com"]
    {
        let mut door = Door::online("[[answer]]\nfrom = \"100\"\naction = \"answer\"\n");
        frame(
            &mut door,
            &format!(r#"{{"event":"incoming_call","line":0,"call_id":"c1","callee":"door","caller":"{caller}"}}"#),
        );
        door.take_one("decline");
    }
    let mut door = Door::online("[[answer]]\nfrom = \"100\"\naction = \"answer\"\n");
    let named = r#"{"event":"incoming_call","line":0,"call_id":"c1","callee":"x","caller":"\"A\u0007\u202e\" <sip:100@core.example.com>\r\n"}"#;
    frame(&mut door, named);
    assert_eq!(door.states()[0], CallState::Answering, "a display name may contain anything");
}

#[test]
fn a_caller_of_another_domain_is_nobody_of_the_house() {
    let house = "[[answer]]\nfrom = [\"100\", \"2*\", \"*\"]\naction = \"answer\"\n\
                 [[output]]\nname = \"strike\"\nkind = \"relay\"\npin = 23\n\
                 [[dtmf]]\ndigits = \"4711\"\nfrom = \"100\"\nrun = { output = \"strike\", pulse_ms = 3000 }\n";
    for caller in ["sip:100@elsewhere.example", "<sip:100@203.0.113.9;user=phone>", "100;phone-context=x"] {
        let mut door = Door::online(house);
        door.incoming(0, "c1", caller);
        door.take_one("decline");
        let refused = |fact: &Fact| matches!(fact, Fact::CallRefused { number, .. } if number.starts_with("100@"));
        assert!(door.facts.iter().any(refused), "{:?}", door.facts);
        assert_eq!(door.station.status().refused_calls, 1);
        // With a rule for everybody this caller may call in, but still opens nothing.
        let mut door = Door::online(&house.replace("from = [\"100\", \"2*\", \"*\"]\n", ""));
        door.talking_in(0, "c1", caller);
        door.digits("4711");
        assert_eq!(door.drives.get(&0).copied().unwrap_or_default(), Drive::Off, "{caller}");
    }
    let mut door = Door::online(&house.replace("\"100\", \"2*\", \"*\"", "\"100@elsewhere.example\""));
    door.incoming(0, "c1", "sip:100@Elsewhere.example:5060");
    assert_eq!(door.states()[0], CallState::Answering, "a rule that names the domain matches");
}

/// The visitor hears that somebody listens, whatever the volume is.
#[test]
fn listening_is_always_signed() {
    for (mode, volume) in [("listen", 50), ("talk", 30)] {
        let rule = format!("[audio]\nvolume = 0\n[[answer]]\nfrom = \"100\"\naction = \"answer\"\nmode = \"{mode}\"\n");
        let mut door = Door::online(&rule);
        assert_eq!(door.scene.volume, 0);
        door.sounds.clear();
        door.talking_in(0, "c1", "100");
        assert!(door.heard(Sound::Answer));
        assert_eq!(door.scene.volume, volume);
        door.command(Command::Volume { volume: 0, keep: true }).unwrap();
        assert_eq!(door.scene.volume, volume, "a command does not lower it while the sign plays");
        door.advance(3_000);
        assert_eq!(door.scene.volume, 0);
        // A card that comes late has not played the sign, so the sign is played again.
        door.input(Input::Audio(AudioEvent::Fault("unplugged".into())));
        door.sounds.clear();
        door.input(Input::Audio(AudioEvent::Ready));
        assert!(door.heard(Sound::Answer));
        assert_eq!(door.scene.volume, volume);
    }
    // The same holds if the station is the one that calls.
    let mut door = Door::online(&format!("[audio]\nvolume = 0\n{BELL}"));
    door.talking_call();
    assert_eq!(door.scene.volume, 30);
}

#[test]
fn an_offer_that_cannot_be_read_is_refused_and_not_taken_for_none() {
    for jsep in [r#"{"type":"offer"}"#, "7", r#"{"sdp":null}"#, r#""rubbish""#] {
        let mut door = Door::online("[[answer]]\naction = \"answer\"\n");
        frame(&mut door, &format!(r#"{{"event":"incoming_call","line":0,"call_id":"c1","caller":"1","jsep":{jsep}}}"#));
        assert!(door.last_media(|command| matches!(command, MediaCommand::Answer { .. })).is_some(), "{jsep}");
    }
}

#[test]
fn ends_are_read_whatever_their_code_looks_like() {
    for code in ["200", "\"200\"", "200.0", "null", "\"x\"", "[]"] {
        let mut door = Door::online(BELL);
        let request = door.talking_call();
        let call_id = request.call_id.unwrap();
        frame(&mut door, &format!(r#"{{"event":"hangup","line":0.0,"call_id":"{call_id}","code":{code},"reason":1}}"#));
        assert_eq!(door.states()[0], CallState::Idle, "{code}");
    }
}

#[test]
fn presence_and_dialogs_of_others_are_known_and_ignored_without_a_word() {
    let mut door = Door::online(BELL);
    let before = door.facts.len();
    frame(&mut door, r#"{"event":"number_presence_update","number":"100","presence_info":{"note":"away"}}"#);
    frame(&mut door, r#"{"event":"number_dialogs_update","number":"100","dialog_infos":[]}"#);
    assert_eq!(door.facts.len(), before);
    assert_eq!(door.station.status().session.counters.unknown_messages, 0);
}

#[test]
fn a_re_offer_that_overtakes_the_end_of_our_answer_is_answered() {
    let mut door = Door::online(ANSWER);
    door.incoming(0, "c1", "100");
    door.advance(500);
    door.take_one("accept");
    let offer = Some(Jsep::offer("v=0"));
    door.event(None, Some(Line(0)), Some("c1".into()), EventBody::UpdatingCall(invitation("100", offer)));
    door.take_one("update");
}

#[test]
fn a_call_for_no_line_is_taken_on_a_free_one() {
    let mut door = Door::online("[[answer]]\naction = \"answer\"\n");
    for line in ["null", "\"x\"", "-1", "[0]", "1000000000000"] {
        let offer = r#"{"type":"offer","sdp":"v=0"}"#;
        frame(
            &mut door,
            &format!(r#"{{"event":"incoming_call","line":{line},"call_id":"c{line}","caller":"100","jsep":{offer}}}"#)
                .replace("\"c\"x\"\"", "\"cx\"")
                .replace("\"c[0]\"", "\"c0\""),
        );
        let accept = door.take_one("accept");
        assert_eq!(accept.line, Some(Line(0)), "{line}");
        door.hung_up(&accept, 200);
    }
}

#[test]
fn a_call_without_an_id_is_reported_since_it_cannot_be_declined() {
    let mut door = Door::online("[[answer]]\naction = \"answer\"\n");
    for line in ["0", "null"] {
        let before = door.facts.len();
        frame(&mut door, &format!(r#"{{"event":"incoming_call","line":{line},"call_id":null,"caller":"100"}}"#));
        assert!(door.facts[before..].iter().any(|fact| fact.to_string().contains("without its call id")), "{line}");
    }
}

#[test]
fn a_newer_offer_takes_the_place_of_one_that_nobody_has_answered() {
    let mut door = Door::online(RING);
    door.incoming(0, "c1", "100");
    let newer = EventBody::UpdatingCall(invitation("100", Some(Jsep::offer("their newer offer"))));
    door.event(None, Some(Line(0)), Some("c1".into()), newer);
    door.command(Command::Answer { line: None }).unwrap();
    assert!(
        door.last_media(|command| *command == MediaCommand::Answer { offer: "their newer offer".into() }).is_some()
    );
}

#[test]
fn a_re_offer_is_answered_by_its_call_id_whatever_its_line() {
    let mut door = Door::online(ANSWER);
    door.talking_in(0, "c1", "100");
    let offer = || EventBody::UpdatingCall(invitation("100", Some(Jsep::offer("v=0"))));
    door.event(None, Some(Line(1)), Some("c1".into()), offer());
    assert_eq!(door.take_one("update").line, Some(Line(0)));
    door.event(None, Some(Line(1)), Some("nobody's".into()), offer());
    assert_eq!(door.take_one("hangup").call_id, Some("nobody's".into()));
}

#[test]
fn a_call_for_no_line_beside_another_takes_the_line_that_is_left() {
    let mut door = Door::online("[[answer]]\naction = \"answer\"\n[calls]\nsecond_call = \"mix\"\n");
    door.talking_in(0, "c1", "100");
    let offer = Some(Jsep::offer("v=0"));
    door.event(None, None, Some("c2".into()), EventBody::IncomingCall(invitation("101", offer)));
    assert_eq!(door.take_one("accept").line, Some(Line(1)));
}

#[test]
fn candidates_that_come_while_it_rings_are_added_when_the_call_is_answered() {
    let mut door = Door::online("[[answer]]\naction = \"answer\"\nafter_ms = 500\n");
    door.incoming(0, "in", "100");
    let candidate = |port: u16| Candidate {
        candidate: format!("candidate:1 1 udp 1 192.0.2.1 {port} typ relay").into(),
        sdp_mid: None,
        sdp_m_line_index: Some(0),
    };
    for port in 1..=1000 {
        let body = EventBody::IceTrickle { candidate: Trickle::Candidate(candidate(port)) };
        door.event(None, Some(Line(0)), Some("in".into()), body);
    }
    door.media.clear();
    door.advance(500);
    let commands: Vec<&MediaCommand> = door.media.iter().map(|(_, command)| command).collect();
    assert!(matches!(commands[0], MediaCommand::Answer { .. }), "{commands:?}");
    assert_eq!(
        commands[1..4],
        [1, 2, 3].map(|port| MediaCommand::AddCandidate(candidate(port))).iter().collect::<Vec<_>>()
    );
    assert!((32..64).contains(&commands.len()), "there is a bound: {}", commands.len());
}

#[test]
fn a_call_that_is_hung_up_while_its_answer_is_made_sends_no_candidates() {
    let mut door = Door::online("[[answer]]\nfrom = [\"100\"]\naction = \"answer\"\n");
    door.media_answers = false;
    door.incoming_with(0, "in", "sip:100@core.example.com", None);
    let media = door.media.last().expect("a peer connection").0;
    let candidate = Candidate {
        candidate: "candidate:1 1 udp 1 192.0.2.1 4000 typ host".into(),
        sdp_mid: Some("0".into()),
        sdp_m_line_index: Some(0),
    };
    door.input(Input::Media(media, MediaEvent::LocalCandidate(candidate)));
    door.command(Command::Hangup { line: None }).unwrap();
    let decline = door.take_one("decline");
    door.ack(&decline);
    door.event_of(&decline, EventBody::Declining { code: 486, refer_id: None });
    door.advance(100);
    assert!(door.take("ice_trickle").is_empty());
}
