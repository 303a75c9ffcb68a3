//! Who may read, and who may command.

use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Instant;

use axum::http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq;

use super::api_error::ApiError;
use super::state::Web;
use crate::config::HttpToken;
use crate::control::Controlled;
use crate::core::By;
use crate::secret::PersonName;
use crate::station::StationHandle;

impl Web {
    /// The station, for somebody who may read.
    pub(super) fn reader(&self, headers: &HeaderMap, from: IpAddr) -> Result<&StationHandle, ApiError> {
        if !self.tokens.is_empty() {
            self.token(headers, from)?;
        }
        Ok(&self.station)
    }

    /// The station, for somebody who may command it; it records whose token it was.
    pub(super) fn commander(&self, headers: &HeaderMap, from: IpAddr) -> Result<StationHandle, ApiError> {
        if self.tokens.is_empty() {
            return Err(self.refused.count(ApiError::new(
                StatusCode::FORBIDDEN,
                "read_only",
                "without a token, nothing can be commanded over HTTP",
                "set control.http_token_file",
            )));
        }
        let token = self.token(headers, from)?;
        Ok(self.station.on_behalf_of(By::Http { token }))
    }

    /// The name of the request's token. A right one always counts: whoever guesses from the same address must not lock
    /// the house out.
    fn token(&self, headers: &HeaderMap, from: IpAddr) -> Result<PersonName, ApiError> {
        let shown = bearer(headers);
        // Every token is compared, so that the time tells nothing.
        let is_shown =
            |known: &&HttpToken| shown.is_some_and(|shown| known.token.as_bytes().ct_eq(shown.as_bytes()).into());
        let shown_ones: Vec<&HttpToken> = self.tokens.iter().filter(is_shown).collect();
        if let Some(known) = shown_ones.first() {
            self.places.know(from);
            return Ok(known.name.clone());
        }
        let now = Instant::now();
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = attempts.wait(from, now);
        if !wait.is_zero() {
            return Err(self.refused.count(ApiError::too_many_attempts(wait.as_secs() + 1)));
        }
        attempts.failed(from, now);
        if shown.is_some() && !attempts.wait(from, now).is_zero() {
            tracing::warn!(from = %from, "somebody guesses tokens of the status page");
        }
        let message = if shown.is_some() { "the token is wrong" } else { "the request has no token" };
        Err(self.refused.count(ApiError::unauthorized(message)))
    }
}

/// The bearer token of a request (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
