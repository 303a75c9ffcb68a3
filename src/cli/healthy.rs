//! `callbox healthy`: whether the station does its work, for scripts.

use std::time::{Duration, Instant};

use super::client::{self, Daemon};
use super::output::{say, say_error};
use super::{Exit, complain};
use crate::control::{Reply, Request, faults};

/// How often a station that is not healthy is asked again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(super) struct HealthyArgs {
    /// Wait until it is healthy, for this many seconds at most
    #[arg(long, value_name = "N", default_value_t = 0)]
    wait_s: u64,
    #[command(flatten)]
    daemon: Daemon,
}

/// Says what a visitor or a resident is not served for, as `/healthz` does. A daemon that is not there yet may come.
pub(super) async fn healthy(args: &HealthyArgs) -> Exit {
    let deadline = Instant::now() + Duration::from_secs(args.wait_s);
    loop {
        let answer = client::ask_quietly(&args.daemon, &Request::Status).await;
        let vital: Option<Vec<String>> = match &answer {
            Ok(Reply::Status(status)) => {
                let vital = faults(status).into_iter().filter(|fault| fault.vital);
                Some(vital.map(|fault| format!("{}: {}; {}", fault.part, fault.problem, fault.remedy)).collect())
            }
            _ => None,
        };
        match (vital, answer) {
            (Some(vital), _) if vital.is_empty() => {
                say!("healthy");
                return Exit::Done;
            }
            _ if Instant::now() + LOOK_AGAIN <= deadline => tokio::time::sleep(LOOK_AGAIN).await,
            (Some(vital), _) => {
                vital.iter().for_each(|fault| say_error!("{fault}"));
                return Exit::Failed;
            }
            (None, Err(problem)) => {
                complain(problem);
                return Exit::Unreachable;
            }
            (None, Ok(_)) => {
                complain("the daemon has no status");
                return Exit::Failed;
            }
        }
    }
}
