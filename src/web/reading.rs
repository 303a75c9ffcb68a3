//! What can be read: the status, the faults, the metrics, and the description of the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::api_error::ApiError;
use super::state::Web;
use super::{metrics, process};
use crate::control::{Controlled, FullStatus, Reply, Request};
use crate::http::PeerAddresses;

type Shared = State<Arc<Web>>;
type Peer = ConnectInfo<PeerAddresses>;

async fn snapshot(web: &Web, headers: &HeaderMap, peer: PeerAddresses) -> Result<FullStatus, ApiError> {
    match web.reader(headers, peer.remote.ip())?.request(Request::Status).await {
        Reply::Status(status) => Ok(*status),
        _ => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopped",
            "the station has stopped",
            "look at its log: journalctl -u callbox",
        )),
    }
}

pub(super) async fn status(
    State(web): Shared,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    Ok(Json(snapshot(&web, &headers, peer).await?).into_response())
}

pub(super) async fn faults(
    State(web): Shared,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    Ok(Json(crate::control::faults(&snapshot(&web, &headers, peer).await?)).into_response())
}

pub(super) async fn metrics(
    State(web): Shared,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let status = snapshot(&web, &headers, peer).await?;
    let text = metrics::text(&status, &web.refused.read(), process::usage().await);
    // The version of the text format (Prometheus, "Exposition formats").
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

pub(super) async fn openapi(
    State(web): Shared,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    web.reader(&headers, peer.remote.ip())?;
    Ok(Json(super::openapi()).into_response())
}
