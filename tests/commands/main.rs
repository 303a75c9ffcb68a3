//! The commands as a person types them, with the real program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

mod black_box;
mod check;
mod check_network;
mod daemon;
mod documents;
mod dsp;
mod generated;
mod modes;
mod named_tests;
mod pipes;
mod prompts;
mod provision;
mod readers;
mod readme;
mod reference;
mod rehearsals;
mod report;
mod trust;

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const CALLBOX: &str = env!("CARGO_BIN_EXE_callbox");

/// A callbox command that takes no settings from the environment of the test.
pub fn callbox(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(CALLBOX);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name_shown = name.to_string_lossy();
        if name_shown.starts_with("CALLBOX_") || name_shown.to_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command.env_remove("JOURNAL_STREAM").env_remove("STATE_DIRECTORY").env_remove("CREDENTIALS_DIRECTORY");
    command
}

pub fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    parts(&callbox(folder, arguments).output().unwrap())
}

pub fn parts(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Ends the process when the test ends.
pub struct Process(pub Child);

impl Process {
    pub fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    pub fn terminate(&mut self) -> i32 {
        let pid = self.0.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.0.wait().unwrap().code().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A TCP port of loopback that nobody uses.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn until_it_listens(port: u16) {
    until("a server on the port", || TcpStream::connect(("127.0.0.1", port)).ok());
}

pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
