use callbox::control::{Controlled, Reply, Request};
use callbox::core::Drive;
use serde_json::{Value, json};

use crate::http::send;
use crate::sandbox;
use crate::upgrade::upgrade;

const OPEN: &str = r#"{"request":"output","name":"strike","change":"pulse"}"#;

async fn strike(sandbox: &callbox::sandbox::Sandbox) -> Drive {
    match sandbox.station_handle().unwrap().request(Request::Status).await {
        Reply::Status(status) => status.station.outputs[0].drive,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_page_elsewhere_cannot_open_the_strike() {
    let sandbox = sandbox();
    let address = sandbox.address;
    let own = format!("host: {address}");
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"] {
        let answer = send(address, "POST /station/request", &[own.clone(), format!("origin: {origin}")], OPEN).await;
        assert_eq!(answer.status, 403, "{origin}");
        assert_eq!(strike(&sandbox).await, Drive::Off, "{origin}");
    }
    let answer = send(
        address,
        "POST /station/request",
        &["host: evil.example".into(), "origin: http://evil.example".into()],
        OPEN,
    )
    .await;
    assert_eq!(answer.status, 421, "a foreign name that resolves to our address");
    assert_eq!(strike(&sandbox).await, Drive::Off);
    let answer =
        send(address, "POST /station/request", &[own.clone(), format!("origin: http://{address}")], OPEN).await;
    assert_eq!((answer.status, strike(&sandbox).await), (200, Drive::On), "our own page can");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_form_of_another_page_cannot_open_the_strike_by_its_content_type() {
    let sandbox = sandbox();
    let address = sandbox.address;
    let mut headers = vec![format!("host: {address}")];
    headers.push("x: y".into());
    let request = format!(
        "POST /station/request HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{OPEN}",
        OPEN.len()
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 415"), "{text}");
    assert_eq!(strike(&sandbox).await, Drive::Off);
    sandbox.stop().await;
}

#[tokio::test]
async fn web_sockets_of_foreign_pages_and_names_are_refused() {
    let sandbox = sandbox();
    let address = sandbox.address;
    for path in ["/station/live", "/signaling/v1?token=x&force=true", "/tenant/t/signaling/v1?token=x"] {
        let protocol = "sec-websocket-protocol: webtrit-protocol".to_owned();
        let headers =
            |host: &str, origin: &str| vec![format!("host: {host}"), format!("origin: {origin}"), protocol.clone()];
        assert_eq!(upgrade(address, path, &headers(&address.to_string(), "http://evil.example")).await, 403, "{path}");
        assert_eq!(upgrade(address, path, &headers("evil.example", "http://evil.example")).await, 421, "{path}");
        let own = headers(&address.to_string(), &format!("http://{address}"));
        assert_eq!(upgrade(address, path, &own).await, 101, "{path}");
    }
    let headers = vec![format!("host: {address}")];
    assert_eq!(upgrade(address, "/signaling/v1?token=x", &headers).await, 400, "the sub-protocol is required");
    sandbox.stop().await;
}

#[tokio::test]
async fn wrong_passwords_are_refused_and_after_five_the_right_one_too() {
    let sandbox = sandbox();
    let address = sandbox.address;
    let log_in = async |login: &str, password: &str| {
        let body = json!({ "bundle_id": null, "type": "web", "identifier": "t", "login": login, "password": password });
        send(address, "POST /api/v1/session", &[format!("host: {address}")], &body.to_string()).await
    };
    let right = log_in("100", "callbox").await;
    assert_eq!(right.status, 200);
    let token = serde_json::from_str::<Value>(&right.body).unwrap()["token"].as_str().unwrap().to_owned();
    assert!(token.chars().all(|character| character.is_ascii_alphanumeric()));
    for _ in 0..5 {
        let wrong = log_in("101", "guess").await;
        assert_eq!(wrong.status, 401);
        assert!(wrong.body.contains("incorrect_credentials"));
    }
    let limited = log_in("101", "callbox").await;
    assert_eq!(limited.status, 429);
    assert!(limited.head.to_ascii_lowercase().contains("retry-after: "));
    sandbox.stop().await;
}

#[tokio::test]
async fn the_session_api_has_what_real_clients_need() {
    let sandbox = sandbox();
    let address = sandbox.address;
    let host = format!("host: {address}");
    let info = send(address, "GET /api/v1/system-info", std::slice::from_ref(&host), "").await;
    assert_eq!(info.status, 200);
    assert!(info.body.contains("passwordSignin"));
    let body = r#"{"bundle_id":null,"type":"linux","identifier":"t","login":"100","password":"callbox"}"#;
    let login = send(address, "POST /tenant/house/api/v1/session", std::slice::from_ref(&host), body).await;
    let token = serde_json::from_str::<Value>(&login.body).unwrap()["token"].as_str().unwrap().to_owned();
    let bearer = vec![host.clone(), format!("authorization: Bearer {token}")];
    let user = send(address, "GET /api/v1/user", &bearer, "").await;
    assert_eq!(serde_json::from_str::<Value>(&user.body).unwrap()["numbers"]["main"], "100");
    assert_eq!(send(address, "GET /api/v1/user/contacts", &bearer, "").await.body, r#"{"items":[]}"#);
    assert_eq!(send(address, "PATCH /api/v1/app/status", &bearer, "{}").await.status, 204);
    assert_eq!(send(address, "GET /api/v1/user/voicemails", &bearer, "").await.status, 501);
    assert_eq!(
        send(address, "GET /api/v1/user", &[host.clone(), "authorization: Bearer x".into()], "").await.status,
        401
    );
    assert_eq!(send(address, "DELETE /api/v1/session", &bearer, "").await.status, 204);
    assert_eq!(send(address, "GET /api/v1/user", &bearer, "").await.status, 401);
    sandbox.stop().await;
}

#[tokio::test]
async fn garbage_and_oversized_frames_of_a_phone_are_refused_and_the_server_lives() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let sandbox = sandbox();
    let address = sandbox.address;
    let body = r#"{"bundle_id":null,"type":"web","identifier":"t","login":"100","password":"callbox"}"#;
    let login = send(address, "POST /api/v1/session", &[format!("host: {address}")], body).await;
    let token = serde_json::from_str::<Value>(&login.body).unwrap()["token"].as_str().unwrap().to_owned();
    let connect = async || {
        let mut request =
            format!("ws://{address}/signaling/v1?token={token}&force=true").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "webtrit-protocol".parse().unwrap());
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio_tungstenite::client_async(request, stream).await.unwrap().0
    };
    let mut phone = connect().await;
    for text in ["x", "[]", "{}", r#"{"request":"dance"}"#, r#"{"request":"hangup","transaction":"transaction-1"}"#] {
        phone.send(Message::text(text)).await.unwrap();
    }
    phone.send(Message::text(r#"{"handshake":"keepalive","transaction":"transaction-9"}"#)).await.unwrap();
    let mut echoed = false;
    while let Some(Ok(message)) = phone.next().await {
        if message.to_text().is_ok_and(|text| text.contains("transaction-9")) {
            echoed = true;
            break;
        }
    }
    assert!(echoed, "the connection lives");
    let _ = phone.send(Message::text("y".repeat(65 * 1024))).await;
    while let Some(Ok(_)) = phone.next().await {}
    let mut phone = connect().await;
    let first = phone.next().await.unwrap().unwrap();
    assert!(first.to_text().unwrap().contains("registered"));
    for _ in 0..30 {
        phone.send(Message::text("x")).await.unwrap();
    }
    let mut code = None;
    while let Some(Ok(message)) = phone.next().await {
        if let Message::Close(Some(frame)) = message {
            code = Some(u16::from(frame.code));
        }
    }
    assert_eq!(code, Some(4501));
    connect().await;
    sandbox.stop().await;
}
