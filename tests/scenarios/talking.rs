use crate::door::*;
use std::time::Duration;

use callbox::config::{OutputIndex, Sound};
use callbox::core::*;
use callbox::signaling::*;

#[test]
fn a_talk_that_is_too_long_is_warned_of_and_ended() {
    let mut door = Door::online(&format!("{BELL}[calls]\nmax_talk_s = 60\n"));
    door.talking_call();
    door.sounds.clear();
    door.advance(49_900);
    assert!(!door.heard(Sound::TalkWarning));
    door.advance(200);
    assert_eq!(door.sounds, [(Sound::TalkWarning, true)]);
    door.advance(10_000);
    door.take_one("hangup");
}

#[test]
fn an_accepted_code_lengthens_the_talk_and_no_other_digit_does() {
    let lamp = "[[output]]\nname = \"light\"\nkind = \"relay\"\npin = 23\n\
                [[dtmf]]\ndigits = \"4711\"\nrun = { output = \"light\", pulse_ms = 500 }\n[calls]\nmax_talk_s = 60\n";
    let mut door = Door::online(&format!("{BELL}{lamp}"));
    door.talking_call();
    door.advance(55_000);
    door.digits("4711");
    door.sounds.clear();
    door.advance(49_000);
    assert!(door.take("hangup").is_empty());
    door.advance(2_000);
    assert!(door.heard(Sound::TalkWarning), "the warning is played again");
    // A talk lasts at most three times `max_talk_s`.
    door.digits("4711");
    door.advance(50_000);
    door.digits("4711");
    door.advance(23_000);
    assert!(door.take("hangup").is_empty());
    door.advance(2_000);
    door.take_one("hangup");
    // Digits that are not a code do not lengthen the talk, and neither does the code of somebody who may not use it.
    for (config, incoming) in
        [(format!("{BELL}{lamp}"), false), (format!("[[answer]]\naction = \"answer\"\n{lamp}"), true)]
    {
        let mut door = Door::online(&config);
        if incoming {
            door.talking_in(0, "c1", "100");
        } else {
            door.talking_call();
        }
        door.advance(40_000);
        door.digits(if incoming { "4711" } else { "1" });
        door.advance(21_000);
        door.take_one("hangup");
    }
}

#[test]
fn the_far_end_holds_and_takes_up_again() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    let update = |sdp: &str| EventBody::UpdatingCall(invitation("100", Some(Jsep::offer(sdp))));
    door.event(None, request.line, request.call_id.clone(), update("a=sendonly"));
    let answer = door.take_one("update");
    assert!(matches!(&answer.body, RequestBody::Update { jsep } if jsep.kind == JsepKind::Answer));
    assert_eq!(door.states()[0], CallState::Held);
    assert!(!door.microphone_is_open());
    door.event(None, request.line, request.call_id.clone(), update("a=sendrecv"));
    door.take_one("update");
    assert!(door.microphone_is_open());
}

#[test]
fn a_session_timer_without_description_changes_nothing() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    door.event(None, request.line, request.call_id, EventBody::UpdatingCall(invitation("100", None)));
    assert!(door.take("update").is_empty());
    assert!(door.microphone_is_open());
}

#[test]
fn the_station_holds_and_takes_up_again() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.command(Command::Hold).unwrap();
    door.take_one("hold");
    assert!(!door.microphone_is_open());
    assert_eq!(door.command(Command::Hold), Err(Refusal::NoCall("is up")));
    door.command(Command::Unhold).unwrap();
    door.take_one("unhold");
    assert!(door.microphone_is_open());
}

#[test]
fn a_hold_that_the_server_refuses_leaves_the_call_talking() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.command(Command::Hold).unwrap();
    let hold = door.take_one("hold");
    door.refuse(&hold, 447);
    assert!(door.microphone_is_open());
}

