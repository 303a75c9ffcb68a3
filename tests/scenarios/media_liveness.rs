//! Media liveness: a call whose media fails is repaired in steps, or ends with a cause.

use crate::door::*;
use callbox::core::*;
use callbox::signaling::*;

/// The peer connection of the call in the scene.
fn media(door: &Door) -> MediaId {
    door.scene.calls[0].media
}

fn received(door: &mut Door) {
    let media = media(door);
    door.input(Input::Media(media, MediaEvent::Received));
}

/// Lets time pass with sound from the far end.
fn talk(door: &mut Door, seconds: u64) {
    for _ in 0..seconds {
        door.advance(1000);
        received(door);
    }
}

fn repairs(door: &Door) -> Vec<(RepairStep, RepairOutcome)> {
    let found = door.facts.iter().filter_map(|fact| match fact {
        Fact::Repair { step, outcome, .. } => Some((*step, *outcome)),
        _ => None,
    });
    found.collect()
}

/// The server accepts every update that was sent, but media does not come back. Returns the number of updates.
fn take_updates(door: &mut Door) -> usize {
    let updates = door.take("update");
    for update in &updates {
        door.ack(update);
        door.event_of(update, accepted());
    }
    updates.len()
}

/// Both repair steps fail: the ICE restart after 5 s, the new peer connection after 8 s.
fn no_repair_helps(door: &mut Door) {
    for patience_ms in [5_000, 8_000] {
        assert_ne!(take_updates(door), 0);
        door.advance(patience_ms - 100);
        assert!(door.take("hangup").is_empty());
        door.advance(200);
    }
}

#[test]
fn a_call_that_loses_its_media_is_repaired_by_an_ice_restart_first() {
    let mut door = Door::online(BELL);
    door.talking_call();
    talk(&mut door, 3);
    door.lose_media();
    let update = door.take_one("update");
    assert!(matches!(update.body, RequestBody::Update { jsep } if jsep.sdp == "our next offer"));
    assert_eq!(repairs(&door), [(RepairStep::IceRestart, RepairOutcome::Started)]);
    let status = door.station.status();
    assert_eq!(status.lines[0].call.as_ref().unwrap().repairing, Some(RepairStep::IceRestart));
    door.media_connected();
    assert_eq!(repairs(&door)[1], (RepairStep::IceRestart, RepairOutcome::Worked));
    talk(&mut door, 60);
    assert!(door.take("hangup").is_empty());
    assert_eq!(repairs(&door).len(), 2);
}

#[test]
fn the_second_step_is_a_new_peer_connection_and_the_old_one_is_closed() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let old = media(&door);
    door.lose_media();
    take_updates(&mut door);
    door.advance(4_900);
    assert_eq!(media(&door), old);
    door.advance(200);
    let new = media(&door);
    assert_ne!(new, old);
    assert!(door.media.contains(&(old, MediaCommand::Close)));
    let update = door.take_one("update");
    assert!(matches!(&update.body, RequestBody::Update { jsep } if jsep.sdp == "our offer"));
    door.ack(&update);
    door.event_of(&update, accepted());
    door.input(Input::Media(new, MediaEvent::Connected));
    assert_eq!(repairs(&door).last(), Some(&(RepairStep::NewPeerConnection, RepairOutcome::Worked)));
    talk(&mut door, 60);
    assert!(door.take("hangup").is_empty());
}

#[test]
fn a_repair_whose_answer_took_long_has_its_time_from_then_and_not_for_ever() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let old = media(&door);
    door.lose_media();
    let update = door.take_one("update");
    door.ack(&update);
    // A bad network: the answer arrives when the step is nearly over, so ICE starts only now.
    door.advance(4_500);
    let answer = Jsep { kind: JsepKind::Answer, sdp: "late".into() };
    door.event_of(&update, EventBody::Accepted { jsep: Some(answer), callee: None, is_focus: None });
    door.advance(4_900);
    assert_eq!(media(&door), old);
    door.advance(200);
    assert_ne!(media(&door), old, "the next step begins");
    // A far end that sends one offer after another does not keep a dead call alive.
    let mut waited = 0;
    while door.take("hangup").is_empty() {
        door.input(Input::Media(media(&door), MediaEvent::LocalAnswer { sdp: "again".into(), far_end_holds: false }));
        door.advance(1_000);
        waited += 1;
        assert!(waited < 30, "the dead call stays for ever");
    }
}

