//! The routes of the sandbox, and how it refuses requests.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::shared::Shared;
use super::{pages, panel, routes};
use crate::http::{self, Listener, Policy, Refused};

/// A connection without traffic for this long is closed. A WebSocket has traffic more often.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Serves connections until `stopped`.
pub(super) async fn serve(listener: Listener, shared: Shared, stopped: watch::Receiver<bool>) {
    let policy =
        Policy { host_names: shared.host_names.clone().into(), secure: shared.secure, refuse: Arc::new(refused) };
    let app = Router::new()
        .merge(routes::routes())
        .nest("/tenant/{tenant}", routes::routes())
        .merge(pages::routes())
        .merge(panel::routes())
        .with_state(shared);
    http::serve(listener, app, policy, stopped).await;
}

fn refused(refused: Refused) -> Response {
    match refused {
        Refused::ForeignHost => {
            (StatusCode::MISDIRECTED_REQUEST, "this server is not known by that name\n").into_response()
        }
        Refused::ForeignOrigin => (StatusCode::FORBIDDEN, "requests from other origins are refused\n").into_response(),
        Refused::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Refused::BodyTooSlow => StatusCode::REQUEST_TIMEOUT.into_response(),
        Refused::BrokenBody => StatusCode::BAD_REQUEST.into_response(),
    }
}
