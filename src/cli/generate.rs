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

/// One page: the command, each subcommand with its options, and what all of them share.
fn render_man(page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    writeln!(page, ".SH SYNOPSIS\n.B callbox\n.I COMMAND\n[\n.I OPTION\n.RI ... ]")?;
    man.render_description_section(page)?;
    render_commands("CALLBOX", &command, page)?;
    page.write_all(SHARED_SECTIONS.as_bytes())
}

/// The subcommands of a command, and theirs.
fn render_commands(path: &str, command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let shown = |command: &&clap::Command| command.get_name() != "help" && !command.is_hide_set();
    for subcommand in command.get_subcommands().filter(shown) {
        let path = format!("{path} {}", subcommand.get_name().to_uppercase());
        writeln!(page, ".SH \"{path}\"")?;
        let man = clap_mangen::Man::new(subcommand.clone());
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        render_commands(&path, subcommand, page)?;
    }
    Ok(())
}

/// What belongs to no single command, in roff (man(7)).
const SHARED_SECTIONS: &str = r#".SH "EXIT STATUS"
.TP
.B 0
Done.
.TP
.B 1
Failed.
.TP
.B 2
Wrong usage, or a wrong configuration.
.TP
.B 3
The daemon cannot be reached.
.TP
.B 4
Refused: the station cannot do it now, or the server refuses the login
.RB ( login ).
.PP
A reader of the output that goes away early, as in
.BR "callbox check | head -1" ,
ends a command quietly.
.SH ENVIRONMENT
.TP
.B CALLBOX_SECTION__KEY
Overrides a key of the configuration:
.B CALLBOX_CORE__URL
is
.B url
in
.BR [core] .
An unknown variable is an error.
.TP
.B CALLBOX_CONTROL__SOCKET
The control socket, for the daemon and for the commands that talk to it.
.TP
.B CREDENTIALS_DIRECTORY
Files with secrets are looked for here first, then in the folder of the configuration.
.TP
.B STATE_DIRECTORY
A renewed token
.RI ( token )
and the counts of wrong codes
.RI ( wrong-codes.json )
are kept here.
.TP
.B RUNTIME_DIRECTORY
What a restart of the daemon must not lose is kept here: calls that are up and pending hangups
.RI ( calls.json ),
outputs in use
.RI ( outputs.json ),
restarts
.RI ( starts.json ),
and, without
.BR STATE_DIRECTORY ,
a renewed token
.RI ( token ).
.TP
.B XDG_RUNTIME_DIR
The folder of the control socket
.RI ( callbox/control.sock )
of a user who cannot write to /run/callbox.
.TP
.B JOURNAL_STREAM
Where it is set, the log goes to the journal. systemd sets it.
.SH FILES
.TP
.I /etc/callbox/callbox.toml
The configuration.
.TP
.I /run/callbox/control.sock
The control socket, unless
.B control.socket
names another one. A command tries the socket of
.BR --socket ,
of the environment, of the configuration, and then the usual ones.
.TP
.I /var/lib/callbox/token
The renewed session token of the service. It is preferred to the configured one until the server refuses it.
.TP
.I /var/lib/callbox/wrong-codes.json
The counts of wrong codes of the service.
.SH SIGNALS
.TP
.B SIGHUP
The daemon reads its configuration again. Calls go on; keys that need a restart are named in the log.
.TP
.B SIGTERM, SIGINT
The daemon hangs up, switches its outputs to rest, and ends.
.SH NOTES
The output of
.B --json
is stable. Its schemas are printed by
.B callbox schema status
and
.BR "callbox schema events" .
.PP
Without a file of accounts, and on loopback only, the sandbox has the accounts 100 to 109 with the password
.BR callbox ,
and its own station is the account
.BR door .
On any other address it serves https only, and needs
.BR --accounts .
.SH "SEE ALSO"
.BR systemctl (1),
.BR journalctl (1),
.BR aplay (1),
.BR gpioinfo (1)
"#;

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
