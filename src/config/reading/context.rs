//! Where the files that a configuration names are looked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where relative paths count from.
pub(in crate::config) struct Context<'a> {
    pub(in crate::config) folder: PathBuf,
    pub(in crate::config) environment: &'a BTreeMap<String, String>,
}

impl Context<'_> {
    pub(in crate::config) fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    pub(in crate::config) fn secret(&self, text: &str) -> PathBuf {
        let credentials = self.environment.get("CREDENTIALS_DIRECTORY").map(Path::new);
        resolve_secret_file(text, credentials, &self.folder)
    }
}

/// Files for secrets resolve against `$CREDENTIALS_DIRECTORY` first, then against the
/// configuration's folder. A file `secrets/token` is the credential `secrets_token`, as systemd names the
/// files of a folder that it loads (systemd.exec(5), `LoadCredential=`).
pub fn resolve_secret_file(text: &str, credentials: Option<&Path>, folder: &Path) -> PathBuf {
    let loaded = |credentials: &Path| {
        [text.to_owned(), text.replace('/', "_")]
            .map(|name| credentials.join(name))
            .into_iter()
            .find(|path| path.exists())
    };
    credentials.and_then(loaded).unwrap_or_else(|| folder.join(text))
}
