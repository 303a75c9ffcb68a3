//! Files that a key names: they must be there, and the daemon must be able to read them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::file_paths::FilePaths;
use super::section::Section;
use crate::regular_file;

/// Reports a file that cannot be read.
fn readable_or_error<T>(section: &Section<'_>, key: &str, path: &Path, read: io::Result<T>) -> Option<T> {
    if let Err(error) = &read {
        let problem = format!("{} cannot be read: {error}", path.display());
        section.error(key, problem, "name a file that the daemon's user can read");
    }
    read.ok()
}

/// Opens a file.
pub(in crate::config) fn open(section: &Section<'_>, key: &str, path: &Path) -> Option<File> {
    readable_or_error(section, key, path, regular_file::open(path))
}

/// Reads a text of at most so many bytes.
pub(in crate::config) fn text_of(section: &Section<'_>, key: &str, path: &Path, most_bytes: u64) -> Option<String> {
    readable_or_error(section, key, path, regular_file::read_text(path, most_bytes))
}

/// The same path, after the file was tried.
pub(in crate::config) fn readable(section: &Section<'_>, key: &str, path: PathBuf) -> PathBuf {
    open(section, key, &path);
    path
}

/// The files of a certificate chain and of its key, which are named by two keys of a table: both or none.
pub(in crate::config) fn certificate_and_key(
    section: &Section<'_>,
    files: &FilePaths<'_>,
    certificate_key: &'static str,
    private_key: &'static str,
) -> Option<(PathBuf, PathBuf)> {
    let certificate = section.filled_string(certificate_key);
    let certificate = certificate.map(|text| readable(section, certificate_key, files.path(&text)));
    let key = section.filled_string(private_key).map(|text| readable(section, private_key, files.secret(&text)));
    if let Some(key) = &key {
        section.review_secret(private_key, key);
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            let remedy = format!("set {} too", section.path_of(private_key));
            section.error(certificate_key, "a certificate without its key", remedy);
            None
        }
        (None, Some(_)) => {
            let remedy = format!("set {} too", section.path_of(certificate_key));
            section.error(private_key, "a key without its certificate", remedy);
            None
        }
    }
}
