//! `GET /api/events`: what happens from now on, as server-sent events (HTML standard, section 9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::broadcast::error::RecvError;

use super::api_error::ApiError;
use super::state::Web;
use crate::control::Controlled;
use crate::http::PeerAddresses;
use crate::running_tasks::stopped;

/// How often a comment tells that the connection is alive. It must be shorter than the time after which silent
/// connections are closed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(super) async fn events(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let events = web.reader(&headers, peer.remote.ip())?.events();
    let stream = futures_util::stream::unfold((events, web.signal.clone()), |(mut events, mut signal)| async move {
        loop {
            let record = tokio::select! {
                record = events.recv() => match record {
                    Ok(record) => record,
                    // A slow client misses some of them. That is better than stopping the station.
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return None,
                },
                () = stopped(&mut signal) => return None,
            };
            // A record that cannot be written does not exist; the next one follows.
            let Ok(line) = serde_json::to_string(&record) else { continue };
            return Some((Ok::<_, Infallible>(Event::default().data(line)), (events, signal)));
        }
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}
