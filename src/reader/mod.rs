//! Keypads and card readers: input devices of the kernel (evdev), grabbed so that nothing else reads what is typed.
//!
//! Each reader has a task of its own. It finds its device, reports its keys, and looks for it again after it has gone.
//! What the keys mean, the core decides; [`Verifier`] finds out whose code somebody has typed.

mod find;
mod keys;
mod verify;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::config::{Config, InputDevice, ReaderIndex};
use crate::core::Input;
pub use find::{DescribedDevice, devices};
use find::{Found, open};
use keys::Keys;
pub use verify::Verifier;

/// How often a missing device is looked for.
const LOOK: Duration = Duration::from_secs(2);
/// More keys than this in a second come from no finger and no card. The rest of them are dropped.
const MAX_KEYS_PER_S: u32 = 200;

/// Starts a task for each reader. They end when nobody takes their reports any more.
pub fn start(config: &Arc<Config>, reports: &mpsc::Sender<Input>) {
    for (index, reader) in config.readers.iter().enumerate() {
        let (device, reports) = (reader.device.clone(), reports.clone());
        tokio::spawn(run(ReaderIndex(index), device, reports));
    }
}

async fn run(reader: ReaderIndex, device: InputDevice, reports: mpsc::Sender<Input>) {
    let mut told = None;
    loop {
        let wanted = device.clone();
        let opened = tokio::task::spawn_blocking(move || open(&wanted)).await;
        let fault = match opened.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(found) => {
                told = None;
                if reports.send(Input::Reader { reader, fault: None }).await.is_err() {
                    return;
                }
                read(reader, found, &reports).await
            }
            Err(fault) => fault,
        };
        // Reported once for each change, not for each attempt.
        if told.as_ref() != Some(&fault) {
            told = Some(fault.clone());
            if reports.send(Input::Reader { reader, fault: Some(fault) }).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(LOOK).await;
        if reports.is_closed() {
            return;
        }
    }
}

/// Reports the keys of a device until it goes away. Returns why.
async fn read(reader: ReaderIndex, found: Found, reports: &mpsc::Sender<Input>) -> String {
    let mut stream = match found.device.into_event_stream() {
        Ok(stream) => stream,
        Err(error) => return format!("{} cannot be read: {error}", found.path.display()),
    };
    let mut keys = Keys::default();
    let (mut second, mut in_second) = (Instant::now(), 0);
    loop {
        let event = match stream.next_event().await {
            Ok(event) => event,
            Err(error) => return format!("{} has gone away: {error}", found.path.display()),
        };
        let Some(key) = keys.event(event) else { continue };
        if second.elapsed() >= Duration::from_secs(1) {
            (second, in_second) = (Instant::now(), 0);
        }
        in_second += 1;
        if in_second <= MAX_KEYS_PER_S && reports.send(Input::Key { reader, key }).await.is_err() {
            return "the station has stopped".to_owned();
        }
    }
}
