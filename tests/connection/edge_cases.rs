use callbox::core::Line;
use std::time::Duration;

use callbox::control::{Controlled, Request};
use callbox::core::{CallState, SessionState};
use callbox::signaling::{ClientMessage, RequestBody};
use serde_json::json;

use crate::server::Server;
use crate::{Rig, press, registered, status, until};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
a=fingerprint:sha-256 12:34:56:78:9A:BC:DE:F0:12:34:56:78:9A:BC:DE:F0:12:34:56:78:9A:BC:DE:F0:12:34:56:78:9A:BC:DE:F0\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 96 0 8 101\r\nc=IN IP4 127.0.0.1\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=setup:actpass\r\n\
a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=0;minptime=20\r\n\
a=rtpmap:101 telephone-event/8000\r\n";

#[tokio::test]
async fn the_upgrade_names_sub_protocol_escaped_token_and_force() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "tenant = \"house 1\"");
    let session = server.session().await;
    assert_eq!(session.protocol, "webtrit-protocol");
    assert_eq!(
        session
            .target
            .trim_start_matches(|character| character != '/')
            .trim_start_matches("//")
            .trim_start_matches(|character| character != '/'),
        "/tenant/house%201/signaling/v1?token=secret%2Btoken%2Fwith%3Dspecials&force=true"
    );
    station.stop().await;
}

#[tokio::test]
async fn a_request_waits_for_the_state_and_not_for_the_socket() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "");
    let mut session = server.session().await;
    press(&station).await;
    session.silence(Duration::from_millis(300)).await;
    session.state(json!([null, null])).await;
    let call = session.request("outgoing_call").await;
    assert_eq!(call.line, Some(Line(0)));
    station.stop().await;
}

#[tokio::test]
async fn an_event_that_overtakes_its_ack_opens_the_trickle() {
    let rig = Rig::new();
    let (station, _server, mut session) = registered(&rig).await;
    press(&station).await;
    let call = session.request("outgoing_call").await;
    let RequestBody::OutgoingCall { jsep, number, .. } = &call.body else { panic!() };
    assert_eq!(number, "100");
    assert!(
        jsep.sdp.contains("m=audio") && jsep.sdp.contains("a=ice-options:trickle") && !jsep.sdp.contains("a=candidate")
    );
    session.silence(Duration::from_millis(200)).await;
    session.event(&call, json!({ "event": "calling" })).await;
    let first = session.next().await;
    assert!(
        matches!(&first, Some(ClientMessage::Request(request)) if request.body.kind().name() == "ice_trickle"),
        "{first:?}"
    );
    session.ack(&call).await;
    session.event(&call, json!({ "event": "hangup", "code": 486, "reason": "Busy Here" })).await;
    until(&station, "the end", |status| status.station.last_end.as_ref().is_some_and(|end| end.cause.code == 486))
        .await;
    station.stop().await;
}

#[tokio::test]
async fn an_offer_with_conflicting_opus_parameters_is_answered_with_opus_and_our_own() {
    let rig = Rig::new();
    let (station, _server, mut session) = registered(&rig).await;
    session
        .send(json!({ "event": "incoming_call", "line": 0, "call_id": "c1", "caller": "200", "callee": "door", "jsep": { "type": "offer", "sdp": OFFER } }))
        .await;
    let accept = session.request("accept").await;
    let RequestBody::Accept { jsep } = &accept.body else { panic!() };
    assert!(jsep.sdp.contains("m=audio"), "{}", jsep.sdp);
    assert!(jsep.sdp.contains("a=rtpmap:96 opus/48000/2"), "{}", jsep.sdp);
    assert!(jsep.sdp.contains("useinbandfec=1") && !jsep.sdp.contains("useinbandfec=0"), "{}", jsep.sdp);
    assert!(jsep.sdp.contains("a=setup:passive"), "{}", jsep.sdp);
    session.ack(&accept).await;
    session.event(&accept, json!({ "event": "accepted" })).await;
    until(&station, "the call", |status| status.station.lines[0].state == CallState::Established).await;
    station.stop().await;
}

