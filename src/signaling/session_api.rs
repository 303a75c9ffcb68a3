//! The session API, which returns a session token for a login or a config token, and the list of STUN and TURN servers
//! (docs/protocol.md, "Session API").

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::connector::{Connector, OpenErrorKind};
use super::endpoint::Endpoint;
use super::ice_servers::IceServerList;
use super::redirect;
use crate::plain_text::shortened;

/// The longest time for a call of the API, including the connection.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer that is read.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The body of `POST /api/v1/session` and of `POST /api/v1/session/auto-provision`.
#[derive(Clone, Serialize, Deserialize)]
pub struct LoginRequest {
    /// Always `null` for a device.
    #[serde(default)]
    pub bundle_id: Option<String>,
    /// Always `linux` for this program.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// An id of the device that does not change.
    #[serde(default)]
    pub identifier: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// A one-time token for `auto-provision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_token: Option<String>,
}

/// The answer to a login.
#[derive(Clone, Serialize, Deserialize)]
pub struct LoginResponse {
    pub token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
}

/// The answer to `GET /api/v1/system-info`, as far as it is read.
#[derive(Deserialize)]
struct SystemInfo {
    #[serde(default)]
    core: SystemInfoCore,
}

#[derive(Default, Deserialize)]
struct SystemInfoCore {
    #[serde(default)]
    ice_servers_configured: bool,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: String,
    #[serde(default)]
    message: Option<String>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SessionApiError {
    #[error("the server refused the login: {0}")]
    Refused(String),
    /// The server's certificate is not valid yet according to our clock.
    #[error("{0}")]
    NotYetValid(String),
    /// There was no answer, or none that could be used.
    #[error("{0}")]
    Failed(String),
}

/// An HTTP answer of the server.
struct Answer {
    status: StatusCode,
    /// The `Location` header of a redirect.
    location: Option<Vec<u8>>,
    body: Bytes,
}

/// A client of the session API.
pub struct SessionApi {
    endpoint: Endpoint,
    connector: Connector,
}

impl SessionApi {
    pub fn new(endpoint: Endpoint, connector: Connector) -> Self {
        Self { endpoint, connector }
    }

    /// Logs in with the config token, or, if there is none, with the name and the password.
    ///
    /// # Errors
    ///
    /// The server refused the login, or there was no usable answer.
    pub async fn login(&self, request: &LoginRequest) -> Result<LoginResponse, SessionApiError> {
        let path = if request.config_token.is_some() { "session/auto-provision" } else { "session" };
        let body = serde_json::to_vec(request).map_err(|error| SessionApiError::Failed(error.to_string()))?;
        let Answer { status, body, .. } = self.call(Method::POST, path, None, body).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.failed("this is not a telephony server"));
        }
        let message = match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(error) => {
                shortened(&error.message.map_or(error.code.clone(), |message| format!("{} ({message})", error.code)))
            }
            Err(_) => format!("HTTP {status}"),
        };
        if status.is_client_error() && !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::NOT_FOUND) {
            Err(SessionApiError::Refused(message))
        } else {
            Err(self.failed(&message))
        }
    }

    /// Whether a server answers at this address (`GET /api/v1/system-info`, which needs no token).
    pub async fn answers(&self) -> bool {
        matches!(self.call(Method::GET, "system-info", None, Vec::new()).await, Ok(answer) if answer.status.is_success())
    }

    /// The STUN and TURN servers of the telephony server (`GET /api/v1/user/ice-servers`); `None` if it hands out none.
    ///
    /// # Errors
    ///
    /// There was no usable answer.
    pub async fn ice_servers(&self, token: &str) -> Result<Option<IceServerList>, SessionApiError> {
        let Answer { status, body, .. } = self.call(Method::GET, "system-info", None, Vec::new()).await?;
        // An old server does not know the question. A server in trouble still has its servers.
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(self.failed(&format!("system-info: HTTP {status}")));
        }
        let info: SystemInfo =
            serde_json::from_slice(&body).map_err(|_| self.failed("its system-info cannot be read"))?;
        if !info.core.ice_servers_configured {
            return Ok(None);
        }
        let Answer { status, body, .. } = self.call(Method::GET, "user/ice-servers", Some(token), Vec::new()).await?;
        if !status.is_success() {
            return Err(self.failed(&format!("no STUN and TURN servers: HTTP {status}")));
        }
        let list = IceServerList::read(&body, Timestamp::now());
        list.map(Some).ok_or_else(|| self.failed("its list of STUN and TURN servers cannot be read"))
    }

    fn failed(&self, message: &str) -> SessionApiError {
        SessionApiError::Failed(format!("{}: {message}", self.endpoint.shown()))
    }

    /// Makes one call. An answer that leads elsewhere is an error.
    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Answer, SessionApiError> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.endpoint.api_path(path))
            .header(header::HOST, self.endpoint.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request =
            request.body(Full::new(Bytes::from(body))).map_err(|_| self.failed("core.url does not make an address"))?;
        let answer = timeout(CALL_TIMEOUT, self.exchange(request)).await;
        let answer = answer.map_err(|_| self.failed("no answer within 20 s"))??;
        match redirect::message(answer.status.as_u16(), answer.location.as_deref()) {
            Some(message) => Err(self.failed(&message)),
            None => Ok(answer),
        }
    }

    /// Opens a connection, sends a request and reads the answer, without a time limit.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, SessionApiError> {
        // docs/workarounds.md, "libraries: error texts are for programmers".
        let broken = |error: hyper::Error| {
            tracing::debug!(%error, "session API");
            self.failed("the server does not speak HTTP, or the connection was lost")
        };
        let opened = self.connector.open(&self.endpoint).await.map_err(|error| match error.kind {
            OpenErrorKind::NotYetValid => SessionApiError::NotYetValid(error.message),
            OpenErrorKind::Tls | OpenErrorKind::Network => self.failed(&error.message),
        })?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(opened.stream)).await.map_err(broken)?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken);
        let answer = match response {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
                let location = parts.headers.get(header::LOCATION).map(|value| value.as_bytes().to_vec());
                body.map(|body| Answer { status: parts.status, location, body: body.to_bytes() })
                    .map_err(|_| self.failed("the answer is too long, or was cut off"))
            }
            Err(error) => Err(error),
        };
        driver.abort();
        answer
    }
}
