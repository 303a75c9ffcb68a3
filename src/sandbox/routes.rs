//! The session API and the signaling upgrade (docs/protocol.md, "Session API").

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, patch, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::auth::Scope;
use super::session;
use super::shared::{MAX_FRAME_BYTES, Shared, api_error, login_refused};
use crate::http::PeerAddresses;
use crate::signaling::{CloseCause, LoginRequest, LoginResponse, SUB_PROTOCOL};

/// The scopes that signaling and the session API accept: that of clients, and that of the station.
const CLIENTS: [Scope; 2] = [Scope::Session, Scope::Station];

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/signaling/v1", any(signaling))
        .route("/api/v1/session", post(log_in).delete(log_out))
        .route("/api/v1/user", get(user))
        .route("/api/v1/user/ice-servers", get(ice_servers))
        .route("/api/v1/user/contacts", get(contacts))
        .route("/api/v1/app/status", patch(app_status))
        .route("/api/v1/system-info", get(system_info))
        .route("/api/v1/{*rest}", any(not_supported))
}

fn token_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn account(shared: &Shared, headers: &HeaderMap, peer: PeerAddresses) -> Result<String, Box<Response>> {
    let token = token_of(headers)
        .ok_or_else(|| Box::new(api_error(StatusCode::UNAUTHORIZED, "authorization_header_missing")))?;
    let number = shared.auth.number(token, &CLIENTS);
    if number.is_some() {
        shared.places.know(peer.remote.ip());
    }
    number.ok_or_else(|| Box::new(api_error(StatusCode::UNAUTHORIZED, "session_missing")))
}

async fn log_in(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    Json(login): Json<LoginRequest>,
) -> Response {
    let remote = peer.remote.ip();
    let (Some(name), Some(password)) = (&login.login, &login.password) else {
        return api_error(StatusCode::UNPROCESSABLE_ENTITY, "parameters_invalid");
    };
    match shared.auth.log_in(name, password, remote, Scope::Session) {
        Ok(token) => {
            shared.places.know(remote);
            Json(LoginResponse { token, user_id: Some(name.clone()), tenant_id: None }).into_response()
        }
        Err(error) => login_refused(&error),
    }
}

async fn log_out(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    match token_of(&headers).and_then(|token| shared.auth.revoke(token)) {
        Some(number) => {
            shared.hub.log_out(&number);
            StatusCode::NO_CONTENT.into_response()
        }
        None => api_error(StatusCode::UNAUTHORIZED, "session_missing"),
    }
}

async fn user(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    headers: HeaderMap,
) -> Response {
    match account(&shared, &headers, peer) {
        Ok(number) => {
            let name = shared.auth.name(&number).unwrap_or_default();
            Json(json!({
                "numbers": { "main": number, "ext": number, "additional": [] },
                "alias_name": name,
                "first_name": name,
                "sip_status": "registered",
            }))
            .into_response()
        }
        Err(response) => *response,
    }
}

async fn contacts(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    headers: HeaderMap,
) -> Response {
    match account(&shared, &headers, peer) {
        Ok(_) => Json(json!({ "items": [] })).into_response(),
        Err(response) => *response,
    }
}

async fn ice_servers(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    headers: HeaderMap,
) -> Response {
    match account(&shared, &headers, peer) {
        Ok(number) => Json(shared.ice_servers.answer(&number, Timestamp::now())).into_response(),
        Err(response) => *response,
    }
}

async fn app_status(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    headers: HeaderMap,
) -> Response {
    match account(&shared, &headers, peer) {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(response) => *response,
    }
}

async fn system_info(State(shared): State<Shared>) -> Response {
    let ice_servers_configured = !shared.ice_servers.urls.is_empty();
    Json(json!({
        "core": { "version": env!("CARGO_PKG_VERSION"), "ice_servers_configured": ice_servers_configured },
        "adapter": { "name": "callbox sandbox", "version": env!("CARGO_PKG_VERSION"), "supported": ["passwordSignin"] },
        "postgres": { "version": "" },
    }))
    .into_response()
}

async fn not_supported(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    headers: HeaderMap,
) -> Response {
    match account(&shared, &headers, peer) {
        Ok(_) => api_error(StatusCode::NOT_IMPLEMENTED, "not_supported"),
        // Endpoints that need no token, such as those for one-time passwords, are not supported either.
        Err(_) if token_of(&headers).is_none() => api_error(StatusCode::NOT_IMPLEMENTED, "not_supported"),
        Err(response) => *response,
    }
}

#[derive(Deserialize)]
struct SignalingQuery {
    #[serde(default)]
    token: String,
    #[serde(default)]
    force: Option<String>,
}

async fn signaling(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    Query(query): Query<SignalingQuery>,
    path: Option<Path<String>>,
    upgrade: WebSocketUpgrade,
) -> Response<Body> {
    // A path with a tenant works like a path without one.
    drop(path);
    // docs/workarounds.md, "tungstenite: its default buffers are large".
    let upgrade = upgrade
        .protocols([SUB_PROTOCOL])
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .write_buffer_size(0);
    if upgrade.selected_protocol().is_none() {
        return (StatusCode::BAD_REQUEST, "the WebSocket sub-protocol webtrit-protocol is required\n").into_response();
    }
    let force = query.force.as_deref() == Some("true");
    let number = shared.auth.number(&query.token, &CLIENTS);
    if number.is_some() {
        shared.places.know(peer.remote.ip());
    }
    upgrade.on_upgrade(move |socket| async move {
        match number {
            Some(number) => session::serve(socket, shared.hub, number, force, shared.stopped).await,
            None => session::close(socket, CloseCause::SessionMissed.code()).await,
        }
    })
}
