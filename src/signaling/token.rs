//! The session token: where it comes from and where a renewed one is kept.

use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::Mutex;

use crate::config::Credentials;

/// Gives the token for the next connection.
pub struct TokenStore {
    credentials: Credentials,
    /// Folders for a renewed token, best first.
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
    /// `folders` are `$STATE_DIRECTORY` and `$RUNTIME_DIRECTORY`, as far as they are set.
    pub fn new(credentials: Credentials, folders: Vec<PathBuf>) -> Self {
        Self { credentials, folders, state: Mutex::new(State::default()) }
    }

    /// The token to connect with: a renewed one until it is refused, else the configured one.
    /// Files are read each time, so that a new one is taken up without a restart.
    pub async fn current(&self) -> Option<String> {
        let mut state = self.state.lock().await;
        let mut candidates = Vec::new();
        candidates.extend(state.in_memory.clone());
        for folder in &self.folders {
            candidates.extend(read_secret(&folder.join("token")).await);
        }
        let configured = match &self.credentials {
            Credentials::Token(token) => Some(token.clone()),
            Credentials::TokenFile(path) => read_secret(path).await,
            Credentials::Login { .. } | Credentials::ConfigTokenFile(_) => None,
        };
        candidates.extend(configured.clone());
        let token = candidates.into_iter().find(|token| state.refused.as_ref() != Some(token));
        // A configured token that was refused is tried again: the account may have been mended.
        let token = token.or(configured);
        state.last_used.clone_from(&token);
        token
    }

    /// The token that was used last is dead.
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
        // An older one may lie in a folder that can no longer be written.
        self.state.lock().await.in_memory = Some(token);
    }
}

async fn read_secret(path: &Path) -> Option<String> {
    let text = tokio::fs::read_to_string(path).await.ok()?;
    let secret = text.trim();
    (!secret.is_empty()).then(|| secret.to_owned())
}

/// Writes a secret so that a power cut leaves the old one or the new one, readable by its owner only.
pub async fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    write_private(path, format!("{secret}\n").as_bytes()).await
}

/// Writes what is nobody else's business, in the same way.
pub async fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use tokio::io::AsyncWriteExt;

    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    // What a crash has left there; nothing that others put there in the meantime is written to.
    let _ = tokio::fs::remove_file(&temporary).await;
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    let mut file = options.open(&temporary).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    tokio::fs::rename(&temporary, path).await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Whoever may write into the folder plants links, and waits for a secret to be written through them.
    #[tokio::test]
    async fn a_secret_is_written_through_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let (token, victim) = (folder.path().join("token"), folder.path().join("victim"));
        std::fs::write(&victim, "untouched").unwrap();
        for planted in ["token", "token.new"] {
            let _ = std::fs::remove_file(&token);
            std::os::unix::fs::symlink(&victim, folder.path().join(planted)).unwrap();
            write_secret(&token, "secret").await.unwrap();
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched", "{planted}");
            let written = std::fs::symlink_metadata(&token).unwrap();
            assert!(written.is_file(), "{planted}");
            assert_eq!(written.permissions().mode() & 0o777, 0o600, "{planted}");
            assert_eq!(std::fs::read_to_string(&token).unwrap(), "secret\n", "{planted}");
        }
    }
}
