//! One signaling WebSocket of a client.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::exchange::KEEPALIVE_INTERVAL;
use super::hub::{Hub, Outgoing};
use crate::signaling::CloseCause;

/// A frame has this long to leave.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that is silent for so long is gone: its keepalive is late by more than its time-out.
const SILENCE: Duration = Duration::from_millis(KEEPALIVE_INTERVAL.as_millis() as u64 * 2);

/// Serves a client whose token is good.
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
                // It did not take its messages.
                None => break Some(CloseCause::SocketMessage.code()),
            },
            frame = socket.recv() => {
                heard = Instant::now();
                match frame {
                    Some(Ok(Message::Text(text))) => hub.frame(connection, text.as_str()),
                    Some(Ok(Message::Binary(_))) => hub.frame(connection, ""),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_))) | None => break None,
                    // Oversized, no UTF-8, or broken.
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

/// Says goodbye with a code.
pub(super) async fn close(mut socket: WebSocket, code: u16) {
    let frame = CloseFrame { code, reason: "".into() };
    let goodbye = async {
        let _ = socket.send(Message::Close(Some(frame))).await;
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let _ = timeout(Duration::from_secs(1), goodbye).await;
}
