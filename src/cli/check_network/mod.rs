//! `callbox check --network`: does what a call would do, step by step, and says whether calls will work.

mod media;
mod server;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::output::{say, say_error};
use super::{Exit, complain, environment};
use crate::config::load_reviewed;
use crate::media::TurnContext;
use crate::network::reachable_host;
use crate::signaling::{Connector, Endpoint};
use media::{Servers, check_ice_servers, ice_servers, untried};
use server::check_server;

/// The longest time to resolve a name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn check_network(path: &Path) -> Exit {
    let config = match load_reviewed(path, &environment()) {
        Ok((config, _)) => config,
        Err(errors) => {
            say_error!("{errors}");
            return Exit::Usage;
        }
    };
    let (core, turn) = match (Connector::to_core(&config.core), Connector::to_turn(&config.core)) {
        (Ok(core), Ok(turn)) => (core, turn),
        (Err(error), _) | (_, Err(error)) => {
            complain(error);
            return Exit::Usage;
        }
    };
    let mut session = Err("no server is configured".to_owned());
    let mut used = None;
    // The servers are in order of preference: the first that works is the one that is used.
    for url in &config.core.urls {
        let endpoint = Endpoint::new(url.clone(), config.core.tenant.clone());
        session = check_server(&endpoint, &core).await;
        used = Some(endpoint);
        if session.is_ok() {
            break;
        }
    }
    let (Ok(()), Some(endpoint)) = (&session, used) else {
        return conclude(Err(&session.err().unwrap_or_default()));
    };
    let servers = match ice_servers(&config, endpoint, core).await {
        Servers::Known(servers) => servers,
        Servers::NoToken => {
            return conclude(Ok(&untried("there is no token yet, so the server was not asked for relays")));
        }
        Servers::Unknown(problem) => {
            return conclude(Err(&format!("the server's STUN and TURN servers could not be had: {problem}")));
        }
    };
    let turn = TurnContext { connector: turn, faults: Arc::default() };
    let verdict = check_ice_servers(&config, &servers, &turn).await.verdict();
    conclude(verdict.as_deref().map_err(String::as_str))
}

/// The last line: which way calls will take, or why there is none.
fn conclude(verdict: Result<&str, &str>) -> Exit {
    match verdict {
        Ok(way) => {
            say!("calls: will work {way}");
            Exit::Done
        }
        Err(reason) => {
            say!("calls: will not work: {reason}");
            Exit::Failed
        }
    }
}

/// One line: how a step ended, the step, how long it took, and words.
fn tell(step: &str, took: Duration, result: &Result<String, String>) {
    let (outcome, words) = match result {
        Ok(words) => ("ok", words),
        Err(words) => ("failed", words),
    };
    say!("{outcome:<8} {step:<52} {:>6} ms  {words}", took.as_millis());
}

fn skip(step: &str, why: &str) {
    say!("{:<8} {step:<52} {:>6}     {why}", "skipped", "-");
}

/// Does one step and tells how it ended.
async fn step<T>(
    name: &str,
    work: impl Future<Output = Result<T, String>>,
    words: impl Fn(&T) -> String,
) -> Result<T, String> {
    let began = Instant::now();
    let result = work.await;
    let told = match &result {
        Ok(found) => Ok(words(found)),
        Err(problem) => Err(problem.clone()),
    };
    tell(name, began.elapsed(), &told);
    result
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let reachable = reachable_host(host).await;
    match timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((reachable, port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(_)) => Err(format!("the name {host} is not known: check it, and the name server of this network")),
        Err(_) => Err("the name server of this network does not answer".to_owned()),
    }
}

fn shown(addresses: &[SocketAddr]) -> String {
    let mut texts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    texts.dedup();
    texts.join(", ")
}
