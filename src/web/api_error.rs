//! What a request that is not carried out is answered.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::control::{ErrorKind, ReplyError};
use crate::http::Refused;

/// What a request that is not carried out is answered.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    body: ErrorBody,
    retry_after_s: Option<u64>,
}

/// The body of such an answer.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub(super) struct ErrorBody {
    pub(super) error: ErrorText,
}

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub(super) struct ErrorText {
    /// A word for programs, such as `refused` or `no_such_name`.
    pub(super) code: String,
    /// What is wrong, with its value.
    pub(super) message: String,
    /// What to do about it.
    pub(super) remedy: String,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let error = ErrorText { code: code.to_owned(), message: message.into(), remedy: remedy.into() };
        Self { status, body: ErrorBody { error }, retry_after_s: None }
    }

    /// The answer to a request that was not looked at.
    pub(super) fn of(refused: Refused) -> Self {
        match refused {
            Refused::ForeignHost => Self::new(
                StatusCode::MISDIRECTED_REQUEST,
                "foreign_host",
                "this station is not known by that name",
                "ask for it by its address, its host name, or a name in its certificate",
            ),
            Refused::ForeignOrigin => Self::new(
                StatusCode::FORBIDDEN,
                "foreign_origin",
                "a page of another server may not command this station",
                "send the request from a program, or from the station's own page",
            ),
            Refused::BodyTooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large", "send what is asked for")
            }
            Refused::BodyTooSlow => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body came too slowly", "send it at once")
            }
            Refused::BrokenBody => {
                Self::new(StatusCode::BAD_REQUEST, "broken_body", "the body cannot be read", "send it whole")
            }
        }
    }

    /// The answer to what the station did not carry out. `names`: the path of the request has a name.
    pub(super) fn of_reply(error: &ReplyError, names: bool) -> Self {
        let (status, code) = match error.kind {
            ErrorKind::Usage if names => (StatusCode::NOT_FOUND, "no_such_name"),
            ErrorKind::Usage => (StatusCode::BAD_REQUEST, "bad_request"),
            ErrorKind::Refused => (StatusCode::CONFLICT, "refused"),
            ErrorKind::Failed => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
        };
        let (message, remedy) = error.message_and_remedy();
        Self::new(status, code, message, remedy)
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        let remedy = "send the header Authorization: Bearer TOKEN, with a token of control.http_token_file";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message, remedy)
    }

    pub(super) fn too_many_attempts(wait_s: u64) -> Self {
        let message = "too many wrong tokens came from this network";
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            message,
            format!("try again in {wait_s} s, with a token of control.http_token_file"),
        );
        error.retry_after_s = Some(wait_s);
        error
    }

    /// The word for programs.
    pub(super) fn code(&self) -> &str {
        &self.body.error.code
    }

    pub(super) fn response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750, section 3.
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"callbox\""));
        }
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.response()
    }
}
