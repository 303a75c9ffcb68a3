//! Log events: to the journal under systemd, to standard error elsewhere.

use std::fmt::Debug;
use std::io::IsTerminal;

use tracing::field::Field;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// The WebRTC library logs each packet that it cannot send; the states that matter are facts of
/// our own.
const LIBRARIES: [&str; 5] = ["webrtc=off", "rtc=off", "ice=off", "dtls=off", "rustls_platform_verifier=error"];

/// Starts logging at a level. A second call has no effect.
pub(crate) fn start(level: &str) {
    let filter = LIBRARIES.iter().fold(EnvFilter::new(level), |filter, directive| match directive.parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    });
    let registry = tracing_subscriber::registry().with(filter);
    // The journal shows a service's standard error as well: one of the two.
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let _ = match journal {
        Some(journal) => registry.with(journal.with_field_prefix(None)).try_init(),
        None => {
            let colours = std::io::stderr().is_terminal();
            let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(colours);
            let lines = lines.fmt_fields(debug_fn(write_field));
            registry.with(lines).try_init()
        }
    };
}

/// The words of a fact say what its fields say.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        name if name.starts_with("fact.") => Ok(()),
        name => write!(writer, " {name}={value:?}"),
    }
}
