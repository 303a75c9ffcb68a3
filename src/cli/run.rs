//! `callbox run`: the daemon.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::held_outputs::{HELD_OUTPUTS, HeldOutputs, first_folder};
use super::interfaces::Interfaces;
use super::{Exit, complain, load, logging};
use crate::audio::CardChoice;
use crate::config::Config;
use crate::control::ControlServer;
use crate::station::{
    RunningStation, StartError, StationHandle, StationOptions, forget_restarts, machine_identifier, note_restart,
};

/// The longest time for a start (`TimeoutStartSec=` of systemd/callbox.service).
const START_PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn run(path: &Path) -> Exit {
    let config = match load(path) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    logging::start(&config.log.level);
    let socket = config.control.socket.clone();
    let identifier = config.core.identifier.clone().map_or_else(machine_identifier, Into::into);
    let memory_folder = first_folder("RUNTIME_DIRECTORY");
    if !wait_before_restart(memory_folder.as_deref()).await {
        return Exit::Done;
    }
    remember_outputs(&config);
    let options = StationOptions {
        config,
        card: CardChoice::Alsa,
        extra_addresses: Vec::new(),
        token_folders: token_folders(),
        memory_folder: memory_folder.clone(),
        state_folder: first_folder("STATE_DIRECTORY"),
        identifier: identifier.clone(),
    };
    let station = match RunningStation::start(options) {
        Ok(station) => station,
        Err(error) => {
            // An error in what the configuration names lasts until somebody corrects it. After any other error, systemd
            // starts the daemon again.
            let exit = match error {
                StartError::Tls(_) | StartError::Sound(_) => Exit::Usage,
                StartError::Audio(_) | StartError::Random(_) => Exit::Failed,
            };
            complain(error);
            return exit;
        }
    };
    let control = match ControlServer::bind_configured(socket.as_deref(), station.handle.clone()).await {
        Ok(control) => control,
        Err(error) => {
            complain(error);
            station.stop().await;
            return Exit::Failed;
        }
    };
    let interfaces = Interfaces::start(&station.handle, first_folder("STATE_DIRECTORY"), &identifier);
    let mut hangup = signal(SignalKind::hangup()).ok();
    // Without systemd there is nobody to notify.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), socket = %control.path().display(), "started");
    reload_until_stopped(path, &station.handle, hangup.as_mut()).await;
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    drop(control);
    // systemd does not wait for long, and hangups must not wait for a broker.
    tokio::join!(interfaces.stop(), station.stop());
    if let Some(folder) = &memory_folder {
        forget_restarts(folder);
    }
    tracing::info!("stopped");
    Exit::Done
}

/// Waits if several daemons before this one have stopped by themselves (docs/workarounds.md, "systemd: restart steps
/// need version 254"). Returns whether to start: `false` if a signal asked the daemon to stop meanwhile.
async fn wait_before_restart(folder: Option<&Path>) -> bool {
    let Some(wait) = folder.map(note_restart).filter(|wait| !wait.is_zero()) else { return true };
    let message = format!("waits {} s: it has stopped by itself several times", wait.as_secs_f32().round());
    tracing::warn!("{message}");
    // docs/workarounds.md, "systemd: the wait counts as a start".
    let patience = u32::try_from((wait + START_PATIENCE).as_micros()).unwrap_or(u32::MAX);
    // Without systemd there is nobody to notify.
    let _ = sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(patience), NotifyState::Status(&message)]);
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = wait_for_signal() => false,
    }
}

/// Reads the configuration again at each SIGHUP; returns at SIGTERM or SIGINT.
async fn reload_until_stopped(path: &Path, station: &StationHandle, hangup: Option<&mut Signal>) {
    let Some(hangup) = hangup else { return wait_for_signal().await };
    let mut stop = pin!(wait_for_signal());
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = hangup.recv() => {}
        }
        let mut state = vec![NotifyState::Reloading];
        state.extend(NotifyState::monotonic_usec_now().ok());
        let _ = sd_notify::notify(&state);
        reload(path, station).await;
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }
}

async fn reload(path: &Path, station: &StationHandle) {
    let errors = match crate::config::load(path, &super::environment()) {
        Ok(config) => {
            let waits = station.reload(config).await;
            if waits.is_empty() {
                tracing::info!(file = %path.display(), "configuration reloaded");
            } else {
                let keys = waits.join(", ");
                tracing::warn!(file = %path.display(), keys, "configuration reloaded, but these keys wait for a restart");
            }
            return;
        }
        Err(errors) => errors,
    };
    for error in errors.0 {
        tracing::error!(%error, "the new configuration is wrong; the old one stays in use");
    }
}

/// Writes down which outputs this process will drive, for `callbox outputs-off` after it has stopped: the configuration
/// file may have changed by then.
fn remember_outputs(config: &Config) {
    let Some(folder) = first_folder("RUNTIME_DIRECTORY") else { return };
    let held = HeldOutputs { gpio: config.gpio.clone(), outputs: config.outputs.clone() };
    let result = serde_json::to_string(&held).map_err(std::io::Error::from);
    let result = result.and_then(|text| std::fs::write(folder.join(HELD_OUTPUTS), text));
    if let Err(error) = result {
        tracing::warn!(folder = %folder.display(), %error, "outputs-off will read the outputs from the configuration");
    }
}

/// The first folder of `$STATE_DIRECTORY`, then the first one of `$RUNTIME_DIRECTORY` (systemd.exec(5)).
pub(super) fn token_folders() -> Vec<PathBuf> {
    ["STATE_DIRECTORY", "RUNTIME_DIRECTORY"].into_iter().filter_map(first_folder).collect()
}

/// Returns at SIGTERM or SIGINT.
pub(super) async fn wait_for_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
