//! What a command prints. A reader that has had enough (`callbox check | head -1`) is told nothing more; the command goes
//! on to its end, for its exit code still says what came of it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// A line on standard output.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::output::bytes(format!("{}\n", format_args!($($argument)*)).as_bytes()) };
}
/// A line on standard error.
macro_rules! say_error {
    ($($argument:tt)*) => { $crate::cli::output::error_line(format_args!($($argument)*)) };
}
pub(super) use {say, say_error};

static READER_GONE: AtomicBool = AtomicBool::new(false);

/// Nobody reads standard output any more: a command without an end of its own ends.
pub(super) fn reader_is_gone() -> bool {
    READER_GONE.load(Ordering::Relaxed)
}

/// Writes all of it to standard output. A place that cannot be written, such as a full disk, ends the command.
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

/// What goes wrong with standard error itself can be told to nobody.
pub(super) fn error_line(text: std::fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}
