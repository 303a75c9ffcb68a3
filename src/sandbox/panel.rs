//! The server side of the front panel: requests to the station, its status and its facts.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::STATION_NUMBER;
use super::auth::Scope;
use super::shared::{MAX_FRAME_BYTES, Shared, api_error, login_refused};
use crate::control::{Controlled, ErrorKind, Reply, ReplyError, Request};
use crate::core::By;
use crate::http::PeerAddresses;
use crate::station::StationHandle;

/// How often the status is sent, which also moves the level meters.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);
/// A page that does not read a frame within this time is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Inputs that a page holds down and that are released when it disconnects.
const MAX_HELD: usize = 64;
/// The name of the login cookie.
const COOKIE: &str = "callbox_panel";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/station/layout", get(layout))
        .route("/station/login", post(log_in))
        .route("/station/request", post(request))
        .route("/station/live", any(live))
}

/// The station, if there is one and the page may control it.
fn admitted(shared: &Shared, headers: &HeaderMap, peer: PeerAddresses) -> Result<StationHandle, Box<Response>> {
    let station =
        shared.station.clone().ok_or_else(|| Box::new(api_error(StatusCode::NOT_FOUND, "there_is_no_station")))?;
    let station = station.on_behalf_of(By::User { user: format!("at the panel, {}", peer.remote.ip()).into() });
    if !shared.panel_needs_login {
        return Ok(station);
    }
    let token = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, token)| token.to_owned());
    let known = token
        .and_then(|token| shared.auth.number(&token, &[Scope::Panel]))
        .is_some_and(|number| number == STATION_NUMBER);
    if known {
        shared.places.know(peer.remote.ip());
    }
    if known { Ok(station) } else { Err(Box::new(api_error(StatusCode::UNAUTHORIZED, "login_required"))) }
}

/// The names of the buttons and sensors that the panel shows.
async fn layout(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    headers: HeaderMap,
) -> Response {
    match admitted(&shared, &headers, peer) {
        Ok(station) => {
            let config = station.config();
            let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
            Json(json!({
                "buttons": names(config.buttons.iter().map(|button| &button.name).collect()),
                "sensors": names(config.sensors.iter().map(|sensor| &sensor.name).collect()),
            }))
            .into_response()
        }
        Err(response) => *response,
    }
}

#[derive(Deserialize)]
struct PanelLogin {
    password: String,
}

async fn log_in(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    Json(login): Json<PanelLogin>,
) -> Response {
    match shared.auth.log_in(STATION_NUMBER, &login.password, peer.remote.ip(), Scope::Panel) {
        Ok(token) => {
            let secure = if shared.secure { "; Secure" } else { "" };
            let cookie = format!("{COOKIE}={token}; Path=/station; HttpOnly; SameSite=Strict; Max-Age=43200{secure}");
            ([(header::SET_COOKIE, cookie)], StatusCode::NO_CONTENT).into_response()
        }
        Err(error) => login_refused(&error),
    }
}

async fn request(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    headers: HeaderMap,
    Json(request): Json<Request>,
) -> Response {
    match admitted(&shared, &headers, peer) {
        Ok(station) => Json(ask(&station, request).await).into_response(),
        Err(response) => *response,
    }
}

/// Sends a request to the station, except for the black box: it has numbers and codes of the house, and megabytes.
async fn ask(station: &StationHandle, request: Request) -> Reply {
    if matches!(request, Request::Dump { .. }) {
        let message = "a web page cannot get the black box; run callbox dump".to_owned();
        return Reply::Error(ReplyError { kind: ErrorKind::Refused, message });
    }
    station.request(request).await
}

async fn live(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    match admitted(&shared, &headers, peer) {
        Ok(station) => upgrade
            .max_message_size(MAX_FRAME_BYTES)
            .max_frame_size(MAX_FRAME_BYTES)
            .on_upgrade(move |socket| follow(socket, station, shared)),
        Err(response) => *response,
    }
}

/// Serves one page: sends the status ten times a second and every fact, and carries out the requests of the page in
/// their order. The press and the release of a button use this one socket: two HTTP requests could overtake each other.
async fn follow(mut socket: WebSocket, station: StationHandle, mut shared: Shared) {
    let mut held = Vec::new();
    let mut events = station.events();
    let mut ticks = interval(STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let text = tokio::select! {
            _ = ticks.tick() => match station.request(Request::Status).await {
                Reply::Status(status) => json!({ "status": status }).to_string(),
                _ => break,
            },
            event = events.recv() => match event {
                Ok(event) => json!({ "event": event }).to_string(),
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => break,
            },
            frame = socket.recv() => match frame {
                Some(Ok(Message::Text(text))) => {
                    json!({ "reply": carry_out(text.as_str(), &station, &mut held).await }).to_string()
                }
                Some(Ok(_)) => continue,
                _ => break,
            },
            _ = shared.stopped.changed() => break,
        };
        if !matches!(timeout(WRITE_TIMEOUT, socket.send(Message::Text(text.into()))).await, Ok(Ok(()))) {
            break;
        }
    }
    // The page is gone, so nobody holds its buttons down any more.
    for name in held {
        station.request(Request::Input { name, active: false }).await;
    }
}

/// Carries out a request of a page. `held` lists the inputs that the page holds down.
async fn carry_out(text: &str, station: &StationHandle, held: &mut Vec<String>) -> Reply {
    let Ok(request) = serde_json::from_str::<Request>(text) else {
        let message = "this is not a request of the control protocol".to_owned();
        return Reply::Error(ReplyError { kind: ErrorKind::Usage, message });
    };
    if let Request::Input { name, active } = &request {
        held.retain(|other| other != name);
        if *active && held.len() < MAX_HELD {
            held.push(name.clone());
        }
    }
    ask(station, request).await
}
