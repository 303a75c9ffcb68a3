//! What the HTTP handlers share.

use std::sync::Arc;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::watch;

use super::auth::{Auth, LoginError};
use super::hub::Hub;
use super::ice_servers::SharedIceServers;
use crate::http::Places;
use crate::station::StationHandle;

/// The largest accepted frame of a client. An offer has about 3 KiB.
pub(super) const MAX_FRAME_BYTES: usize = 64 * 1024;

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
    pub(super) ice_servers: Arc<SharedIceServers>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// An error of the session API.
pub(super) fn api_error(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({ "code": code }))).into_response()
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
