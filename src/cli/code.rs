//! `callbox code hash`: makes the hash of a PIN or card number, for a file that only the station may read.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::output::{say, say_error};
use super::{Exit, complain};
use crate::code_hash::{CodeHash, MAX_CODE, Work, code};

#[derive(Debug, Subcommand)]
pub(super) enum CodeCommand {
    /// Read a PIN or card number from standard input, and print what a secret_file holds
    Hash {
        /// Use the salt of this file, so that many codes are checked as fast as one
        #[arg(long, value_name = "FILE")]
        salt_of: Option<PathBuf>,
    },
}

pub(super) fn run(command: &CodeCommand) -> Exit {
    let CodeCommand::Hash { salt_of } = command;
    let result = read_code().and_then(|text| {
        let code = code(&text).map_err(|error| error.to_string())?;
        let work = work(salt_of.as_deref())?;
        work.hash(&code).map_err(|error| error.to_string())
    });
    match result {
        Ok(hash) => {
            say!("{hash}");
            Exit::Done
        }
        Err(problem) => {
            complain(problem);
            Exit::Usage
        }
    }
}

fn work(salt_of: Option<&Path>) -> Result<Work, String> {
    if let Some(path) = salt_of {
        let hash = CodeHash::read(path).map_err(|error| format!("{} {error}", path.display()))?;
        return Ok(hash.work().clone());
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| format!("the system provides no random numbers: {error}"))?;
    Work::new(salt).ok_or_else(|| "the hash cannot be computed".to_owned())
}

/// Reads one line. A person who types does not see it, and types it twice.
fn read_code() -> Result<String, String> {
    if !std::io::stdin().is_terminal() {
        return read_line();
    }
    let first = ask("PIN or card number: ")?;
    if ask("once more: ")? == first { Ok(first) } else { Err("these are two different codes".to_owned()) }
}

fn ask(question: &str) -> Result<String, String> {
    let stdin = std::io::stdin();
    let shown = tcgetattr(&stdin).map_err(|error| error.to_string())?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    say_error!("{question}");
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(|error| error.to_string())?;
    let line = read_line();
    tcsetattr(&stdin, OptionalActions::Flush, &shown).map_err(|error| error.to_string())?;
    line
}

fn read_line() -> Result<String, String> {
    let mut line = Vec::new();
    // Nothing after the first line is read: there may be another question.
    for byte in std::io::stdin().lock().bytes().take(4 * MAX_CODE) {
        match byte.map_err(|error| error.to_string())? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    String::from_utf8(line).map_err(|_| "the code is not text".to_owned())
}
