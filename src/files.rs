//! Replaces files as a whole.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Replaces a file, so that a power cut leaves either the old file or the new one. Blocks.
///
/// `mode` is that of chmod(2). A link that somebody has planted is not followed: the new file is created beside the old
/// one, must not exist before (open(2), `O_EXCL`, `O_NOFOLLOW`), and is then renamed, which replaces a link itself.
///
/// # Errors
///
/// The folder cannot be written, or the disk is full.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // A crash may have left this file.
    let _ = std::fs::remove_file(&beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// An attacker who may write into the folder plants links, and waits for a secret to be written through them.
    #[test]
    fn nothing_is_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (token, victim) = (folder.path().join("token"), folder.path().join("victim"));
        std::fs::write(&victim, "untouched").unwrap();
        for planted in ["token", "token.new"] {
            let _ = std::fs::remove_file(&token);
            std::os::unix::fs::symlink(&victim, folder.path().join(planted)).unwrap();
            replace(&token, b"secret", 0o600).unwrap();
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched", "{planted}");
            let written = std::fs::symlink_metadata(&token).unwrap();
            assert!(written.is_file(), "{planted}");
            assert_eq!(written.permissions().mode() & 0o777, 0o600, "{planted}");
            assert_eq!(std::fs::read_to_string(&token).unwrap(), "secret", "{planted}");
        }
    }
}
