//! What outlives the process, in `$RUNTIME_DIRECTORY/calls.json`: gone with a power cut, kept over a
//! crash or an upgrade, and never on the SD card.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::core::Memory;
use crate::signaling::write_secret;

const FILE: &str = "calls.json";

#[derive(Serialize, Deserialize)]
struct Kept {
    /// The clock of the times inside starts anew at each boot (proc(5), `random/boot_id`).
    boot: String,
    memory: Memory,
}

/// Writes the newest memory, and it alone: a burst of changes is one write.
pub(super) struct Keeper {
    newest: watch::Sender<Memory>,
    writer: JoinHandle<()>,
}

impl Keeper {
    /// A keeper in this folder; without one nothing is kept.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        let (newest, mut changes) = watch::channel(Memory::default());
        let writer = tokio::spawn(async move {
            let Some(folder) = folder else { return };
            let mut fault_told = false;
            while changes.changed().await.is_ok() {
                let memory = changes.borrow_and_update().clone();
                let result = write(&folder.join(FILE), memory).await;
                if let Err(error) = &result
                    && !fault_told
                {
                    tracing::warn!(folder = %folder.display(), %error, "calls will not survive a restart");
                }
                fault_told = result.is_err();
            }
        });
        Self { newest, writer }
    }

    pub(super) fn keep(&self, memory: Memory) {
        self.newest.send_replace(memory);
    }

    /// Writes what is left to write.
    pub(super) async fn finish(self) {
        drop(self.newest);
        let _ = self.writer.await;
    }
}

async fn write(path: &Path, memory: Memory) -> std::io::Result<()> {
    let kept = Kept { boot: boot_id(), memory };
    // Numbers of the house are nobody else's business.
    write_secret(path, &serde_json::to_string(&kept)?).await
}

/// What the process before this one remembered, if it lived in this boot.
pub(super) fn recall(folder: &Path) -> Memory {
    let read = || {
        let text = std::fs::read_to_string(folder.join(FILE)).ok()?;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        (kept.boot == boot_id()).then_some(kept.memory)
    };
    read().unwrap_or_default()
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
