//! Where the files that a configuration names are found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is needed to find a file.
pub(in crate::config) struct FilePaths<'a> {
    /// The folder of the configuration file, from which relative paths count.
    pub(in crate::config) folder: PathBuf,
    pub(in crate::config) environment: &'a BTreeMap<String, String>,
}

impl FilePaths<'_> {
    pub(in crate::config) fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    pub(in crate::config) fn secret(&self, text: &str) -> PathBuf {
        let credentials = self.environment.get("CREDENTIALS_DIRECTORY").map(Path::new);
        resolve_secret_file(text, credentials, &self.folder)
    }
}

/// Finds a file for a secret: in `$CREDENTIALS_DIRECTORY`, else in the folder of the configuration file. The file
/// `secrets/token` is also the credential `secrets_token`, because systemd gives the files of a folder such names
/// (systemd.exec(5), `LoadCredential=`; docs/workarounds.md, "systemd: a credential folder flattens its names").
pub fn resolve_secret_file(text: &str, credentials: Option<&Path>, folder: &Path) -> PathBuf {
    let loaded = |credentials: &Path| {
        [text.to_owned(), text.replace('/', "_")]
            .map(|name| credentials.join(name))
            .into_iter()
            .find(|path| path.exists())
    };
    credentials.and_then(loaded).unwrap_or_else(|| folder.join(text))
}
