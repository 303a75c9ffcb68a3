//! `callbox mqtt check` and `callbox hooks test`: what the systems of the house answer.

use std::path::PathBuf;

use super::output::{say, say_error};
use super::{DEFAULT_CONFIG, Exit, complain, load};
use crate::core::By;
use crate::station::machine_identifier;

#[derive(Debug, clap::Subcommand)]
pub(super) enum MqttCommand {
    /// Connect to the broker as the daemon would, and say what it answers
    Check {
        /// Configuration file
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum HooksCommand {
    /// Send each hook a request with the event `custom`, and say what its receiver answers
    Test {
        /// Configuration file
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
}

pub(super) async fn mqtt(MqttCommand::Check { config: path }: &MqttCommand) -> Exit {
    let config = match load(path) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let Some(mqtt) = &config.control.mqtt else {
        complain(format!("{}: there is no broker; set control.mqtt_url", path.display()));
        return Exit::Usage;
    };
    let identifier = config.core.identifier.clone().map_or_else(machine_identifier, Into::into);
    let broker = format!("{}:{}", mqtt.host(), mqtt.port());
    exit(crate::mqtt::check(mqtt, &identifier, |step| tell(&broker, step)).await)
}

pub(super) async fn hooks(HooksCommand::Test { config: path }: &HooksCommand) -> Exit {
    let config = match load(path) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if config.hooks.is_empty() {
        complain(format!("{}: there is no hook; write a [[hook]]", path.display()));
        return Exit::Usage;
    }
    let user = std::env::var("USER").unwrap_or_else(|_| "unknown".into());
    match crate::hooks::test(&config, By::User { user: user.into() }, |step| tell("failed", step)).await {
        Ok(all_taken) => exit(all_taken),
        Err(problem) => {
            complain(problem);
            Exit::Usage
        }
    }
}

fn tell(what: &str, step: Result<String, String>) {
    match step {
        Ok(words) => say!("ok      {words}"),
        Err(words) => say_error!("{what}: {words}"),
    }
}

fn exit(good: bool) -> Exit {
    if good { Exit::Done } else { Exit::Failed }
}
