//! Reads files that a configuration names. Reading from a pipe or a device might never end, so these are refused.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Opens a file to read it.
///
/// # Errors
///
/// It cannot be opened, or it is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for somebody who writes into it, so this comes first.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

/// Reads a text of at most so many bytes.
///
/// # Errors
///
/// As for [`open`], and it is longer, or no UTF-8.
pub(crate) fn read_text(path: &Path, most_bytes: u64) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.take(most_bytes + 1).read_to_string(&mut text)?;
    let is_too_long = u64::try_from(text.len()).is_ok_and(|length| length > most_bytes);
    if is_too_long { Err(io::Error::other(format!("it has more than {most_bytes} bytes"))) } else { Ok(text) }
}
