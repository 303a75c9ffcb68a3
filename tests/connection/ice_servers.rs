//! The STUN and TURN servers that the server hands out.

use callbox::control::FullStatus;
use callbox::core::{IceServerSource, IceServersStatus};
use callbox::station::RunningStation;

use crate::server::{Server, Session};
use crate::{Rig, until};

/// A registered station whose server gives this answer to the question for STUN and TURN servers.
async fn told(rig: &Rig, list: &str) -> (RunningStation, Server, Session) {
    let mut server = Server::start(&rig.authority).await;
    server.ice_servers = Some(list.to_owned());
    let station = rig.station(server.port, "");
    let mut session = server.session().await;
    session.state(serde_json::json!([null, null])).await;
    (station, server, session)
}

/// The status of STUN and TURN servers, as soon as it fits. Meanwhile the server answers.
async fn status(
    station: &RunningStation,
    server: &Server,
    what: &str,
    fits: impl Fn(&IceServersStatus) -> bool,
) -> IceServersStatus {
    let told = |status: &FullStatus| fits(&status.station.ice_servers);
    tokio::select! {
        status = until(station, what, told) => status.station.ice_servers,
        () = server.answer_ice_servers() => unreachable!(),
    }
}

#[tokio::test]
async fn they_are_asked_for_with_the_token_and_counted_by_kind() {
    let rig = Rig::new();
    let list = r#"{"ttl":43200,"ice_servers":[{"urls":"stun:h"},
        {"urls":["turn:h","turn:h?transport=tcp","turns:h:443"],"username":"1:a \"b\"","credential":"it's secret"}]}"#;
    let (station, server, _session) = told(&rig, list).await;
    let status = status(&station, &server, "the servers", |status| status.counts.stun == 1).await;
    assert_eq!((status.counts.turn_udp, status.counts.turn_tcp, status.counts.turn_tls), (1, 1, 1));
    assert_eq!(status.source, IceServerSource::Server);
    assert!(status.until.is_some_and(|until| until.ends_with('Z')));
    station.stop().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_a_fault_with_a_sentence() {
    for list in ["<html>302</html>", "{}", r#"{"ice_servers":"many"}"#, ""] {
        let rig = Rig::new();
        let (station, server, _session) = told(&rig, list).await;
        let status = status(&station, &server, "the fault", |status| status.fault.is_some()).await;
        let fault = status.fault.unwrap();
        assert!(fault.contains("127.0.0.1") && fault.ends_with("cannot be read"), "{fault}");
        station.stop().await;
    }
}

#[tokio::test]
async fn a_thousand_servers_of_any_kind_leave_few() {
    let rig = Rig::new();
    let entries: Vec<String> =
        (0..1000).map(|index| format!(r#"{{"urls":["stun:h{index}","gopher:{index}",7]}}"#)).collect();
    let (station, server, _session) = told(&rig, &format!(r#"{{"ice_servers":[{}]}}"#, entries.join(","))).await;
    let status = status(&station, &server, "the servers", |status| status.counts.stun > 0).await;
    assert_eq!((status.counts.stun, status.until), (4, None));
    station.stop().await;
}

#[tokio::test]
async fn a_short_life_is_renewed_at_its_half() {
    let rig = Rig::new();
    let (station, mut server, _session) = told(&rig, r#"{"ttl":4,"ice_servers":[{"urls":"stun:h"}]}"#).await;
    status(&station, &server, "the first servers", |status| status.counts.stun == 1).await;
    server.ice_servers = Some(r#"{"ttl":4,"ice_servers":[{"urls":["stun:h","stun:i"]}]}"#.into());
    status(&station, &server, "the next ones", |status| status.counts.stun == 2).await;
    station.stop().await;
}

#[tokio::test]
async fn a_server_in_trouble_does_not_take_its_servers_away() {
    for trouble in ["503 Service Unavailable", "200 OK"] {
        let rig = Rig::new();
        let (station, mut server, _session) =
            told(&rig, r#"{"ttl":4,"ice_servers":[{"urls":"stun:127.0.0.1"}]}"#).await;
        status(&station, &server, "the servers", |status| status.counts.stun == 1).await;
        server.trouble = Some(trouble);
        let kept = status(&station, &server, "the fault", |status| status.fault.is_some()).await;
        assert_eq!(kept.counts.stun, 1, "the last known ones serve: {kept:?}");
        server.trouble = None;
        status(&station, &server, "the end of the fault", |status| status.fault.is_none()).await;
        station.stop().await;
    }
}
