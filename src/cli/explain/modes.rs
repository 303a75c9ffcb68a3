//! What a rehearsal does not know of the running station.

use crate::cli::client::{self, Daemon};
use crate::cli::output::say;

/// Says which modes somebody has switched in the running station, since a rehearsal does not know them.
pub(super) async fn note_modes(daemon: &Daemon) {
    let Some(status) = client::status_if_running(daemon).await else { return };
    for mode in status.modes {
        if let Some(by) = mode.by {
            let word = if mode.on { "on" } else { "off" };
            let what = if mode.on { format!("; --mode {} rehearses that", mode.name) } else { String::new() };
            say!("note: in the running station {} is {word}, {by}{what}", mode.name);
        }
    }
}