#[test]
fn an_update_that_the_server_refuses_leads_to_the_next_step_at_once() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let old = media(&door);
    door.lose_media();
    let update = door.take_one("update");
    door.refuse(&update, 447);
    assert_ne!(media(&door), old, "no time is lost");
    door.take_one("update");
}

#[test]
fn an_outgoing_call_that_cannot_be_repaired_is_dialled_once_more_and_then_ends() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.lose_media();
    no_repair_helps(&mut door);
    let hangup = door.take_one("hangup");
    assert_eq!(door.cause(), None, "the hangup is still pending");
    let again = door.take_one("outgoing_call");
    assert_ne!(again.call_id, hangup.call_id);
    assert!(matches!(&again.body, RequestBody::OutgoingCall { number, .. } if number == "100"));
    door.ack(&hangup);
    door.event_of(&hangup, EventBody::Hangup { code: 200, reason: "to BYE".into() });
    assert_eq!(door.cause().unwrap().0, 408);
    door.ack(&again);
    // The second call is answered, but it has no media either: there is no third call.
    door.event_of(&again, accepted());
    door.advance(5_100);
    no_repair_helps(&mut door);
    door.take_one("hangup");
    door.advance(60_000);
    assert!(door.take("outgoing_call").is_empty());
    assert_eq!(door.states(), [CallState::Idle, CallState::Idle]);
}

#[test]
fn the_redial_waits_for_the_line_of_the_call_that_it_replaces() {
    let mut door = Door::online(&format!("lines = 1\n{BELL}"));
    door.talking_call();
    door.lose_media();
    no_repair_helps(&mut door);
    let hangup = door.take_one("hangup");
    assert!(door.take("outgoing_call").is_empty());
    door.ack(&hangup);
    door.event_of(&hangup, EventBody::Hangup { code: 200, reason: "to BYE".into() });
    door.advance(1_600);
    door.take_one("outgoing_call");
}

#[test]
fn an_incoming_call_that_cannot_be_repaired_ends_with_its_cause() {
    let mut door = Door::online("[[answer]]\nfrom = [\"100\"]\naction = \"answer\"\n");
    door.talking_in(0, "in", "100");
    door.lose_media();
    no_repair_helps(&mut door);
    let hangup = door.take_one("hangup");
    door.hung_up(&hangup, 200);
    let (code, message) = door.cause().unwrap();
    assert_eq!(code, 408);
    assert!(message.contains("no media"), "{message}");
    assert!(door.heard(callbox::config::Sound::NoConnection));
}

#[test]
fn a_call_that_never_gets_media_is_repaired_after_five_seconds() {
    let mut door = Door::online(BELL);
    let request = door.ringing_call();
    door.event_of(&request, accepted());
    door.advance(4_900);
    assert!(door.take("update").is_empty());
    door.advance(200);
    door.take_one("update");
}

#[test]
fn a_silent_far_end_is_asked_once_and_never_hung_up() {
    let mut door = Door::online(BELL);
    door.talking_call();
    talk(&mut door, 10);
    door.advance(4_900);
    assert!(door.take("update").is_empty());
    door.advance(200);
    let update = door.take_one("update");
    door.ack(&update);
    door.event_of(&update, accepted());
    assert_eq!(door.station.status().lines[0].call.as_ref().unwrap().silent, Some(MissingSound::Downlink));
    door.advance(60_000);
    assert!(door.take("hangup").is_empty());
    assert!(door.take("update").is_empty(), "there is only one update");
    received(&mut door);
    assert_eq!(door.station.status().lines[0].call.as_ref().unwrap().silent, None);
    door.advance(20_000);
    assert!(door.take("update").is_empty(), "there is only one update in each call");
    let told = door.facts.iter().filter(|fact| matches!(fact, Fact::Silence { .. })).count();
    assert_eq!(told, 3, "silent, heard, silent");
}

#[test]
fn the_server_reports_which_direction_is_missing() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    let hears = |receiving| EventBody::IceMedia { mid: None, kind: "audio".into(), receiving };
    door.event(None, request.line, None, hears(false));
    talk(&mut door, 6);
    let silent = |door: &Door| door.station.status().lines[0].call.as_ref().unwrap().silent;
    assert_eq!(silent(&door), Some(MissingSound::Uplink));
    door.event(None, request.line, None, hears(true));
    assert_eq!(silent(&door), None);
}

