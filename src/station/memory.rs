//! The data that outlives the process.
//!
//! `$RUNTIME_DIRECTORY/calls.json` survives a crash or an upgrade, but not a power cut. It is never on the SD card.
//! `$STATE_DIRECTORY/wrong-codes.json` survives a power cut as well. Otherwise somebody who can pull a plug would get
//! five more guesses each time. So do `modes.json`, because who is
//! away stays away, `schedules.json`, so that nothing is done twice or forgotten, and `alarms.json`, because whoever is in
//! trouble stays so.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::clock::{Clock, wall_clock_ms};
use crate::core::{Memory, Time, WrongCodes};
use crate::signaling::write_secret;

const FILE: &str = "calls.json";
const WRONG_CODES: &str = "wrong-codes.json";
const MODES: &str = "modes.json";
const SCHEDULES: &str = "schedules.json";
const ALARMS: &str = "alarms.json";

#[derive(Serialize, Deserialize)]
struct Kept {
    /// The clock behind the times in the file restarts at each boot (proc(5), `random/boot_id`). The folder is kept
    /// over a stop of the service (docs/workarounds.md, "systemd: the runtime directory is removed at each stop").
    boot: String,
    memory: Memory,
}

/// The times are those of the monotonic clock. `at` and `wall_clock_ms` are the same moment on both clocks.
#[derive(Serialize, Deserialize)]
struct KeptWrongCodes {
    at: Time,
    wall_clock_ms: u64,
    wrong_codes: Vec<WrongCodes>,
}

/// Writes only the newest memory, so a burst of changes needs only one write.
pub(super) struct Keeper {
    newest: watch::Sender<Memory>,
    writer: JoinHandle<()>,
}

impl Keeper {
    /// Without the folders, nothing is kept. What was `recalled` is not written again.
    pub(super) fn new(runtime: Option<PathBuf>, state: Option<PathBuf>, clock: Clock, recalled: &Memory) -> Self {
        let (newest, mut changes) = watch::channel(Memory::default());
        let (mut kept_modes, mut kept_schedules) = (recalled.modes.clone(), recalled.schedules.clone());
        let mut kept_alarms = recalled.alarms.clone();
        let writer = tokio::spawn(async move {
            let mut fault_told = false;
            let mut kept = Vec::new();
            while changes.changed().await.is_ok() {
                let memory = changes.borrow_and_update().clone();
                let mut results = Vec::new();
                if let Some(folder) = state.as_ref().filter(|_| memory.wrong_codes != kept) {
                    kept.clone_from(&memory.wrong_codes);
                    let result = write_wrong_codes(&folder.join(WRONG_CODES), clock.now().at, kept.clone()).await;
                    results.push((folder, result));
                }
                if let Some(folder) = &state {
                    results.push((folder, write_changed(&folder.join(ALARMS), &memory.alarms, &mut kept_alarms).await));
                    results.push((folder, write_changed(&folder.join(MODES), &memory.modes, &mut kept_modes).await));
                    let schedules = folder.join(SCHEDULES);
                    results.push((folder, write_changed(&schedules, &memory.schedules, &mut kept_schedules).await));
                }
                if let Some(folder) = &runtime {
                    results.push((folder, write(&folder.join(FILE), memory).await));
                }
                let failed = results.into_iter().find_map(|(folder, result)| Some((folder, result.err()?)));
                if let Some((folder, error)) = &failed
                    && !fault_told
                {
                    tracing::warn!(
                        folder = %folder.display(), %error,
                        "calls, alarms, the count of wrong codes, modes or schedules will not survive a restart"
                    );
                }
                fault_told = failed.is_some();
            }
        });
        Self { newest, writer }
    }

    pub(super) fn keep(&self, memory: Memory) {
        self.newest.send_replace(memory);
    }

    /// Writes the rest.
    pub(super) async fn finish(self) {
        drop(self.newest);
        let _ = self.writer.await;
    }
}

