//! The starts that are remembered in `$RUNTIME_DIRECTORY/starts.json`, which outlives the process, but not the boot
//! (docs/workarounds.md, "systemd: restart steps need version 254").

use std::path::Path;
use std::time::Duration;

use super::clock::Clock;
use crate::core::{Random, RestartBackoff};

const FILE: &str = "starts.json";

/// Notes a start. Returns how long to wait before anything else is done.
pub fn note_restart(folder: &Path) -> Duration {
    let path = folder.join(FILE);
    let read = || serde_json::from_str(&std::fs::read_to_string(&path).ok()?).ok();
    let mut starts: RestartBackoff = read().unwrap_or_default();
    let now = Clock::new().now().at;
    let wait = starts.begin(now, &mut Random::new(now.0));
    // If the start cannot be remembered, there is no wait either.
    let text = serde_json::to_string(&starts).unwrap_or_default();
    match std::fs::write(&path, text) {
        Ok(()) => wait,
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "starts are not counted");
            Duration::ZERO
        }
    }
}

/// Forgets all starts, because the process ends on request.
pub fn forget_restarts(folder: &Path) {
    // The file may not exist.
    let _ = std::fs::remove_file(folder.join(FILE));
}
