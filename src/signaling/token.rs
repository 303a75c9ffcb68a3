//! The session token: where it comes from and where a renewed one is kept.

use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::Mutex;

use crate::config::Credentials;
use crate::files;

/// Keeps the session token, and returns the one for the next connection.
pub struct TokenStore {
    credentials: Credentials,
    /// Folders for a renewed token, the best one first.
    folders: Vec<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_used: Option<String>,
    refused: Option<String>,
    /// The newest renewed token.
    in_memory: Option<String>,
}

impl TokenStore {
    /// `folders` are `$STATE_DIRECTORY` and `$RUNTIME_DIRECTORY`, if they are set.
    pub fn new(credentials: Credentials, folders: Vec<PathBuf>) -> Self {
        Self { credentials, folders, state: Mutex::new(State::default()) }
    }

    /// The token to connect with: a renewed one until it is refused, else the configured one.
    /// Files are read each time, so that a new token is used without a restart.
    pub async fn current(&self) -> Option<String> {
        let mut state = self.state.lock().await;
        let mut candidates = Vec::new();
        candidates.extend(state.in_memory.clone());
        for folder in &self.folders {
            candidates.extend(read_secret(&folder.join("token")).await);
        }
        let configured = match &self.credentials {
            Credentials::Token(token) => Some(token.clone().into()),
            Credentials::TokenFile(path) => read_secret(path).await,
            Credentials::Login { .. } | Credentials::ConfigTokenFile(_) => None,
        };
        candidates.extend(configured.clone());
        let token = candidates.into_iter().find(|token| state.refused.as_ref() != Some(token));
        // A configured token that was refused is tried again, because the account may have been repaired.
        let token = token.or(configured);
        state.last_used.clone_from(&token);
        token
    }

    /// The token that was used last, and that the server has not refused.
    pub async fn in_use(&self) -> Option<String> {
        self.state.lock().await.last_used.clone()
    }

    /// Notes that the server refused the token that was used last.
    pub async fn refuse(&self) {
        let mut state = self.state.lock().await;
        state.refused = state.last_used.take();
    }

    /// Keeps a renewed token: in the first folder that can be written, and in memory.
    pub async fn renew(&self, token: String) {
        for folder in &self.folders {
            if write_secret(&folder.join("token"), &token).await.is_ok() {
                break;
            }
        }
        // The copy in memory comes first, because a folder that can no longer be written may have an older token.
        self.state.lock().await.in_memory = Some(token);
    }
}

async fn read_secret(path: &Path) -> Option<String> {
    let text = tokio::fs::read_to_string(path).await.ok()?;
    let secret = text.trim();
    (!secret.is_empty()).then(|| secret.to_owned())
}

/// Writes a secret to a file that only its owner can read. After a power cut the file has either the old or the new
/// content.
///
/// # Errors
///
/// The file cannot be written.
pub async fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    write_private(path, format!("{secret}\n").as_bytes()).await
}

/// Writes private data in the same way as [`write_secret`].
///
/// # Errors
///
/// The file cannot be written.
pub async fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (path, bytes) = (path.to_owned(), bytes.to_owned());
    tokio::task::spawn_blocking(move || files::replace(&path, &bytes, 0o600)).await.map_err(io::Error::other)?
}