async fn write(path: &Path, memory: Memory) -> std::io::Result<()> {
    let kept = Kept { boot: boot_id(), memory };
    // The telephone numbers of the house are private.
    write_secret(path, &serde_json::to_string(&kept)?).await
}

async fn write_wrong_codes(path: &Path, at: Time, wrong_codes: Vec<WrongCodes>) -> std::io::Result<()> {
    let kept = KeptWrongCodes { at, wall_clock_ms: wall_clock_ms(), wrong_codes };
    write_secret(path, &serde_json::to_string(&kept)?).await
}

/// Writes the list unless it is the one that the file has, `kept`.
async fn write_changed<T: Serialize + Clone + PartialEq>(
    path: &Path,
    list: &[T],
    kept: &mut Vec<T>,
) -> std::io::Result<()> {
    if list == kept.as_slice() {
        return Ok(());
    }
    *kept = list.to_vec();
    // It says who has switched modes.
    write_secret(path, &serde_json::to_string(list)?).await
}

/// A list that was kept. A file that cannot be read has an empty one.
fn read<T: serde::de::DeserializeOwned>(state: &Path, file: &str) -> Vec<T> {
    let text = std::fs::read_to_string(state.join(file)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Returns what the previous process has kept. Calls are returned only if they are of this boot.
pub(super) fn recall(runtime: Option<&Path>, state: Option<&Path>, now: Time) -> Memory {
    let calls = || {
        let text = std::fs::read_to_string(runtime?.join(FILE)).ok()?;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        (kept.boot == boot_id()).then_some(kept.memory)
    };
    let wrong_codes = || {
        let text = std::fs::read_to_string(state?.join(WRONG_CODES)).ok()?;
        let kept: KeptWrongCodes = serde_json::from_str(&text).ok()?;
        Some(moved(kept, now, wall_clock_ms()))
    };
    let mut memory = calls().unwrap_or_default();
    if let Some(wrong_codes) = wrong_codes() {
        memory.wrong_codes = wrong_codes;
    }
    if let Some(state) = state {
        memory.modes = read(state, MODES);
        memory.schedules = read(state, SCHEDULES);
        memory.alarms = read(state, ALARMS);
    }
    memory
}

/// Converts the times to the clock of this boot. If the wall clock shows a time before that of writing, it is wrong.
/// Then no time counts as passed.
fn moved(kept: KeptWrongCodes, now: Time, wall_clock_ms: u64) -> Vec<WrongCodes> {
    let passed_ms = wall_clock_ms.saturating_sub(kept.wall_clock_ms);
    // The moment of writing, by the clock of this boot. It is negative if that was before the boot.
    let written_ms = i128::from(now.0) - i128::from(passed_ms);
    let by_now = |at: Time| {
        let at_ms = written_ms + i128::from(at.0) - i128::from(kept.at.0);
        Time(u64::try_from(at_ms.max(0)).unwrap_or(u64::MAX))
    };
    let moved = |mut one: WrongCodes| {
        one.at.iter_mut().for_each(|at| *at = by_now(*at));
        one.locked_until = one.locked_until.map(by_now);
        one.newest = by_now(one.newest);
        one
    };
    kept.wrong_codes.into_iter().map(moved).collect()
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_goes_on_where_it_was_after_a_power_cut() {
        let locked = |until| WrongCodes { locked_until: Some(Time(until)), ..WrongCodes::default() };
        let kept =
            || KeptWrongCodes { at: Time(500_000), wall_clock_ms: 1_000_000, wrong_codes: vec![locked(560_000)] };
        // 20 s later, after a boot of 5 s.
        assert_eq!(moved(kept(), Time(5_000), 1_020_000)[0].locked_until, Some(Time(45_000)));
        // The wall clock is not set before there is a network.
        assert_eq!(moved(kept(), Time(5_000), 100)[0].locked_until, Some(Time(65_000)));
        // The lock is long over.
        assert_eq!(moved(kept(), Time(5_000), 9_000_000)[0].locked_until, Some(Time(0)));
    }
}
