//! One signaling WebSocket of a client.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::exchange::KEEPALIVE_INTERVAL;
use super::hub::{Hub, Outgoing};
use crate::signaling::CloseCause;

/// A client that does not read a frame within this time is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that is silent for this long is gone: its keepalive is late by a whole interval.
const SILENCE: Duration = Duration::from_millis(KEEPALIVE_INTERVAL.as_millis() as u64 * 2);

/// Serves a client whose token is valid.
pub(super) async fn serve(
    mut socket: WebSocket,
    hub: Hub,
    number: String,
    force: bool,
    mut stopped: watch::Receiver<bool>,
) {
    let Some((connection, mut outgoing)) = hub.connect(&number, force) else {
        return close(socket, CloseCause::SessionMissed.code()).await;
    };
    let mut heard = Instant::now();
    let code = loop {
        tokio::select! {
            message = outgoing.recv() => match message {
                Some(Outgoing::Message(message)) => {
                    let text = Message::Text(message.to_text().into());
                    if !matches!(timeout(WRITE_TIMEOUT, socket.send(text)).await, Ok(Ok(()))) {
                        break None;
                    }
                }
                Some(Outgoing::Close(code)) => break Some(code),
                // The client did not read its messages, so its queue was full.
                None => break Some(CloseCause::SocketMessage.code()),
            },
            frame = socket.recv() => {
                heard = Instant::now();
                match frame {
                    Some(Ok(Message::Text(text))) => hub.frame(connection, text.as_str()),
                    Some(Ok(Message::Binary(_))) => hub.frame(connection, ""),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_))) | None => break None,
                    // The frame is too large or not UTF-8, or the connection is broken.
                    Some(Err(_)) => break Some(CloseCause::SocketMessage.code()),
                }
            }
            () = sleep_until(heard + SILENCE) => break Some(CloseCause::KeepaliveTimeout.code()),
            _ = stopped.changed() => break Some(1001),
        }
    };
    hub.disconnected(connection);
    if let Some(code) = code {
        close(socket, code).await;
    }
}

/// Closes the WebSocket with this code, and waits up to a second for the client to close it as well.
pub(super) async fn close(mut socket: WebSocket, code: u16) {
    let frame = CloseFrame { code, reason: "".into() };
    let closing = async {
        let _ = socket.send(Message::Close(Some(frame))).await;
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let _ = timeout(Duration::from_secs(1), closing).await;
}
