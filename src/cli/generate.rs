//! The man page, the shell completions and the JSON schemas, generated from the definitions in the code.

use std::io::Write;

use super::output::say;
use clap::CommandFactory;

use super::{Cli, Exit, complain, output};
use crate::control::{EventRecord, FullStatus};

/// The output that a schema describes.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum SchemaOf {
    /// `callbox status --json`
    Status,
    /// One line of `callbox events --json`
    Events,
}

pub(super) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "callbox", &mut script);
    output::bytes(&script);
    Exit::Done
}

pub(super) fn man() -> Exit {
    let mut page = Vec::new();
    match render_man(&mut page) {
        Ok(()) => {
            output::bytes(&page);
            Exit::Done
        }
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}

/// One page: the command, then each subcommand with its options.
fn render_man(page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(page)?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let name = subcommand.get_name().to_owned();
        writeln!(page, ".SH \"CALLBOX {}\"", name.to_uppercase())?;
        let man = clap_mangen::Man::new(subcommand.clone());
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)?;
    }
    Ok(())
}

pub(super) fn schema(of: SchemaOf) -> Exit {
    let schema = match of {
        SchemaOf::Status => schemars::schema_for!(FullStatus),
        SchemaOf::Events => schemars::schema_for!(EventRecord),
    };
    match serde_json::to_string_pretty(&schema) {
        Ok(text) => {
            say!("{text}");
            Exit::Done
        }
        Err(error) => {
            complain(error);
            Exit::Failed
        }
    }
}