#[test]
fn the_silence_of_a_call_on_hold_proves_nothing() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.command(Command::Hold).unwrap();
    let hold = door.take_one("hold");
    door.ack(&hold);
    door.advance(60_000);
    let held: Vec<MediaId> = door.media.iter().map(|(media, _)| *media).collect();
    door.input(Input::Media(held[0], MediaEvent::Disconnected));
    door.advance(9_900);
    assert!(door.take("update").is_empty());
    door.command(Command::Unhold).unwrap();
    door.advance(5_100);
    door.take_one("update");
}

#[test]
fn a_call_on_hold_whose_far_end_is_gone_does_not_stay_for_ever() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    door.command(Command::Hold).unwrap();
    let hold = door.take_one("hold");
    door.ack(&hold);
    door.lose_media_of_all();
    door.advance(10_100);
    // The far end's hangup was lost: the server's 454 reveals it now.
    let update = door.take_one("update");
    door.refuse(&update, 454);
    assert_eq!(door.states()[0], CallState::Idle);
    assert_eq!(update.call_id, request.call_id);
}

#[test]
fn a_call_whose_media_goes_with_the_session_waits_a_minute_for_both() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.lose(1006);
    door.lose_media();
    door.advance(20_000);
    assert_eq!(door.states()[0], CallState::Established);
    let call_id = door.station.status().lines[0].call.as_ref().unwrap().call_id.clone();
    door.reopen();
    door.state(vec![busy(&call_id, vec![accepted()]), None]);
    door.take_one("update");

    let mut door = Door::online(BELL);
    door.talking_call();
    door.lose(1006);
    door.lose_media();
    door.advance(61_000);
    assert_eq!(door.states()[0], CallState::Idle);
    assert_eq!(door.cause().unwrap().0, 408);
}

#[test]
fn two_updates_that_meet_give_the_repair_more_time() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let old = media(&door);
    door.lose_media();
    let update = door.take_one("update");
    door.ack(&update);
    door.event_of(&update, EventBody::Error { code: 491, reason: "Request Pending".into() });
    door.advance(2_000);
    let mut waited = 2_000;
    while door.take("update").is_empty() {
        door.advance(100);
        waited += 100;
    }
    assert!(waited <= 9_100);
    door.advance(4_800);
    assert_eq!(media(&door), old, "the time of the step begins at the retry");
    door.advance(300);
    assert_ne!(media(&door), old);
}

#[test]
fn a_peer_connection_that_breaks_in_a_call_is_replaced() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let old = media(&door);
    door.input(Input::Media(old, MediaEvent::Failed("broken".into())));
    assert_ne!(media(&door), old);
    assert!(door.take("hangup").is_empty());
}

#[test]
fn a_repair_that_the_loss_of_the_session_interrupted_begins_again() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    door.lose_media();
    door.take_one("update");
    door.lose(1006);
    door.reopen();
    let call_id = request.call_id.unwrap();
    door.state(vec![busy(&call_id.0, vec![accepted()]), None]);
    door.take_one("update");
}

#[test]
fn an_offer_of_the_far_end_that_went_down_with_the_socket_is_answered_after_the_reconnect() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    let call_id = request.call_id.unwrap();
    door.lose(1006);
    door.lose_media();
    let reoffer = EventBody::UpdatingCall(invitation("100", Some(Jsep::offer("their next offer"))));
    door.reopen();
    door.state(vec![busy(&call_id.0, vec![reoffer, accepted()]), None]);
    // Their offer is answered, and that is all: an offer of ours would cross theirs.
    let update = door.take_one("update");
    assert!(matches!(update.body, RequestBody::Update { jsep } if jsep.kind == JsepKind::Answer));
    door.media_connected();
    door.advance(30_000);
    assert!(
        door.take("update")
            .iter()
            .all(|update| !matches!(&update.body, RequestBody::Update { jsep } if jsep.sdp == "our next offer"))
    );
    assert!(door.take("hangup").is_empty());
}

#[test]
fn an_offer_that_was_answered_before_the_loss_is_not_answered_again() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    let call_id = request.call_id.unwrap();
    door.lose(1006);
    door.reopen();
    let reoffer = EventBody::UpdatingCall(invitation("100", Some(Jsep::offer("their next offer"))));
    door.state(vec![busy(&call_id.0, vec![EventBody::Updated { jsep: None }, reoffer, accepted()]), None]);
    assert!(door.take("update").is_empty());
}