#[tokio::test]
async fn a_hold_is_answered_with_the_direction_turned_and_a_resume_with_both() {
    let rig = Rig::new();
    let (station, _server, mut session) = registered(&rig).await;
    let offer = json!({ "type": "offer", "sdp": OFFER });
    let call = |event: &str, jsep: &serde_json::Value| json!({ "event": event, "line": 0, "call_id": "c1", "caller": "200", "callee": "door", "jsep": jsep });
    session.send(call("incoming_call", &offer)).await;
    let accept = session.request("accept").await;
    session.ack(&accept).await;
    session.event(&accept, json!({ "event": "accepted" })).await;
    for (theirs, ours, state) in [
        ("sendonly", "recvonly", CallState::Held),
        ("inactive", "inactive", CallState::Held),
        ("sendrecv", "sendrecv", CallState::Established),
    ] {
        let sdp = OFFER.replace("a=sendrecv", &format!("a={theirs}")).replace("o=- 1 1", "o=- 1 2");
        session.send(call("updating_call", &json!({ "type": "offer", "sdp": sdp }))).await;
        let update = session.request("update").await;
        session.ack(&update).await;
        let RequestBody::Update { jsep } = &update.body else { panic!() };
        assert!(jsep.sdp.contains(&format!("a={ours}\r\n")), "{theirs}: {}", jsep.sdp);
        until(&station, theirs, |status| status.station.lines[0].state == state).await;
    }
    station.stop().await;
}

#[tokio::test]
async fn an_offer_with_no_codec_of_ours_is_declined_and_the_station_lives() {
    let rig = Rig::new();
    let (station, _server, mut session) = registered(&rig).await;
    let sdp = OFFER.replace("96 0 8 101", "18").replace("a=rtpmap:96 opus/48000/2\r\n", "a=rtpmap:18 G729/8000\r\n");
    session
        .send(json!({ "event": "incoming_call", "line": 0, "call_id": "c1", "caller": "200", "callee": "door", "jsep": { "type": "offer", "sdp": sdp } }))
        .await;
    let end = session.next().await;
    assert!(
        matches!(&end, Some(ClientMessage::Request(request)) if matches!(request.body.kind().name(), "hangup" | "decline")),
        "{end:?}"
    );
    station.stop().await;
}

#[tokio::test]
async fn garbage_is_counted_and_the_connection_lives() {
    let rig = Rig::new();
    let (station, _server, mut session) = registered(&rig).await;
    for text in [
        "",
        "nonsense",
        "[]",
        "1",
        "{}",
        r#"{"event":"transfer"}"#,
        r#"{"event":"sunshine"}"#,
        r#"{"handshake":"hello"}"#,
        r#"{"event":"hangup","request":"hold"}"#,
    ] {
        session.send_text(text.to_owned()).await;
    }
    session.send_binary(vec![0xFF; 100]).await;
    let now = until(&station, "ten bad frames", |status| {
        let counters = &status.station.session.counters;
        counters.malformed_frames + counters.unknown_messages == 10
    })
    .await;
    assert_eq!(now.station.session.state, SessionState::Registered);
    press(&station).await;
    session.request("outgoing_call").await;
    station.stop().await;
}

#[tokio::test]
async fn an_oversized_frame_is_refused_and_the_session_comes_back() {
    let rig = Rig::new();
    let (station, server, mut session) = registered(&rig).await;
    session.try_send_text(format!("{{\"event\":\"{}\"}}", "x".repeat(300 * 1024))).await;
    let mut session = server.session().await;
    session.state(json!([null, null])).await;
    press(&station).await;
    session.request("outgoing_call").await;
    station.stop().await;
}

