//! `GET /healthz`: whether the station does its work, for whoever watches it. It needs no token and says no more.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::state::Web;
use crate::control::{Controlled, Reply, Request, faults};

pub(super) async fn healthz(State(web): State<Arc<Web>>) -> Response {
    let (status, text) = match web.station.request(Request::Status).await {
        Reply::Status(status) => {
            let vital: Vec<String> = faults(&status)
                .into_iter()
                .filter(|fault| fault.vital)
                .map(|fault| format!("{}: {}\n", fault.part, fault.problem))
                .collect();
            if vital.is_empty() {
                (StatusCode::OK, "ok\n".to_owned())
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, vital.concat())
            }
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the station has stopped\n".to_owned()),
    };
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
