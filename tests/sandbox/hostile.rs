//! Hostile clients: without a login, with a token that is for something else, or slower than any honest client.

use std::time::{Duration, Instant};

use callbox::sandbox::{Account, Sandbox};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::send;
use crate::{options, sandbox};

/// A sandbox that is known by a name, as behind a proxy, and whose station has an account with a password.
fn named() -> Sandbox {
    let mut options = options();
    options.host_names.push("door.example".into());
    options.accounts.push(Account { number: "door".into(), name: "Door".into(), password: "panel-password".into() });
    Sandbox::start(options).unwrap()
}

async fn session_token(sandbox: &Sandbox, login: &str, password: &str) -> String {
    let body =
        format!(r#"{{"bundle_id":null,"type":"linux","identifier":"t","login":"{login}","password":"{password}"}}"#);
    let host = format!("host: {}", sandbox.address);
    let answer = send(sandbox.address, "POST /api/v1/session", &[host], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str::<Value>(&answer.body).unwrap()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_panel_asks_for_a_login_on_loopback_once_the_server_has_a_name_or_real_pins() {
    let open = sandbox();
    let layout = async |sandbox: &Sandbox, more: &[String]| {
        let headers = [&[format!("host: {}", sandbox.address)], more].concat();
        send(sandbox.address, "GET /station/layout", &headers, "").await.status
    };
    assert_eq!(layout(&open, &[]).await, 200);
    open.stop().await;
    let closed = named();
    assert_eq!(layout(&closed, &[]).await, 401);
    let host = format!("host: {}", closed.address);
    let wrong = send(closed.address, "POST /station/login", std::slice::from_ref(&host), r#"{"password":"x"}"#).await;
    assert_eq!(wrong.status, 401);
    let right = send(closed.address, "POST /station/login", &[host], r#"{"password":"panel-password"}"#).await;
    assert_eq!(right.status, 204);
    let cookie = right
        .head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("set-cookie: ").map(|_| line[12..].to_owned()));
    let cookie = cookie.unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().unwrap().to_owned();
    assert_eq!(layout(&closed, &[format!("cookie: {pair}")]).await, 200);
    // A token is valid for one purpose only.
    let panel = pair.split('=').nth(1).unwrap();
    let host = format!("host: {}", closed.address);
    let bearer = [host.clone(), format!("authorization: Bearer {panel}")];
    assert_eq!(send(closed.address, "GET /api/v1/user", &bearer, "").await.status, 401);
    let session = session_token(&closed, "door", "panel-password").await;
    assert_eq!(layout(&closed, &[format!("cookie: callbox_panel={session}")]).await, 401);
    closed.stop().await;
    let mut real = options();
    let mut station = real.station.take().unwrap();
    station.gpio.backend = callbox::config::GpioBackend::Cdev;
    real.station = Some(station);
    let real = Sandbox::start(real).unwrap();
    assert_eq!(layout(&real, &[]).await, 401);
    real.stop().await;
}

#[tokio::test]
async fn many_logins_do_not_push_the_station_out() {
    use callbox::control::{Controlled, Reply, Request};
    let sandbox = named();
    for _ in 0..40 {
        session_token(&sandbox, "door", "panel-password").await;
    }
    let station = sandbox.station_handle().unwrap();
    for _ in 0..100 {
        let Reply::Status(status) = station.request(Request::Status).await else { panic!("no status") };
        if status.station.session.state == callbox::core::SessionState::Registered {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The station shows its token at every connection.
    let call = station.request(Request::Call { number: "100".into(), line: None }).await;
    assert_eq!(call, Reply::Ok(true));
    sandbox.stop().await;
}

#[tokio::test]
async fn a_frame_of_the_panel_has_64_kib_at_most() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
    let sandbox = sandbox();
    let stream = TcpStream::connect(sandbox.address).await.unwrap();
    let request = format!("ws://{}/station/live", sandbox.address).into_client_request().unwrap();
    let (mut page, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    page.send(Message::text("x".repeat(60 * 1024))).await.unwrap();
    loop {
        let frame = page.next().await.unwrap().unwrap();
        if frame.to_text().is_ok_and(|text| text.contains("not a request")) {
            break;
        }
    }
    let _ = page.send(Message::text("x".repeat(65 * 1024))).await;
    let end = async { while let Some(Ok(_)) = page.next().await {} };
    tokio::time::timeout(Duration::from_secs(5), end).await.expect("the connection is closed");
    sandbox.stop().await;
}

/// Sends `piece` again and again until the server closes the connection. Returns how long that took and what the
/// server sent.
async fn until_closed(mut stream: TcpStream, every: Duration, piece: &[u8]) -> (Duration, String) {
    let began = Instant::now();
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(0) | Err(_) => break,
                Ok(count) => text.extend_from_slice(&buffer[..count]),
            },
            () = tokio::time::sleep(every) => {
                if stream.write_all(piece).await.is_err() {
                    break;
                }
            }
        }
        assert!(began.elapsed() < Duration::from_secs(25), "the connection is never closed");
    }
    (began.elapsed(), String::from_utf8_lossy(&text).into_owned())
}

/// Heads and bodies arrive in small pieces, each piece soon enough for the client to look alive.
#[tokio::test]
async fn whoever_is_slower_than_anybody_is_is_cut_off() {
    let sandbox = sandbox();
    let address = sandbox.address;
    let open = async |text: String| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    };
    let drop_by_drop = Duration::from_millis(500);
    let head = open("GET /api/v1/system-info HTTP/1.1\r\n".into()).await;
    let second_head =
        open(format!("GET /api/v1/system-info HTTP/1.1\r\nhost: {address}\r\n\r\nGET /x HTTP/1.1\r\n")).await;
    let body = open(format!(
        "POST /api/v1/session HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    ))
    .await;
    let disguised = open(format!(
        "POST /api/v1/session HTTP/1.1\r\nhost: {address}\r\nupgrade: x\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    ))
    .await;
    let ((first, _), (second, answered), (third, refused), (fourth, _)) = tokio::join!(
        until_closed(head, drop_by_drop, b"x: y\r\n"),
        until_closed(second_head, drop_by_drop, b"x: y\r\n"),
        until_closed(body, drop_by_drop, b" "),
        until_closed(disguised, drop_by_drop, b" "),
    );
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    assert!(refused.starts_with("HTTP/1.1 408"), "{refused}");
    for time in [first, second, third, fourth] {
        assert!((9..21).contains(&time.as_secs()), "{time:?}");
    }
    sandbox.stop().await;
}