#[tokio::test]
async fn a_flood_of_events_is_survived_and_a_press_still_goes_out() {
    let rig = Rig::new();
    let (station, _server, mut session) = registered(&rig).await;
    for number in 0..20_000 {
        session
            .send_text(format!(r#"{{"event":"ice_slowlink","line":0,"media":"audio","uplink":true,"lost":{number}}}"#))
            .await;
    }
    press(&station).await;
    session.request("outgoing_call").await;
    station.stop().await;
}

#[tokio::test]
async fn a_dead_link_is_found_by_the_missing_echo() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "");
    let mut session = server.session().await;
    session.state_with(json!([null, null]), 1_000).await;
    let keepalive = session.next().await;
    assert!(matches!(keepalive, Some(ClientMessage::Keepalive { .. })));
    assert_eq!(session.close_code().await, Some(4502));
    server.session().await;
    station.stop().await;
}

#[tokio::test]
async fn a_hangup_made_offline_is_the_first_request_after_the_reconnect() {
    let rig = Rig::new();
    let (station, server, mut session) = registered(&rig).await;
    press(&station).await;
    let call = session.request("outgoing_call").await;
    session.ack(&call).await;
    session.event(&call, json!({ "event": "ringing" })).await;
    until(&station, "the far end to ring", |status| status.station.lines[0].state == CallState::Alerting).await;
    session.close(1011).await;
    until(&station, "the loss", |status| status.station.session.state != SessionState::Registered).await;
    station.handle.request(Request::Hangup { line: None }).await;
    let mut session = server.session().await;
    let log = json!([[2, { "event": "ringing" }], [1, { "event": "calling" }]]);
    session.state(json!([{ "call_id": call.call_id, "call_logs": log }, null])).await;
    let hangup = session.request("hangup").await;
    assert_eq!(hangup.call_id, call.call_id);
    station.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_a_fault_and_the_daemon_stays_up() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "");
    let session = server.session().await;
    session.close(4201).await;
    let now = until(&station, "the fault", |status| status.station.session.state == SessionState::Refused).await;
    assert!(now.station.session.reason.unwrap().contains("token"));
    station.stop().await;
}

#[tokio::test]
async fn retry_after_of_a_busy_server_is_honoured() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "");
    server.answer_http("503 Service Unavailable", "retry-after: 2\r\n", "").await;
    let start = tokio::time::Instant::now();
    server.session().await;
    let waited = start.elapsed();
    // Two seconds, and up to five more that spread the stations that got the same answer.
    assert!(waited >= Duration::from_millis(1900) && waited <= Duration::from_millis(8000), "{waited:?}");
    station.stop().await;
}

#[tokio::test]
async fn a_stop_hangs_up_before_it_closes() {
    let rig = Rig::new();
    let (station, _server, mut session) = registered(&rig).await;
    press(&station).await;
    let call = session.request("outgoing_call").await;
    session.ack(&call).await;
    session.event(&call, json!({ "event": "ringing" })).await;
    until(&station, "the far end to ring", |status| status.station.lines[0].state == CallState::Alerting).await;
    let stopping = tokio::spawn(station.stop());
    let hangup = session.request("hangup").await;
    session.ack(&hangup).await;
    session.event(&call, json!({ "event": "hangup", "code": 487, "reason": "cancelled" })).await;
    assert_eq!(session.close_code().await, Some(1000));
    stopping.await.unwrap();
}

#[tokio::test]
async fn the_token_is_in_no_status_and_no_event() {
    let rig = Rig::new();
    let (station, server, session) = registered(&rig).await;
    let mut events = station.handle.events();
    session.close(1011).await;
    drop(server);
    until(&station, "the loss", |status| status.station.session.state != SessionState::Registered).await;
    let refused = |reason: &String| reason.to_lowercase().contains("refused");
    until(&station, "an attempt to fail", |status| status.station.session.reason.as_ref().is_some_and(refused)).await;
    let mut text = serde_json::to_string(&status(&station).await).unwrap();
    while let Ok(event) = events.try_recv() {
        text.push_str(&serde_json::to_string(&event).unwrap());
    }
    assert!(text.contains("session"));
    assert!(!text.contains("secret") && !text.contains("specials"), "{text}");
    station.stop().await;
}
