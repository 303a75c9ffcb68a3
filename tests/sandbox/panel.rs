//! The front panel's socket: presses of its bell.

use std::time::Duration;

use callbox::control::{Controlled, Reply, Request};
use callbox::core::{Fact, Gesture};
use callbox::sandbox::Sandbox;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::sandbox;

type Page = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn page(sandbox: &Sandbox) -> Page {
    let address = sandbox.address;
    connect_async(format!("ws://{address}/station/live")).await.unwrap().0
}

fn bell(active: bool) -> Message {
    Message::text(json!({ "request": "input", "name": "bell", "active": active }).to_string())
}

async fn is_down(sandbox: &Sandbox) -> bool {
    match sandbox.station_handle().unwrap().request(Request::Status).await {
        Reply::Status(status) => status.station.buttons.iter().any(|button| button.name == "bell" && button.active),
        other => panic!("{other:?}"),
    }
}

async fn until(what: &str, sandbox: &Sandbox, down: bool) {
    for _ in 0..500 {
        if is_down(sandbox).await == down {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited for: {what}");
}

#[tokio::test]
async fn clicks_of_no_length_are_presses_in_their_order() {
    let sandbox = sandbox();
    let mut events = sandbox.station_handle().unwrap().events();
    let mut page = page(&sandbox).await;
    // Down and up are sent without a pause, 20 times.
    for _ in 0..20 {
        page.feed(bell(true)).await.unwrap();
        page.feed(bell(false)).await.unwrap();
    }
    page.flush().await.unwrap();
    let mut presses = 0;
    while presses < 20 {
        let event = timeout(Duration::from_secs(20), events.recv()).await.expect("twenty presses").unwrap();
        match event.fact {
            Fact::Press { gesture, .. } => {
                assert_eq!(gesture, Gesture::Press);
                presses += 1;
            }
            Fact::Pin { fault: Some(fault), .. } => panic!("{fault}"),
            _ => {}
        }
    }
    until("the bell to be up", &sandbox, false).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_bell_that_a_page_holds_is_released_when_the_page_goes() {
    let sandbox = sandbox();
    let mut first = page(&sandbox).await;
    first.send(bell(true)).await.unwrap();
    until("the bell to be down", &sandbox, true).await;
    drop(first);
    until("the bell to be up", &sandbox, false).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn nonsense_on_the_socket_is_answered_and_ends_nothing() {
    let sandbox = sandbox();
    let mut page = page(&sandbox).await;
    for text in
        ["", "{}", "[1]", "{\"request\":\"nothing\"}", "{\"request\":\"input\",\"name\":\"nobody\",\"active\":true}"]
    {
        page.send(Message::text(text)).await.unwrap();
        loop {
            let frame = timeout(Duration::from_secs(10), page.next()).await.expect("a reply").unwrap().unwrap();
            let reply: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
            if let Some(error) = reply.pointer("/reply/error") {
                assert_eq!(error["kind"], "usage", "{text}");
                break;
            }
        }
    }
    let _ = page.send(Message::text("x".repeat(100_000))).await;
    sandbox.stop().await;
}
