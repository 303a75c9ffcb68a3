//! The command line: one file per subcommand. The man page and the shell completions are generated from the
//! definitions here.

mod audio;
mod black_box;
mod check;
mod check_interfaces;
mod check_network;
mod client;
mod code;
mod devices;
mod dsp;
mod explain;
mod generate;
mod healthy;
mod held_outputs;
mod history;
mod interfaces;
mod logging;
mod login;
mod narrate;
mod output;
mod outputs_off;
mod peers;
mod provision;
mod report;
mod run;
mod sandbox;
mod status;
mod trust;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use output::say_error;

/// Exit codes (docs/configuration.md, "Commands").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0.
    Done,
    /// 1.
    Failed,
    /// 2: the usage or the configuration is wrong.
    Usage,
    /// 3: no daemon can be reached.
    Unreachable,
    /// 4: the station or the server refused the request.
    Refused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Refused => 4,
        })
    }
}

/// The configuration file if `--config` is not given.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/callbox/callbox.toml";

/// Intercom station: buttons to calls, WebRTC audio through ALSA.
#[derive(Debug, Parser)]
#[command(name = "callbox", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the station
    Run {
        /// Configuration file
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
    /// Validate the configuration and print what will happen
    Check {
        /// Configuration file
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// Try the way to the server and to its relays, as a call would use it
        #[arg(long)]
        network: bool,
    },
    /// Switch every output to rest; run it before the daemon starts and after it has stopped for any reason
    OutputsOff {
        /// Configuration file
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
    /// List sound cards, PCM names that work, GPIO chips and pins
    Devices {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure the sound at the place where the station is installed
    #[command(subcommand)]
    Audio(audio::AudioCommand),
    /// Try one PCM for 100 ms; `devices` runs this as a process of its own, because a plug-in of alsa-lib may crash
    #[command(hide = true)]
    TryPcm {
        /// ALSA PCM name
        name: String,
        /// Try capture instead of playback
        #[arg(long)]
        capture: bool,
    },
    /// Get a session token from the telephony server
    Login(login::LoginArgs),
    /// Show the running station on one screen
    Status {
        /// Print JSON, as described by `callbox schema status`
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Say whether the station does its work; exit code 1 if it does not
    Healthy(healthy::HealthyArgs),
    /// Wait until no call is up, for example before an upgrade or a reboot
    WaitIdle {
        /// Give up after this many seconds
        #[arg(long, value_name = "N", default_value_t = 600)]
        timeout_s: u64,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Act as if a button was pressed
    Press {
        /// Name of the button
        name: String,
        /// Make it a long press
        #[arg(long, conflicts_with = "double")]
        long: bool,
        /// Make it a double press
        #[arg(long)]
        double: bool,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Call a number
    Call {
        /// The number to call
        number: String,
        /// Line to use; any idle one by default
        #[arg(long, value_name = "N")]
        line: Option<u32>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Hang up
    Hangup {
        /// Hang up this line only; all lines by default
        #[arg(long, value_name = "N")]
        line: Option<u32>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Answer the call that rings here
    Answer {
        /// Line whose call to answer
        #[arg(long, value_name = "N")]
        line: Option<u32>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Hold the call
    Hold {
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Take the held call up again
    Unhold {
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Send DTMF digits into the call
    Dtmf {
        /// Digits: 0-9, *, #, A-D
        digits: String,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Mute the microphone until the end of the call
    Mute {
        /// Keep the change after the end of the call, until it is changed again
        #[arg(long)]
        keep: bool,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Unmute the microphone
    Unmute {
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Set the volume of the loudspeaker until the end of the call
    Volume {
        /// 0 to 100
        #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
        volume: u8,
        /// Keep the change after the end of the call, until it is changed again
        #[arg(long)]
        keep: bool,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Make the hash of a PIN or card number
    #[command(subcommand)]
    Code(code::CodeCommand),
    /// End all alarms, or print how they stand
    Alarm {
        /// Without this word, the alarms are printed
        #[arg(value_parser = ["end"])]
        what: Option<String>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Play a sound or prompt now
    Play {
        /// Name of a prompt, or of a sound of the station
        name: String,
        /// Who hears it
        #[arg(long, value_enum, default_value = "near")]
        to: client::Hearer,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Switch a mode of the house, or print which are on, and why
    Mode {
        /// Name of the mode; without a name, all are printed
        name: Option<String>,
        /// What it is to be; without a word, it is printed
        #[arg(value_enum)]
        set: Option<client::ModeSet>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Switch a relay or an LED
    Output {
        /// Name of the output
        name: String,
        /// What to do with it
        #[arg(value_enum)]
        change: client::Change,
        /// Length of a pulse in milliseconds
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=600_000))]
        ms: Option<u64>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Move a simulated pin, for scripts and tests
    Input {
        /// Name of the button or sensor
        name: String,
        /// Pressed or open, or not
        #[arg(value_enum)]
        level: client::Level,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Print what happens at the station, as it happens
    Events {
        /// Print JSON, one object per line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Print what has happened at the station: who came, who opened, what failed
    History(history::HistoryArgs),
    /// Make this machine a station, with all that one file says
    Provision(provision::ProvisionArgs),
    /// Try the MQTT broker
    #[command(subcommand)]
    Mqtt(peers::MqttCommand),
    /// Try the receivers of hooks
    #[command(subcommand)]
    Hooks(peers::HooksCommand),
    /// Write what a support ticket needs to one file, without secrets and numbers
    Report(report::ReportArgs),
    /// Say why the last call ended, or what a press, a sensor, a code or a call would do
    Explain(ExplainArgs),
    /// Write the black box of the last minutes to a file, or record the packets of a call
    Dump {
        /// The file to write
        file: PathBuf,
        /// Record the packets that come from the far end, for this many seconds or until Ctrl-C, in the format of
        /// rtpdump; the recording contains what the far end says
        #[arg(long, value_name = "SECONDS", conflicts_with = "unredacted",
            value_parser = clap::value_parser!(u64).range(1..=3600))]
        packets: Option<u64>,
        /// Keep telephone numbers, codes and session descriptions
        #[arg(long)]
        unredacted: bool,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Run a black box again and show what the station decided
    Replay {
        /// A file that `callbox dump` wrote
        file: PathBuf,
    },
    /// Run the signal processing of the daemon on files
    #[command(subcommand)]
    Dsp(dsp::DspCommand),
    /// Start a telephony server with a web phone, and a station with a front panel
    Sandbox(sandbox::SandboxArgs),
    /// Print shell completions
    Completions {
        /// The shell to complete for
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the man page
    Man,
    /// Print the JSON schema of `--json` output
    Schema {
        /// The command whose output the schema describes
        #[arg(value_enum)]
        of: generate::SchemaOf,
    },
}

/// What to explain: the last call, or something that may happen and is only rehearsed.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Explain the last call (the default)
    #[arg(value_name = "last", value_parser = ["last"])]
    what: Option<String>,
    /// Print what a press of this button would do, without doing it
    #[arg(long, value_name = "NAME", group = "trial", conflicts_with = "what")]
    press: Option<String>,
    /// Make it a long press
    #[arg(long, requires = "press", conflicts_with = "double")]
    long: bool,
    /// Make it a double press
    #[arg(long, requires = "press")]
    double: bool,
    /// Print what would happen when this sensor opens or closes
    #[arg(long, num_args = 2, value_names = ["NAME", "opened|closed"], group = "trial", conflicts_with = "what")]
    sensor: Option<Vec<String>>,
    /// Print what would happen when a far end types these digits
    #[arg(long, value_name = "DIGITS", requires = "from", group = "trial", conflicts_with = "what")]
    dtmf: Option<String>,
    /// The number of the far end that types the digits
    #[arg(long, value_name = "NUMBER", requires = "dtmf")]
    from: Option<String>,
    /// Print what a call from this number would do
    #[arg(long, value_name = "NUMBER", group = "trial", conflicts_with = "what")]
    incoming: Option<String>,
    /// Print what this schedule would do
    #[arg(long, value_name = "NAME", group = "trial", conflicts_with = "what")]
    schedule: Option<String>,
    /// Print what the code of this person would do
    #[arg(long, value_name = "NAME", group = "trial", conflicts_with = "what")]
    code: Option<String>,
    /// The local time of the rehearsal, such as "Sun 03:00" or "2026-12-25 12:00"; now by default
    #[arg(long, value_name = "TIME", requires = "trial", value_parser = explain::time_argument)]
    at: Option<crate::core::LocalTime>,
    /// Assume that this mode of the house is on; may be repeated
    #[arg(long, value_name = "NAME", requires = "trial")]
    mode: Vec<String>,
    /// Assume that there is no connection to the server
    #[arg(long, requires = "trial", conflicts_with_all = ["dtmf", "incoming"])]
    offline: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl ExplainArgs {
    /// The trial that the arguments ask for, or `None` for the last call.
    ///
    /// # Errors
    ///
    /// The state of the sensor is neither `opened` nor `closed`.
    fn trial(&self) -> Result<Option<explain::Trial>, String> {
        if let Some(button) = self.press.clone() {
            return Ok(Some(explain::Trial::Press { button, gesture: gesture(self.long, self.double) }));
        }
        if let Some([sensor, edge]) = self.sensor.as_deref() {
            let opened = match edge.as_str() {
                "opened" => true,
                "closed" => false,
                other => return Err(format!("\"{other}\" is not a change of a sensor; write opened or closed")),
            };
            return Ok(Some(explain::Trial::Sensor { sensor: sensor.clone(), opened }));
        }
        if let (Some(digits), Some(from)) = (self.dtmf.clone(), self.from.clone()) {
            return Ok(Some(explain::Trial::Code { digits, from }));
        }
        if let Some(code) = self.code.clone() {
            return Ok(Some(explain::Trial::Holder { code }));
        }
        if let Some(schedule) = self.schedule.clone() {
            return Ok(Some(explain::Trial::Schedule { schedule }));
        }
        Ok(self.incoming.clone().map(|from| explain::Trial::Incoming { from }))
    }
}

fn gesture(long: bool, double: bool) -> crate::core::Gesture {
    use crate::core::Gesture;
    match (long, double) {
        (true, _) => Gesture::Long,
        (_, true) => Gesture::Double,
        _ => Gesture::Press,
    }
}

/// How to find a running daemon.
#[derive(Debug, Args)]
pub(crate) struct Daemon {
    /// Control socket of the daemon; by default the one in its configuration
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Configuration file that names the control socket
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

/// The most threads for blocking work: files, name resolution, sound cards. It must stay below `TasksMax=` of
/// systemd/callbox.service (docs/workarounds.md, "tokio: the blocking pool may grow beyond the unit").
const MAX_BLOCKING_THREADS: usize = 16;

/// Parses the arguments, runs the subcommand and returns its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            say_error!("callbox: the runtime cannot be started: {error}");
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(dispatch(cli.command));
    // docs/workarounds.md, "tokio: the runtime waits for blocking work at its end".
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    exit.into()
}

async fn dispatch(command: Command) -> Exit {
    use crate::control::Request;
    match command {
        Command::Run { config } => run::run(&config).await,
        Command::Check { config, network: true } => check_network::check_network(&config).await,
        Command::Check { config, network: false } => check::check(&config),
        Command::OutputsOff { config } => outputs_off::outputs_off(&config),
        Command::Devices { json } => devices::devices(json).await,
        Command::Audio(command) => audio::audio(&command).await,
        Command::TryPcm { name, capture } => devices::try_pcm(&name, capture),
        Command::Login(args) => login::login(args).await,
        Command::Sandbox(args) => sandbox::sandbox(args).await,
        Command::Explain(args) => explain_or_rehearse(&args).await,
        Command::Dump { file, packets: Some(seconds), daemon, .. } => {
            black_box::packets(&daemon, &file, Duration::from_secs(seconds)).await
        }
        Command::Dump { file, unredacted, daemon, .. } => black_box::dump(&daemon, &file, unredacted).await,
        Command::Dsp(command) => dsp::dsp(&command),
        Command::Replay { file } => black_box::replay(&file),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man => generate::man(),
        Command::Schema { of } => generate::schema(of),
        Command::Status { json, daemon } => client::status(&daemon, json).await,
        Command::History(args) => history::history(&args),
        Command::Provision(args) => provision::provision(&args),
        Command::Mqtt(command) => peers::mqtt(&command).await,
        Command::Hooks(command) => peers::hooks(&command).await,
        Command::Healthy(args) => healthy::healthy(&args).await,
        Command::Report(args) => report::report(&args).await,
        Command::Events { json, daemon } => client::events(&daemon, json).await,
        Command::WaitIdle { timeout_s, daemon } => client::wait_idle(&daemon, Duration::from_secs(timeout_s)).await,
        Command::Press { name, long, double, daemon } => {
            client::request(&daemon, Request::Press { name, gesture: gesture(long, double) }).await
        }
        Command::Call { number, line, daemon } => {
            client::request(&daemon, Request::Call { number: number.into(), line }).await
        }
        Command::Hangup { line, daemon } => client::request(&daemon, Request::Hangup { line }).await,
        Command::Answer { line, daemon } => client::request(&daemon, Request::Answer { line }).await,
        Command::Hold { daemon } => client::request(&daemon, Request::Hold).await,
        Command::Unhold { daemon } => client::request(&daemon, Request::Unhold).await,
        Command::Dtmf { digits, daemon } => client::request(&daemon, Request::Dtmf { digits: digits.into() }).await,
        Command::Mute { keep, daemon } => client::request(&daemon, Request::Mute { keep }).await,
        Command::Unmute { daemon } => client::request(&daemon, Request::Unmute).await,
        Command::Volume { volume, keep, daemon } => client::request(&daemon, Request::Volume { volume, keep }).await,
        Command::Code(command) => code::run(&command),
        Command::Alarm { what: Some(_), daemon } => client::request(&daemon, Request::EndAlarms).await,
        Command::Alarm { what: None, daemon } => client::alarms(&daemon).await,
        Command::Play { name, to, daemon } => client::request(&daemon, Request::Play { name, to: to.into() }).await,
        Command::Mode { name: Some(name), set: Some(set), daemon } => {
            client::request(&daemon, Request::Mode { name, set: set.into() }).await
        }
        Command::Mode { name, daemon, .. } => client::modes(&daemon, name.as_deref()).await,
        Command::Input { name, level, daemon } => client::request(&daemon, level.of(name)).await,
        Command::Output { name, change, ms, daemon } => {
            client::request(&daemon, Request::Output { name, change: change.into(), ms }).await
        }
    }
}

async fn explain_or_rehearse(args: &ExplainArgs) -> Exit {
    match args.trial() {
        Ok(Some(trial)) => explain::rehearse(&args.daemon, &trial, args.at, &args.mode, args.offline).await,
        Ok(None) => explain::last(&args.daemon).await,
        Err(problem) => {
            complain(problem);
            Exit::Usage
        }
    }
}

/// Prints an error to standard error, with the name of the program.
pub(crate) fn complain(error: impl std::fmt::Display) {
    say_error!("callbox: {error}");
}

/// The environment variables whose name and value are UTF-8.
pub(crate) fn environment() -> std::collections::BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads the configuration; if that fails, prints every error and returns the exit code.
pub(crate) fn load(path: &Path) -> Result<crate::config::Config, Exit> {
    crate::config::load(path, &environment()).map_err(|errors| {
        say_error!("{errors}");
        Exit::Usage
    })
}

/// Parses an address such as `127.0.0.1:8642`; `8642` alone is a port on 127.0.0.1.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = if text.parse::<u16>().is_ok() { format!("127.0.0.1:{text}") } else { text.to_owned() };
    text.parse().map_err(|_| "write an address with its port, such as 127.0.0.1:8642 or [::1]:8642".to_owned())
}
