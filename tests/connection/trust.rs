use callbox::core::SessionState;
use serde_json::json;

use crate::server::{Authority, Server};
use crate::{Rig, mode_of, status, until};

#[tokio::test]
async fn an_untrusted_certificate_is_named_and_the_session_comes_up_once_it_is_mended() {
    let rig = Rig::new();
    let stranger = Authority::new();
    let server = Server::start(&stranger).await;
    let station = rig.station(server.port, "");
    server.refuse_tls().await;
    let now = until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    let reason = now.station.session.reason.unwrap();
    assert!(reason.contains("unknown CA") && reason.contains("core.ca_file"), "{reason}");
    let port = server.port;
    drop(server);
    let server = Server::start_with(&rig.authority, port, false).await;
    let mut session = server.session().await;
    session.state(json!([null, null])).await;
    until(&station, "registration", |status| status.station.session.state == SessionState::Registered).await;
    station.stop().await;
}

#[tokio::test]
async fn the_platforms_roots_do_not_trust_a_ca_of_our_own() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let station = rig.station_with(server.port, "", "");
    server.refuse_tls().await;
    assert_ne!(status(&station).await.station.session.state, SessionState::Registered);
    station.stop().await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let rig = Rig::new();
    let (certificate, key) = rig.authority.issue("door-1");
    rig.write("client.pem", &certificate);
    rig.write("client-key.pem", &key);
    let server = Server::start_with(&rig.authority, 0, true).await;
    let station = rig.station(server.port, "client_cert_file = \"client.pem\"\nclient_key_file = \"client-key.pem\"");
    server.session().await;
    station.stop().await;
}

#[tokio::test]
async fn without_its_client_certificate_a_station_is_refused_and_says_so() {
    let rig = Rig::new();
    let server = Server::start_with(&rig.authority, 0, true).await;
    let station = rig.station(server.port, "");
    server.refuse_tls().await;
    until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    station.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_and_found_when_it_comes() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let port = server.port;
    drop(server);
    let station = rig.station(port, "");
    let now = until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    assert!(now.station.session.reason.unwrap().contains(&port.to_string()));
    let server = Server::start_with(&rig.authority, port, false).await;
    server.session().await;
    station.stop().await;
}

#[tokio::test]
async fn a_web_server_that_is_no_core_server_is_said_to_be_none() {
    let rig = Rig::new();
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "");
    server.answer_http("200 OK", "", "<h1>hello</h1>").await;
    let now = until(&station, "the reason", |status| status.station.session.reason.is_some()).await;
    assert!(now.station.session.reason.unwrap().contains("HTTP 200"));
    station.stop().await;
}

#[tokio::test]
async fn a_login_gets_a_token_that_is_kept_and_renewed_when_it_is_refused() {
    let rig = Rig::new();
    rig.write("password", "open sesame\n");
    std::fs::create_dir(rig.folder.path().join("state")).unwrap();
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "login = \"door\"\npassword_file = \"password\"");
    let (head, body) = server.answer_http("200 OK", "content-type: application/json\r\n", r#"{"token":"first"}"#).await;
    assert!(head.starts_with("POST /api/v1/session "), "{head}");
    assert_eq!(
        body,
        json!({ "bundle_id": null, "type": "linux", "identifier": "test-device", "login": "door", "password": "open sesame" })
    );
    let session = server.session().await;
    assert!(session.target.contains("token=first"));
    let kept = rig.path("state/token");
    assert_eq!(std::fs::read_to_string(&kept).unwrap().trim(), "first");
    assert_eq!(mode_of(&kept), 0o600);
    let mut session = session;
    session.state(json!([null, null])).await;
    until(&station, "registration", |status| status.station.session.state == SessionState::Registered).await;
    session.close(4201).await;
    server.answer_http("200 OK", "", r#"{"token":"second"}"#).await;
    let session = server.session().await;
    assert!(session.target.contains("token=second"));
    station.stop().await;
}

#[tokio::test]
async fn a_refused_login_is_a_fault_in_the_servers_words() {
    let rig = Rig::new();
    rig.write("password", "wrong");
    let server = Server::start(&rig.authority).await;
    let station = rig.station(server.port, "login = \"door\"\npassword_file = \"password\"");
    server.answer_http("401 Unauthorized", "", r#"{"code":"incorrect_credentials"}"#).await;
    let now = until(&station, "the fault", |status| status.station.session.state == SessionState::Refused).await;
    assert!(now.station.session.reason.unwrap().contains("incorrect_credentials"));
    station.stop().await;
}
