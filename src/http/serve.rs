//! Serves HTTP connections: deadlines, sizes, and the guard that sees every request first.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use http_body_util::LengthLimitError;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_service::Service;

use super::guard;
use super::listen::{Connection, Listener, REQUEST_TIMEOUT};
use super::peer::PeerAddresses;
use super::refused::Refused;
use crate::running_tasks::{StopSignal, stopped};

/// The largest accepted body of a request. The largest one that a client needs is a login.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The largest accepted head of a request.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// What a server accepts, and how it refuses the rest.
#[derive(Clone)]
pub(crate) struct Policy {
    /// Names of this server, in addition to its addresses and `localhost`.
    pub(crate) host_names: Arc<[String]>,
    /// Whether it uses TLS.
    pub(crate) secure: bool,
    pub(crate) refuse: Arc<dyn Fn(Refused) -> Response + Send + Sync>,
}

/// Serves connections until the signal comes.
pub(crate) async fn serve(mut listener: Listener, app: Router, policy: Policy, mut signal: StopSignal) {
    let app = app
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(policy, guarded));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            connection = listener.accept() => {
                connections.spawn(serve_connection(connection, app.clone(), signal.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = stopped(&mut signal) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves the requests of one connection, one after the other. The head and the body of each request have their own
/// deadlines; `guarded` applies that of the body (docs/workarounds.md, "hyper: time limits cover the head alone").
async fn serve_connection(connection: Connection, app: Router, mut signal: StopSignal) {
    let peer = connection.peer();
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut app = app.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
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
        () = stopped(&mut signal) => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

/// Refuses foreign hosts and origins before anything else. The headers of its response forbid framing and content
/// sniffing.
async fn guarded(
    State(policy): State<Policy>,
    ConnectInfo(peer): ConnectInfo<PeerAddresses>,
    request: Request,
    next: Next,
) -> Response {
    // The request for a WebSocket has no body (RFC 6455, section 4.1).
    let upgrade = request.headers().contains_key(header::UPGRADE) && request.method() == Method::GET;
    let verdict =
        guard::check(request.method(), request.headers(), upgrade, peer.local.ip(), &policy.host_names, policy.secure);
    let admitted = match verdict {
        Err(foreign) => return (policy.refuse)(foreign),
        Ok(()) if upgrade => Ok(request),
        Ok(()) => with_body(request).await,
    };
    let mut response = match admitted {
        Ok(request) => next.run(request).await,
        Err(refused) => {
            let mut response = (policy.refuse)(refused);
            // The rest of the body is not read: the connection is closed.
            response.headers_mut().insert(header::CONNECTION, axum::http::HeaderValue::from_static("close"));
            return response;
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, axum::http::HeaderValue::from_static(value));
    }
    response
}

/// Reads the whole body of a request, up to a size limit and a deadline (docs/workarounds.md, "hyper: time limits cover
/// the head alone").
async fn with_body(request: Request) -> Result<Request, Refused> {
    let (parts, body) = request.into_parts();
    let body = timeout(REQUEST_TIMEOUT, axum::body::to_bytes(body, MAX_BODY_BYTES))
        .await
        .map_err(|_| Refused::BodyTooSlow)?
        .map_err(|error| {
            let too_long = std::error::Error::source(&error).is_some_and(|error| error.is::<LengthLimitError>());
            if too_long { Refused::BodyTooLarge } else { Refused::BrokenBody }
        })?;
    Ok(Request::from_parts(parts, Body::from(body)))
}
