//! What a command prints. A reader that has had enough (`callbox check | head -1`) ends the command, quietly.

use std::io::Write;

/// A line on standard output.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::output::line(std::io::stdout(), format_args!($($argument)*)) };
}
/// A line on standard error.
macro_rules! say_error {
    ($($argument:tt)*) => { $crate::cli::output::line(std::io::stderr(), format_args!($($argument)*)) };
}
pub(super) use {say, say_error};

pub(super) fn line(stream: impl Write, text: std::fmt::Arguments<'_>) {
    bytes(stream, format!("{text}\n").as_bytes());
}

/// Writes all of it, or ends the command.
pub(super) fn bytes(mut stream: impl Write, text: &[u8]) {
    if let Err(error) = stream.write_all(text).and_then(|()| stream.flush()) {
        let nobody_reads = error.kind() == std::io::ErrorKind::BrokenPipe;
        std::process::exit(i32::from(!nobody_reads));
    }
}
