//! The `callbox` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    callbox::cli::main()
}
