//! Requests for what there is not.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::api_error::ApiError;
use super::state::Web;

pub(super) async fn no_such_page(State(web): State<Arc<Web>>) -> ApiError {
    let remedy = "GET /api/openapi.json describes what there is";
    web.refused.count(ApiError::new(StatusCode::NOT_FOUND, "no_such_page", "there is no such page", remedy))
}

pub(super) async fn wrong_method(State(web): State<Arc<Web>>) -> ApiError {
    let remedy = "read with GET, command with POST; GET /api/openapi.json describes what there is";
    web.refused.count(ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        "this page has no such method",
        remedy,
    ))
}