#[test]
fn updates_that_meet_again_and_again_lead_to_the_next_step() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let old = media(&door);
    door.lose_media();
    let mut refused = 0;
    while media(&door) == old {
        for update in door.take("update") {
            door.ack(&update);
            door.event_of(&update, EventBody::Error { code: 491, reason: "Request Pending".into() });
            refused += 1;
        }
        door.advance(500);
        assert!(refused < 10, "the repair never reaches the next step");
    }
    assert_eq!(refused, 3);
}

#[test]
fn a_call_without_media_is_not_dialled_again_beside_one_that_is_up() {
    let mut door = Door::online(&format!("{BELL}[calls]\nsecond_call = \"mix\"\n"));
    door.talking_call();
    let dead = media(&door);
    door.command(Command::Call { number: "101".into(), line: None }).unwrap();
    let other = door.take_one("outgoing_call");
    door.ack(&other);
    door.answered(&other);
    door.input(Input::Media(dead, MediaEvent::Disconnected));
    no_repair_helps(&mut door);
    door.take_one("hangup");
    assert!(door.take("outgoing_call").is_empty());
}

#[test]
fn a_re_offer_that_cannot_be_answered_ends_the_call_with_its_cause_and_not_in_silence() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let message = "the far end wants plain RTP, without encryption (RTP/AVP)";
    door.input(Input::Media(media(&door), MediaEvent::Refused { code: 488, message: message.into() }));
    let hangup = door.take_one("hangup");
    door.ack(&hangup);
    door.hung_up(&hangup, 200);
    let end = door.station.status().last_end.unwrap();
    assert_eq!((end.cause.code, end.cause.text.as_str()), (488, message));
}

#[test]
fn a_late_response_to_an_older_update_does_not_fail_the_step_in_progress() {
    let mut door = Door::online(BELL);
    door.talking_call();
    door.lose_media();
    let first = door.take_one("update");
    door.advance(5_100);
    door.take_one("update");
    door.refuse(&first, 447);
    assert!(door.take("hangup").is_empty());
    assert_eq!(door.station.status().lines[0].call.as_ref().unwrap().repairing, Some(RepairStep::NewPeerConnection));
}

#[test]
fn a_silent_call_is_asked_about_as_soon_as_there_is_a_session() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    let call_id = request.call_id.unwrap();
    door.lose(1006);
    door.advance(6_000);
    door.reopen();
    door.state(vec![busy(&call_id.0, vec![accepted()]), None]);
    door.advance(6_000);
    door.take_one("update");
    door.advance(60_000);
    assert!(door.take("update").is_empty());
}

#[test]
fn a_far_end_that_closes_dtls_and_hangs_up_ends_the_call_without_a_repair() {
    let mut door = Door::online(BELL);
    let request = door.talking_call();
    let dead = media(&door);
    door.input(Input::Media(dead, MediaEvent::Closed));
    assert!(!door.station.status().lines[0].call.as_ref().unwrap().media_connected);
    door.advance(900);
    door.event_of(&request, EventBody::Hangup { code: 200, reason: "bye".into() });
    door.advance(10_000);
    assert_eq!(repairs(&door), []);
    assert!(door.take("update").is_empty() && door.take("outgoing_call").is_empty());
}

#[test]
fn a_call_whose_dtls_was_closed_gets_a_new_peer_connection() {
    let mut door = Door::online(BELL);
    door.talking_call();
    let dead = media(&door);
    door.input(Input::Media(dead, MediaEvent::Closed));
    door.advance(1_100);
    assert_eq!(repairs(&door), [(RepairStep::NewPeerConnection, RepairOutcome::Started)]);
    assert_ne!(take_updates(&mut door), 0);
    let fresh = media(&door);
    assert_ne!(fresh, dead);
    door.input(Input::Media(fresh, MediaEvent::Connected));
    assert_eq!(repairs(&door).last(), Some(&(RepairStep::NewPeerConnection, RepairOutcome::Worked)));
    // A peer connection that is closed again does not count as repaired, whatever ICE reports.
    door.input(Input::Media(fresh, MediaEvent::Closed));
    door.advance(1_100);
    assert_eq!(repairs(&door).len(), 3);
}