#[test]
fn a_far_end_that_asks_for_a_transfer_is_refused_and_the_call_goes_on() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    for refer_id in [ReferId::Number(7), ReferId::Text("x7".into())] {
        let transfer = EventBody::Transfer {
            refer_id: refer_id.clone(),
            refer_to: "0900123".into(),
            referred_by: None,
            replace_call_id: None,
        };
        door.event(None, request.line, None, transfer);
        let decline = door.take_one("decline");
        assert_eq!(decline.body, RequestBody::Decline { refer_id: Some(refer_id) });
        door.ack(&decline);
        assert_eq!(door.states()[0], CallState::Established);
        assert!(door.microphone_is_open());
    }
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn mute_closes_the_microphone_and_volume_is_bounded() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.command(Command::Mute { muted: true, keep: false }).unwrap();
    assert!(!door.microphone_is_open());
    door.command(Command::Mute { muted: false, keep: false }).unwrap();
    assert!(door.microphone_is_open());
    door.command(Command::Volume { volume: 200, keep: false }).unwrap();
    assert_eq!(door.scene.volume, 100);
}

#[test]
fn digits_go_to_the_call_that_is_up() {
    let mut door = Door::online(BELL);
    assert_eq!(door.command(Command::Dtmf("1".into())), Err(Refusal::NoCall("is up")));
    door.talking_call();
    assert_eq!(door.command(Command::Dtmf("1x".into())), Err(Refusal::BadDigits("1X".into())));
    door.command(Command::Dtmf("12#".into())).unwrap();
    assert_eq!(
        door.last_media(|command| matches!(command, MediaCommand::SendDigits(_))),
        Some(&MediaCommand::SendDigits("12#".into()))
    );
}

#[test]
fn the_server_reports_whether_it_hears_us() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    for receiving in [true, true, false] {
        let media = EventBody::IceMedia { kind: "audio".into(), receiving, mid: None };
        door.event(None, request.line, None, media);
    }
    let told: Vec<bool> = door
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::ServerHears { receiving, .. } => Some(*receiving),
            _ => None,
        })
        .collect();
    assert_eq!(told, [true, false], "one fact for each change");
}

#[test]
fn the_decline_of_a_transfer_that_the_server_refuses_leaves_the_call_alone() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    let transfer = EventBody::Transfer {
        refer_id: ReferId::Number(7),
        refer_to: "101".into(),
        referred_by: None,
        replace_call_id: None,
    };
    door.event(None, request.line, None, transfer);
    let decline = door.take_one("decline");
    door.refuse(&decline, 490);
    door.advance(11_000);
    assert!(door.microphone_is_open());
}

#[test]
fn after_454_nothing_more_is_sent_for_that_call() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.lose_media();
    let update = door.take_one("update");
    door.refuse(&update, 454);
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
    door.sent.clear();
    door.advance(15_000);
    assert!(door.take("update").is_empty() && door.take("hangup").is_empty());
}

#[test]
fn hanging_up_while_an_update_waits_for_its_turn_comes_to_rest() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.lose_media();
    let update = door.take_one("update");
    door.ack(&update);
    door.event_of(&update, EventBody::Error { code: 491, reason: "Request Pending".into() });
    door.command(Command::Hangup { line: None }).unwrap();
    // `Door::advance` fails if the core asks for the same moment again and again.
    door.advance(12_000);
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
}

#[test]
fn a_glare_with_media_that_is_back_needs_no_second_offer() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.lose_media();
    let update = door.take_one("update");
    door.ack(&update);
    door.event_of(&update, EventBody::Error { code: 491, reason: "Request Pending".into() });
    door.media_connected();
    for _ in 0..30 {
        door.advance(1_000);
        let media = door.scene.calls[0].media;
        door.input(Input::Media(media, MediaEvent::Received));
    }
    assert!(door.take("update").is_empty());
}

#[test]
fn a_volume_and_a_mute_end_with_the_call_they_were_made_in() {
    let mut door = Door::online(BELL);
    let first = door.talking_call();
    let lasting = Done::For(Lasting::UntilTheEndOfTheCall);
    assert_eq!(door.command(Command::Mute { muted: true, keep: false }), Ok(lasting));
    assert_eq!(door.command(Command::Volume { volume: 20, keep: false }), Ok(lasting));
    let audio = door.station.status().audio;
    assert_eq!((audio.volume, audio.muted), (20, true));
    assert_eq!(audio.volume_changed, Some(Lasting::UntilTheEndOfTheCall));
    door.hung_up(&first, 200);
    door.advance(2_000);
    let audio = door.station.status().audio;
    assert_eq!((audio.volume, audio.muted, audio.volume_changed, audio.mute_changed), (80, false, None, None));
    door.talking_call();
    assert!(door.microphone_is_open(), "the next visitor is heard");
}

