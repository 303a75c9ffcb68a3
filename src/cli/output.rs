//! What a command prints. When the reader closes the pipe (`callbox check | head -1`), nothing more is printed, but the
//! command still runs to its end, because its exit code still reports the result (docs/workarounds.md, "std: println
//! panics on a closed pipe").

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// Prints a line to standard output.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::output::bytes(format!("{}\n", format_args!($($argument)*)).as_bytes()) };
}
/// Prints a line to standard error.
macro_rules! say_error {
    ($($argument:tt)*) => { $crate::cli::output::error_line(format_args!($($argument)*)) };
}
pub(super) use {say, say_error};

static READER_GONE: AtomicBool = AtomicBool::new(false);

/// Whether nobody reads standard output any more. A command that would run for ever stops then.
pub(super) fn reader_is_gone() -> bool {
    READER_GONE.load(Ordering::Relaxed)
}

/// Writes the whole text to standard output. A write error other than a closed pipe, such as a full disk, ends the
/// process.
pub(super) fn bytes(text: &[u8]) {
    if reader_is_gone() {
        return;
    }
    let mut stdout = std::io::stdout();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => READER_GONE.store(true, Ordering::Relaxed),
        Err(error) => {
            error_line(format_args!("callbox: standard output: {error}"));
            std::process::exit(1);
        }
    }
}

/// Prints a line to standard error. An error of that write is ignored, because there is nowhere to report it.
pub(super) fn error_line(text: std::fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}
