//! The client side of the control socket, for the commands.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::protocol::{Reply, Request};

/// The daemon answers at once, so a reply that takes longer than this will not come.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer. A black box has less than a tenth of this.
const MAX_REPLY_BYTES: u64 = 32 * 1024 * 1024;

/// Why a request to the daemon failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "no running callbox at {path}: {problem}; start the service, or name its socket with --socket",
        path = path.display()
    )]
    Unreachable { path: PathBuf, problem: io::Error },
    /// The connection ended, or no reply came, or what came is not a reply.
    #[error("the daemon sent no valid answer: {0}")]
    Broken(String),
}

/// A connection to a running daemon.
pub struct ControlClient {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl ControlClient {
    /// Connects to the socket.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|problem| ClientError::Unreachable { path: path.to_owned(), problem })?;
        let (reader, writer) = stream.into_split();
        Ok(Self { reader: BufReader::new(reader), writer })
    }

    /// Sends a request and waits for its reply.
    pub async fn request(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let broken = |error: &dyn std::fmt::Display| ClientError::Broken(error.to_string());
        let mut line = serde_json::to_vec(request).map_err(|error| broken(&error))?;
        line.push(b'\n');
        self.writer.write_all(&line).await.map_err(|error| broken(&error))?;
        let line = timeout(REPLY_TIMEOUT, self.line())
            .await
            .map_err(|_| ClientError::Broken("nothing came within 10 s".into()))??
            .ok_or_else(|| ClientError::Broken("it closed the connection".into()))?;
        serde_json::from_str(&line).map_err(|error| broken(&error))
    }

    /// Waits for the next item after [`Request::Events`] or [`Request::Packets`]; `None` when the daemon has closed the
    /// connection.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        match self.line().await? {
            Some(line) => serde_json::from_str(&line).map(Some).map_err(|error| ClientError::Broken(error.to_string())),
            None => Ok(None),
        }
    }

    async fn line(&mut self) -> Result<Option<String>, ClientError> {
        let mut line = String::new();
        let mut limited = (&mut self.reader).take(MAX_REPLY_BYTES);
        let count = limited.read_line(&mut line).await.map_err(|error| ClientError::Broken(error.to_string()))?;
        if count as u64 == MAX_REPLY_BYTES {
            return Err(ClientError::Broken(format!("its answer has more than {MAX_REPLY_BYTES} bytes")));
        }
        Ok((count > 0).then_some(line))
    }
}
