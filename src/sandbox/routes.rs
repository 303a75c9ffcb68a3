//! HTTP: the session API, the signaling upgrade, and the two pages.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, Request, State, WebSocketUpgrade};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, patch, post};
use axum::{Json, Router};
use http_body_util::LengthLimitError;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_service::Service;

use super::auth::{Auth, LoginError, Scope};
use super::guard;
use super::hub::Hub;
use super::listen::{Connection, Ends, Listener, REQUEST_TIMEOUT};
use super::places::Places;
use super::{pages, panel, session};
use crate::signaling::{CloseCause, LoginRequest, LoginResponse, SUB_PROTOCOL};
use crate::station::StationHandle;

/// The largest accepted body of a request. The largest one that a client needs is a login.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The largest accepted head of a request.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The largest accepted frame of a client. An offer has about 3 KiB.
pub(super) const MAX_FRAME_BYTES: usize = 64 * 1024;
/// The scopes that signaling and the session API accept: that of clients, and that of the station.
const CLIENTS: [Scope; 2] = [Scope::Session, Scope::Station];

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) auth: Arc<Auth>,
    pub(super) hub: Hub,
    pub(super) places: Arc<Places>,
    pub(super) station: Option<StationHandle>,
    pub(super) panel_needs_login: bool,
    pub(super) secure: bool,
    pub(super) host_names: Vec<String>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// Serves connections until `stopped`.
pub(super) async fn serve(mut listener: Listener, shared: Shared, mut stopped: watch::Receiver<bool>) {
    let app = Router::new()
        .merge(core_routes())
        .nest("/tenant/{tenant}", core_routes())
        .merge(pages::routes())
        .merge(panel::routes())
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(shared.clone(), guarded))
        .with_state(shared);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            connection = listener.accept() => {
                connections.spawn(serve_connection(connection, app.clone(), stopped.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = end(&mut stopped) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns when the sandbox stops.
async fn end(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Serves the requests of one connection, one after the other. The head and the body of each request have their own
/// deadlines; `guarded` applies that of the body.
async fn serve_connection(connection: Connection, app: Router, mut stopped: watch::Receiver<bool>) {
    let ends = connection.ends();
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut app = app.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(ends));
        // A router is always ready, so `poll_ready` is not needed.
        app.call(request)
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(connection), service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    // It does not matter how a connection ends.
    tokio::select! {
        _ = serving.as_mut() => {}
        () = end(&mut stopped) => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

fn core_routes() -> Router<Shared> {
    Router::new()
        .route("/signaling/v1", any(signaling))
        .route("/api/v1/session", post(log_in).delete(log_out))
        .route("/api/v1/user", get(user))
        .route("/api/v1/user/contacts", get(contacts))
        .route("/api/v1/app/status", patch(app_status))
        .route("/api/v1/system-info", get(system_info))
        .route("/api/v1/{*rest}", any(not_supported))
}

/// Refuses foreign hosts and origins before anything else. The headers of its response forbid framing and content
/// sniffing.
async fn guarded(
    State(shared): State<Shared>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    // The request for a WebSocket has no body (RFC 6455, section 4.1).
    let upgrade = request.headers().contains_key(header::UPGRADE) && request.method() == Method::GET;
    let verdict =
        guard::check(request.method(), request.headers(), upgrade, ends.local.ip(), &shared.host_names, shared.secure);
    if let Err(foreign) = verdict {
        return Ok(foreign.status().into_response());
    }
    let request = if upgrade {
        request
    } else {
        match with_body(request).await {
            Ok(request) => request,
            // The rest of the body is not read: the connection is closed.
            Err(status) => return Ok((status, [(header::CONNECTION, "close")]).into_response()),
        }
    };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, axum::http::HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Reads the whole body of a request, up to a size limit and a deadline.
async fn with_body(request: Request) -> Result<Request, StatusCode> {
    let (parts, body) = request.into_parts();
    let body = timeout(REQUEST_TIMEOUT, axum::body::to_bytes(body, MAX_BODY_BYTES))
        .await
        .map_err(|_| StatusCode::REQUEST_TIMEOUT)?
        .map_err(|error| {
            let too_long = std::error::Error::source(&error).is_some_and(|error| error.is::<LengthLimitError>());
            if too_long { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST }
        })?;
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// An error of the session API.
pub(super) fn api_error(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({ "code": code }))).into_response()
}

fn token_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn account(shared: &Shared, headers: &HeaderMap, ends: Ends) -> Result<String, Box<Response>> {
    let token = token_of(headers)
        .ok_or_else(|| Box::new(api_error(StatusCode::UNAUTHORIZED, "authorization_header_missing")))?;
    let number = shared.auth.number(token, &CLIENTS);
    if number.is_some() {
        shared.places.know(ends.remote.ip());
    }
    number.ok_or_else(|| Box::new(api_error(StatusCode::UNAUTHORIZED, "session_missing")))
}

/// The response to a failed login.
pub(super) fn login_refused(error: &LoginError) -> Response {
    match error {
        LoginError::Incorrect => api_error(StatusCode::UNAUTHORIZED, "incorrect_credentials"),
        LoginError::Limited(wait) => {
            let mut response = api_error(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts");
            let seconds = wait.as_secs() + 1;
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            response
        }
        LoginError::NoRandom(_) => api_error(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

async fn log_in(
    State(shared): State<Shared>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    Json(login): Json<LoginRequest>,
) -> Response {
    let remote: IpAddr = ends.remote.ip();
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

async fn user(State(shared): State<Shared>, ConnectInfo(ends): ConnectInfo<Ends>, headers: HeaderMap) -> Response {
    match account(&shared, &headers, ends) {
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

async fn contacts(State(shared): State<Shared>, ConnectInfo(ends): ConnectInfo<Ends>, headers: HeaderMap) -> Response {
    match account(&shared, &headers, ends) {
        Ok(_) => Json(json!({ "items": [] })).into_response(),
        Err(response) => *response,
    }
}

async fn app_status(
    State(shared): State<Shared>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    headers: HeaderMap,
) -> Response {
    match account(&shared, &headers, ends) {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(response) => *response,
    }
}

async fn system_info() -> Response {
    Json(json!({
        "core": { "version": env!("CARGO_PKG_VERSION") },
        "adapter": { "name": "callbox sandbox", "version": env!("CARGO_PKG_VERSION"), "supported": ["passwordSignin"] },
        "postgres": { "version": "" },
    }))
    .into_response()
}

async fn not_supported(
    State(shared): State<Shared>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    headers: HeaderMap,
) -> Response {
    match account(&shared, &headers, ends) {
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
    ConnectInfo(ends): ConnectInfo<Ends>,
    Query(query): Query<SignalingQuery>,
    path: Option<Path<String>>,
    upgrade: WebSocketUpgrade,
) -> Response<Body> {
    // A path with a tenant works like a path without one.
    drop(path);
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
        shared.places.know(ends.remote.ip());
    }
    upgrade.on_upgrade(move |socket| async move {
        match number {
            Some(number) => session::serve(socket, shared.hub, number, force, shared.stopped).await,
            None => session::close(socket, CloseCause::SessionMissed.code()).await,
        }
    })
}
