//! Writes log events to the journal under systemd, and to standard error elsewhere.

use std::fmt::Debug;
use std::io::IsTerminal;

use tracing::field::Field;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Log levels of libraries. The WebRTC library logs each packet that it cannot send (docs/workarounds.md, "webrtc: it
/// logs every packet that it cannot send"); callbox reports the states that matter as facts of its own. The verifier
/// warns of roots that do not matter (docs/workarounds.md, "rustls-platform-verifier: it logs roots that it ignores").
const LIBRARIES: [(&str, LevelFilter); 5] = [
    ("webrtc", LevelFilter::OFF),
    ("rtc", LevelFilter::OFF),
    ("ice", LevelFilter::OFF),
    ("dtls", LevelFilter::OFF),
    ("rustls_platform_verifier", LevelFilter::ERROR),
];

/// Starts logging. `level` is one level, or a list of levels per target such as `warn,callbox=info`. A second call has
/// no effect.
pub(crate) fn start(level: &str) {
    let filter = level.parse::<Targets>().unwrap_or_default().with_targets(LIBRARIES);
    let registry = tracing_subscriber::registry().with(filter);
    // The journal also shows the standard error of a service, so only one of the two is used (docs/workarounds.md,
    // "systemd: standard error is in the journal too").
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    // Without a prefix, the fields have their documented names (docs/workarounds.md, "tracing-journald: fields get a
    // prefix").
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

/// Leaves out the fields of a fact, because its message already says the same.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        name if name.starts_with("fact.") => Ok(()),
        name => write!(writer, " {name}={value:?}"),
    }
}
