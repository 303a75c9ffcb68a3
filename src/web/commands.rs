//! `POST /api/…`: commands, as the control socket has them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::api_error::ApiError;
use super::state::Web;
use crate::config::PlayTo;
use crate::control::{Controlled, ModeRequest, OutputRequest, Reply, Request};
use crate::core::Gesture;
use crate::http::PeerAddresses;
use crate::secret::PhoneNumber;

/// The longest pulse of an output, in milliseconds.
const MAX_PULSE_MS: u64 = 600_000;

/// The body of `POST /api/press/NAME`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PressBody {
    /// `press` if absent.
    #[serde(default)]
    gesture: Option<Gesture>,
}

/// The body of `POST /api/call`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallBody {
    number: PhoneNumber,
    /// Any idle line if absent.
    #[serde(default)]
    line: Option<u32>,
}

/// The body of `POST /api/hangup` and `POST /api/answer`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LineBody {
    /// If absent: all lines are hung up, or the line that rings is answered.
    #[serde(default)]
    line: Option<u32>,
}

/// The body of `POST /api/output/NAME`: `set`, or else a pulse.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputBody {
    #[serde(default)]
    set: Option<OnOff>,
    /// The length of a pulse in milliseconds; `pulse_ms` of the output if absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 600_000))]
    pulse_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnOff {
    On,
    Off,
}

/// The body of `POST /api/mode/NAME`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModeBody {
    set: ModeRequest,
}

/// The body of `POST /api/play/NAME`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlayBody {
    /// `near` if absent.
    #[serde(default)]
    to: Option<PlayTo>,
}

/// The answer to a command that was carried out.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct DoneBody {
    ok: bool,
    /// How long its effect lasts, or that it has to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

type Name = Result<Path<String>, PathRejection>;
type Answer = Result<Response, ApiError>;

/// A command, before anything of it is believed.
pub(super) struct Incoming {
    web: Arc<Web>,
    peer: PeerAddresses,
    headers: HeaderMap,
    body: Bytes,
}

impl axum::extract::FromRequest<Arc<Web>> for Incoming {
    type Rejection = ApiError;

    async fn from_request(request: axum::extract::Request, web: &Arc<Web>) -> Result<Self, ApiError> {
        let broken = || ApiError::of(crate::http::Refused::BrokenBody);
        let peer = request.extensions().get::<ConnectInfo<PeerAddresses>>().map(|ConnectInfo(peer)| *peer);
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(axum::extract::Request::from_parts(parts.clone(), body), web).await;
        let (peer, body) = (peer.ok_or_else(broken)?, body.map_err(|_| web.refused.count(broken()))?);
        Ok(Self { web: Arc::clone(web), peer, headers: parts.headers, body })
    }
}

impl Incoming {
    /// Carries it out: who asks, what is asked for, and then the station. `make` makes the request from its body.
    async fn carry_out<B: DeserializeOwned>(
        self,
        names: bool,
        make: impl FnOnce(B) -> Result<Request, ApiError>,
    ) -> Answer {
        let station = self.web.commander(&self.headers, self.peer.remote.ip())?;
        let request = self.body().and_then(make).map_err(|error| self.web.refused.count(error))?;
        let note = match station.request(request).await {
            Reply::Note(note) => Some(note),
            Reply::Error(error) => return Err(self.web.refused.count(ApiError::of_reply(&error, names))),
            _ => None,
        };
        Ok(Json(DoneBody { ok: true, note }).into_response())
    }

    fn body<B: DeserializeOwned>(&self) -> Result<B, ApiError> {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "the content type is not application/json",
                "send the header Content-Type: application/json, and {} where nothing is to be said",
            ));
        }
        // A list would be taken for an object without names: `[]` for `{}`.
        if !self.body.trim_ascii_start().starts_with(b"{") {
            return Err(bad_body("the body is no JSON object"));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = format!(
                "the body is not what this command takes: {}",
                crate::plain_text::shortened(&error.to_string())
            );
            bad_body(message)
        })
    }
}

fn bad_body(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "bad_request", message, "GET /api/openapi.json describes the body")
}

/// The name in the path.
fn named(name: Name) -> Result<String, ApiError> {
    let bad = |_| {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_request", "the name in the path is no text", "write it in UTF-8")
    };
    name.map(|Path(name)| name).map_err(bad)
}

pub(super) async fn press(name: Name, incoming: Incoming) -> Answer {
    incoming
        .carry_out(true, |body: PressBody| {
            Ok(Request::Press { name: named(name)?, gesture: body.gesture.unwrap_or(Gesture::Press) })
        })
        .await
}

pub(super) async fn call(incoming: Incoming) -> Answer {
    incoming.carry_out(false, |CallBody { number, line }| Ok(Request::Call { number, line })).await
}

pub(super) async fn hangup(incoming: Incoming) -> Answer {
    incoming.carry_out(false, |LineBody { line }| Ok(Request::Hangup { line })).await
}

pub(super) async fn answer(incoming: Incoming) -> Answer {
    incoming.carry_out(false, |LineBody { line }| Ok(Request::Answer { line })).await
}

pub(super) async fn output(name: Name, incoming: Incoming) -> Answer {
    incoming
        .carry_out(true, |OutputBody { set, pulse_ms }| {
            let change = match (set, pulse_ms) {
                (Some(_), Some(_)) => return Err(bad_body("set and pulse_ms are given together")),
                (None, Some(ms)) if !(1..=MAX_PULSE_MS).contains(&ms) => {
                    return Err(bad_body(format!("pulse_ms {ms} is out of range, 1 to {MAX_PULSE_MS}")));
                }
                (Some(OnOff::On), None) => OutputRequest::On,
                (Some(OnOff::Off), None) => OutputRequest::Off,
                (None, _) => OutputRequest::Pulse,
            };
            Ok(Request::Output { name: named(name)?, change, ms: pulse_ms })
        })
        .await
}

pub(super) async fn mode(name: Name, incoming: Incoming) -> Answer {
    incoming.carry_out(true, |ModeBody { set }| Ok(Request::Mode { name: named(name)?, set })).await
}

pub(super) async fn play(name: Name, incoming: Incoming) -> Answer {
    incoming
        .carry_out(true, |PlayBody { to }| Ok(Request::Play { name: named(name)?, to: to.unwrap_or_default() }))
        .await
}
