//! A process is killed during a call, and the next one takes the call up again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use callbox::control::{ControlClient, FullStatus, Reply, Request};
use callbox::core::CallState;
use callbox::sandbox::default_accounts;

use crate::sandbox;

struct Daemon(Child);

impl Daemon {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callbox"));
        command.args(["run", "--config", "station.toml"]).current_dir(folder).env("RUNTIME_DIRECTORY", folder);
        command.env_remove("STATE_DIRECTORY").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Ends it as a crash does: nothing is hung up.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn ask(folder: &Path, request: Request) -> Option<Reply> {
    let mut client = ControlClient::connect(&folder.join("control.sock")).await.ok()?;
    client.request(&request).await.ok()
}

async fn until(folder: &Path, what: &str, fits: impl Fn(&FullStatus) -> bool) -> Duration {
    let start = Instant::now();
    let mut last = None;
    while start.elapsed() < Duration::from_secs(30) {
        if let Some(Reply::Status(status)) = ask(folder, Request::Status).await {
            if fits(&status) {
                return start.elapsed();
            }
            last = Some(status);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited for: {what}; {:#?}", last.map(|status| status.station));
}

/// The daemon goes on while a file is being written, which takes a while on a disk that is busy.
async fn written(file: &Path) -> std::fs::Metadata {
    let start = Instant::now();
    loop {
        match std::fs::metadata(file) {
            Ok(metadata) => return metadata,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(10), "{}: {error}", file.display()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn talking(status: &FullStatus) -> bool {
    let mut lines = status.station.lines.iter();
    lines
        .any(|line| line.state == CallState::Established && line.call.as_ref().is_some_and(|call| call.media_connected))
}

fn call_id(status: &FullStatus) -> Option<String> {
    status.station.lines.iter().find_map(|line| line.call.as_ref()).map(|call| call.call_id.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_in_a_call_takes_it_up_again() {
    let sandbox = sandbox(default_accounts()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "callbox").unwrap();
    std::fs::write(
        folder.path().join("station.toml"),
        format!(
            "[core]\nurl = \"http://{}\"\nallow_insecure = true\nlogin = \"100\"\npassword_file = \"password\"\n\
             [media]\nbind = [\"127.0.0.1\"]\n[audio]\ncapture = \"null\"\nplayback = \"null\"\n\
             [control]\nsocket = \"control.sock\"\n",
            sandbox.address
        ),
    )
    .unwrap();
    let folder = folder.path();
    let mut daemon = Daemon::start(folder);
    until(folder, "registration", |status| status.station.session.state == callbox::core::SessionState::Registered)
        .await;
    assert_eq!(ask(folder, Request::Call { number: "door".into(), line: None }).await, Some(Reply::Ok(true)));
    until(folder, "the call", talking).await;
    let Some(Reply::Status(before)) = ask(folder, Request::Status).await else { panic!("no status") };
    // The file names the number of the far end, so only its owner may read it.
    let kept = written(&folder.join("calls.json")).await;
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&kept.permissions()) & 0o777, 0o600);
    daemon.kill();
    let mut daemon = Daemon::start(folder);
    let took = until(folder, "the call to be taken up", talking).await;
    let Some(Reply::Status(after)) = ask(folder, Request::Status).await else { panic!("no status") };
    let same = call_id(&before) == call_id(&after);
    println!(
        "killed to talking again: {} ms, {}",
        took.as_millis(),
        if same { "the same call" } else { "called once more" }
    );
    assert!(same, "it is the same call, not another one");
    let number = |status: &FullStatus| {
        status.station.lines.iter().find_map(|line| line.call.as_ref().map(|call| call.number.clone()))
    };
    assert_eq!(number(&after).as_deref(), Some("door"));
    assert_eq!(ask(folder, Request::Hangup { line: None }).await, Some(Reply::Ok(true)));
    until(folder, "the end", |status| status.station.lines.iter().all(|line| line.state == CallState::Idle)).await;
    daemon.kill();
    sandbox.stop().await;
}