#[test]
fn a_volume_without_a_call_lasts_a_minute_and_one_that_is_kept_lasts() {
    let mut door = Door::online(BELL);
    assert_eq!(door.command(Command::Volume { volume: 20, keep: false }), Ok(Done::For(Lasting::ForAMinute)));
    door.advance(59_000);
    assert_eq!(door.scene.volume, 20);
    door.advance(1_100);
    assert_eq!(door.scene.volume, 80);
    assert_eq!(door.command(Command::Volume { volume: 30, keep: true }), Ok(Done::For(Lasting::UntilToldOtherwise)));
    let call = door.talking_call();
    door.hung_up(&call, 200);
    door.advance(120_000);
    assert_eq!(door.scene.volume, 30);
    assert_eq!(door.station.status().audio.volume_changed, Some(Lasting::UntilToldOtherwise));
    door.command(Command::Volume { volume: 80, keep: false }).unwrap();
    assert_eq!(door.station.status().audio.volume_changed, None, "the configured volume is not a change");
}

#[test]
fn a_mute_of_a_rule_ends_with_the_call() {
    let mut door = Door::online(&format!("{BELL}[[dtmf]]\ndigits = \"12\"\nrun = {{ mute = true, volume = 10 }}\n"));
    let call = door.talking_call();
    // Until the answer tone has been played, the volume stays up.
    door.advance(3_000);
    door.digits("12");
    assert!(!door.microphone_is_open());
    assert_eq!(door.scene.volume, 10);
    door.hung_up(&call, 200);
    door.advance(2_000);
    door.talking_call();
    assert!(door.microphone_is_open());
    assert_eq!(door.scene.volume, 80);
}

#[test]
fn a_call_without_telephone_events_is_reported_if_codes_are_configured() {
    let code = "[[dtmf]]\ndigits = \"12\"\nrun = { hangup = \"all\" }\n";
    for (rest, told) in [(code.to_owned(), true), (format!("{code}in_band = true\n"), false), (String::new(), false)] {
        let mut door = Door::online(&format!("{BELL}{rest}"));
        door.talking_call();
        let media = door.scene.calls[0].media;
        for _ in 0..2 {
            door.input(Input::Media(media, MediaEvent::Negotiated { telephone_events: false }));
        }
        let facts = door.facts.iter().filter(|fact| matches!(fact, Fact::NoTelephoneEvents { .. })).count();
        assert_eq!(facts, usize::from(told), "{rest}");
        let call = door.station.status().lines[0].call.clone().unwrap();
        assert_eq!((call.telephone_events, call.codes_unreachable), (Some(false), told), "{rest}");
        door.input(Input::Media(media, MediaEvent::Negotiated { telephone_events: true }));
        assert!(!door.station.status().lines[0].call.as_ref().unwrap().codes_unreachable);
    }
}

#[test]
fn a_press_that_waits_and_a_pulse_that_is_cut_say_so() {
    let strike = "[[output]]\nname = \"strike\"\nkind = \"relay\"\npin = 23\nmax_on_ms = 2000\n";
    let mut door = Door::online(&format!("{BELL}{strike}"));
    let pulse = |ms| Command::Output { output: OutputIndex(0), change: OutputChange::Pulse(Duration::from_millis(ms)) };
    assert_eq!(door.command(pulse(1_000)), Ok(Done::Now));
    assert_eq!(door.command(pulse(60_000)), Ok(Done::OnFor(Duration::from_secs(2))));
    door.lose(1006);
    let press = Command::Press { button: ButtonIndex(0), gesture: Gesture::Press };
    assert_eq!(door.command(press.clone()), Ok(Done::Waits(Duration::from_secs(5))));
    let mut door = Door::online(BELL);
    door.lose(4201);
    assert!(matches!(door.command(press), Err(Refusal::NotRegistered(_))));
}
