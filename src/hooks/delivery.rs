//! The delivery of one request: a connection of its own, 5 s, no redirects, three tries.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use url::Url;

use super::signature;
use crate::config::Hook;
use crate::random_waits::random_waits;
use crate::signaling::{Connector, Endpoint};
use crate::station::wall_clock_ms;

/// The longest time of one try, including the connection.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
const TRIES: u32 = 3;
/// The longest wait before the second try. It is four times as long before the third.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long the rest of an answer is read.
const LINGER: Duration = Duration::from_secs(1);
/// The longest answer that is read; what it says has no meaning.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Delivers requests to one receiver.
pub(super) struct Delivery {
    url: Url,
    endpoint: Endpoint,
    secret_file: Option<PathBuf>,
    connector: Connector,
}

impl Delivery {
    pub(super) fn new(hook: &Hook, connector: Connector) -> Self {
        let endpoint = Endpoint::new(hook.url.clone(), None);
        Self { url: hook.url.clone(), endpoint, secret_file: hook.secret_file.clone(), connector }
    }

    /// Tries until the receiver has taken the request.
    ///
    /// # Errors
    ///
    /// Why the last try failed.
    pub(super) async fn deliver(&self, body: Bytes) -> Result<(), String> {
        let mut random = random_waits();
        let mut problem = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                let wait = FIRST_WAIT * 4_u32.pow(attempt - 1);
                tokio::time::sleep(random.between(wait / 2, wait)).await;
            }
            match self.try_once(body.clone()).await {
                Ok(_) => return Ok(()),
                Err(why) => problem = why,
            }
        }
        Err(problem)
    }

    /// Tries once, within its time.
    ///
    /// # Errors
    ///
    /// The receiver has not taken the request.
    pub(super) async fn try_once(&self, body: Bytes) -> Result<StatusCode, String> {
        match timeout(TRY_TIMEOUT, self.attempt(body)).await {
            Ok(Ok(status)) if status.is_success() => Ok(status),
            Ok(Ok(status)) if status.is_redirection() => {
                Err(format!("it answers {status}, and redirects are not followed"))
            }
            Ok(Ok(status)) => Err(format!("it answers {status}")),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("no answer within {} s", TRY_TIMEOUT.as_secs())),
        }
    }

    /// Tries once; returns the status of the answer.
    async fn attempt(&self, body: Bytes) -> Result<StatusCode, String> {
        let request = self.request(body).await?;
        let stream = self.connector.open_stream(self.endpoint.target(), |_| Ok(())).await?;
        let broken = |error: hyper::Error| {
            // docs/workarounds.md, "libraries: error texts are for programmers".
            tracing::debug!(%error, "hook");
            "what answers there does not speak HTTP, or broke the connection off".to_owned()
        };
        // Some receivers compare the names of headers as they are written in the documentation.
        let mut client = hyper::client::conn::http1::Builder::new();
        let handshake = client.title_case_headers(true).handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(broken)?;
        let driver = AbortOnDrop(tokio::spawn(connection));
        let answer = sender.send_request(request).await.map_err(broken)?;
        // The status has decided. The rest is read, for a moment, so that the receiver sees an orderly end.
        let status = answer.status();
        tokio::spawn(async move {
            let _ = timeout(LINGER, Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect()).await;
            drop(driver);
        });
        Ok(status)
    }

    /// The request, signed with the time of this try.
    async fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
        let url = &self.url;
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let mut request = Request::post(path)
            .header(header::HOST, self.endpoint.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("callbox/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close");
        if let Some(file) = &self.secret_file {
            let secret = tokio::fs::read(file).await;
            let secret = secret.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
            let secret = secret.strip_suffix(b"\n").unwrap_or(&secret);
            let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
            request = request.header(signature::HEADER, signature::signature(secret, wall_clock_ms() / 1000, &body));
        }
        request.body(Full::new(body)).map_err(|_| "its url does not make a request".to_owned())
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
