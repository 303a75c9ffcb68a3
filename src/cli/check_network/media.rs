//! Which way the sound would take.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::super::run::token_folders;
use super::{resolve, skip, step, tell};
use crate::config::{Config, Credentials, IceServer, IceServers, IceTransport, IceUrl};
use crate::core::TokenError;
use crate::media::{TurnContext, probe};
use crate::signaling::{Connector, Endpoint, SessionApi, Target, TokenStore};
use crate::station::{log_in, machine_identifier};

/// The STUN and TURN servers that a call would use.
pub(super) enum Servers {
    Known(Vec<IceServer>),
    /// Nobody could be asked, because there is no token yet.
    NoToken,
    /// Why they could not be had.
    Unknown(String),
}

pub(super) async fn ice_servers(config: &Config, endpoint: Endpoint, connector: Connector) -> Servers {
    let name = "ask for STUN and TURN servers";
    if let IceServers::Listed(servers) = &config.media.ice_servers {
        return Servers::Known(servers.clone());
    }
    let api = SessionApi::new(endpoint, connector);
    let token = match token(config, &api).await {
        Ok(Some(token)) => token,
        Ok(None) => {
            skip(name, "there is no token yet: start the station once, or use callbox login");
            return Servers::NoToken;
        }
        Err(problem) => return Servers::Unknown(problem),
    };
    let asked = async { api.ice_servers(&token).await.map_err(|error| error.to_string()) };
    let answer = step(name, asked, |list| match list {
        Some(list) => crate::core::IceServerCounts::of(&list.servers).to_string(),
        None => "the server hands out none".to_owned(),
    });
    match answer.await {
        Ok(list) => Servers::Known(list.map(|list| list.servers).unwrap_or_default()),
        Err(problem) => Servers::Unknown(problem),
    }
}

/// The token of the station, or one of a login. A one-time token is not used up here.
async fn token(config: &Config, api: &SessionApi) -> Result<Option<String>, String> {
    // Outside of systemd, only the usual place of the daemon's folder is known.
    let folders = token_folders().into_iter().chain([PathBuf::from("/var/lib/callbox")]).collect();
    let kept = TokenStore::new(config.core.credentials.clone(), folders).current().await;
    if kept.is_some() || !matches!(config.core.credentials, Credentials::Login { .. }) {
        return Ok(kept);
    }
    let identifier = config.core.identifier.clone().map_or_else(machine_identifier, Into::into);
    let credentials = config.core.credentials.clone();
    let login = async {
        log_in(api, credentials, identifier).await.map_err(|error| match error {
            TokenError::NotConfigured => "there is nothing to log in with".to_owned(),
            TokenError::Refused(message) | TokenError::Failed(message) | TokenError::NotYetValid(message) => message,
        })
    };
    step("log in", login, |_| "the server takes name and password".to_owned()).await.map(Some)
}

/// The ways that media can take.
#[derive(Default)]
pub(super) struct Ways {
    /// There is a STUN server to try it with; whether one answers.
    direct: Option<bool>,
    /// The best relay that carries a call.
    relay: Option<IceTransport>,
    /// What is wrong with each server that is of no use.
    problems: Vec<Problem>,
}

struct Problem {
    server: String,
    message: String,
}

impl Ways {
    /// Which way calls will take, or why there is none.
    pub(super) fn verdict(&self) -> Result<String, String> {
        let through = |transport: &str| Ok(format!("through the relay over {transport}"));
        match (self.direct, self.relay) {
            (Some(true), _) => Ok("directly".to_owned()),
            (_, Some(IceTransport::TurnTcp)) => through("TCP"),
            (_, Some(IceTransport::TurnTls)) => through("TLS"),
            (_, Some(IceTransport::TurnUdp | IceTransport::Stun)) => through("UDP"),
            (None, None) if self.problems.is_empty() => Ok(untried("there is no STUN or TURN server to try it with")),
            (Some(false) | None, None) => Err(self.why_not()),
        }
    }

    fn why_not(&self) -> String {
        if self.problems.iter().all(Problem::is_of_the_network) {
            return "no STUN or TURN server can be reached; the network must allow UDP, or TCP to one of the ports above"
                .to_owned();
        }
        let reached = self.problems.iter().filter(|problem| !problem.is_of_the_network());
        let told: Vec<String> =
            reached.take(2).map(|problem| format!("{}: {}", problem.server, problem.message)).collect();
        format!("no STUN or TURN server is of use: {}", told.join("; "))
    }

    fn note(&mut self, server: &str, message: &str) {
        self.problems.push(Problem { server: server.to_owned(), message: message.to_owned() });
    }
}

impl Problem {
    /// Whether another network would help.
    fn is_of_the_network(&self) -> bool {
        ["no answer", "refused (os error", "unreachable", "this network has no"]
            .iter()
            .any(|sign| self.message.contains(sign))
    }
}

/// The way of calls where nothing could be tried.
pub(super) fn untried(why: &str) -> String {
    format!("directly, if this network lets UDP through: {why}")
}

/// The addresses of the servers that are reached from here, with the time it took to find them.
type Addresses = HashMap<(String, u16), (Result<Vec<SocketAddr>, String>, Duration)>;

pub(super) async fn check_ice_servers(config: &Config, servers: &[IceServer], turn: &TurnContext) -> Ways {
    let all: Vec<(&IceServer, &IceUrl)> =
        servers.iter().flat_map(|server| server.urls.iter().map(move |url| (server, url))).collect();
    // The proxy resolves the names of what it connects to.
    let is_resolved_here = |url: &IceUrl| match url.transport {
        IceTransport::Stun | IceTransport::TurnUdp => true,
        IceTransport::TurnTcp | IceTransport::TurnTls => turn.connector.proxy_to(target(url)).is_none(),
    };
    let addresses = resolve_all(all.iter().map(|(_, url)| *url).filter(|url| is_resolved_here(url))).await;
    let (stun, relays): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, url)| url.transport == IceTransport::Stun);
    let mut ways = Ways::default();
    let mut answered = Vec::new();
    for (_, url) in stun {
        let reached = check_stun(url, &addresses, &mut ways).await;
        ways.direct = Some(ways.direct == Some(true) || !reached.is_empty());
        answered.extend(reached);
    }
    // A TURN server is a STUN server too (RFC 8656, section 4).
    for (_, url) in relays.iter().filter(|(_, url)| url.transport == IceTransport::TurnUdp) {
        answered.extend(found(&addresses, url).0.unwrap_or_default());
    }
    check_mapping(answered).await;
    // They do not disturb each other, and each may take long.
    let results = join_all(relays.iter().map(|(server, url)| async {
        let (resolved, took) = found(&addresses, url);
        if let Err(problem) = resolved {
            return (Err(problem), took);
        }
        let began = Instant::now();
        (probe::relay(&config.media, server, url, turn).await, began.elapsed())
    }));
    for ((_, url), (result, took)) in relays.iter().zip(results.await) {
        tell_relay(url, result, took, &mut ways);
    }
    ways
}

fn tell_relay(url: &IceUrl, result: Result<probe::Relay, String>, took: Duration, ways: &mut Ways) {
    let name = format!("{} at {}", url.transport, url.authority());
    let relay = match result {
        Ok(relay) => relay,
        Err(problem) => {
            ways.note(&name, &problem);
            return tell(&name, took, &Err(problem));
        }
    };
    tell(&name, relay.allocated_after, &Ok("allocated".into()));
    let round_trip = match relay.connected_after {
        Some(_) => Ok("two ends reach each other".to_owned()),
        None => Err("two ends do not reach each other through it".to_owned()),
    };
    tell("  a call through it", relay.connected_after.unwrap_or(took), &round_trip);
    match round_trip {
        Ok(_) => ways.relay = Some(ways.relay.map_or(url.transport, |best| best.min(url.transport))),
        Err(problem) => ways.note(&name, &problem),
    }
}

fn target(url: &IceUrl) -> Target<'_> {
    Target { host: &url.host, port: url.port, secure: url.transport == IceTransport::TurnTls }
}

/// Resolves the names of all servers at the same time.
async fn resolve_all(urls: impl Iterator<Item = &IceUrl>) -> Addresses {
    let mut names: Vec<(String, u16)> = urls.map(|url| (url.host.clone(), url.port)).collect();
    names.sort_unstable();
    names.dedup();
    let lookups = names.into_iter().map(|(host, port)| async move {
        let began = Instant::now();
        let found = resolve(&host, port).await;
        ((host, port), (found, began.elapsed()))
    });
    join_all(lookups).await.into_iter().collect()
}

/// The addresses of a server; none if a proxy resolves its name.
fn found(addresses: &Addresses, url: &IceUrl) -> (Result<Vec<SocketAddr>, String>, Duration) {
    let none = || (Ok(Vec::new()), Duration::ZERO);
    addresses.get(&(url.host.clone(), url.port)).cloned().unwrap_or_else(none)
}

/// The addresses at which a STUN server answers.
async fn check_stun(url: &IceUrl, addresses: &Addresses, ways: &mut Ways) -> Vec<SocketAddr> {
    let name = format!("{} at {}", url.transport, url.authority());
    let addresses = match found(addresses, url) {
        (Ok(addresses), _) => addresses,
        (Err(problem), took) => {
            ways.note(&name, &problem);
            tell(&name, took, &Err(problem));
            return Vec::new();
        }
    };
    let mut reached = Vec::new();
    for (family, is_family) in [("IPv4", SocketAddr::is_ipv4 as fn(&SocketAddr) -> bool), ("IPv6", SocketAddr::is_ipv6)]
    {
        let step_name = format!("{name}, {family}");
        match addresses.iter().find(|address| is_family(address)) {
            None => skip(&step_name, &format!("the server has no {family} address")),
            Some(address) => {
                let bound = async { probe::bind(*address).await.map_err(|error| error.to_string()) };
                let mapped = step(&step_name, bound, |mapped| format!("this station is seen as {mapped}")).await;
                match mapped {
                    Ok(_) => reached.push(*address),
                    Err(problem) => ways.note(&step_name, &problem),
                }
            }
        }
    }
    reached
}

/// Tells whether a NAT shows different servers different addresses of one socket (RFC 4787, section 4.1). Then no far end
/// learns from a server where this station can be reached.
async fn check_mapping(mut servers: Vec<SocketAddr>) {
    servers.retain(SocketAddr::is_ipv4);
    servers.sort_unstable();
    servers.dedup();
    if servers.len() < 2 {
        return;
    }
    let began = Instant::now();
    let Ok(seen) = probe::mappings(&servers).await else { return };
    let words = match seen.as_slice() {
        [] | [_] => return,
        [first, rest @ ..] if rest.iter().all(|other| other == first) => "each server sees the same port",
        _ => "each server sees another port: calls go directly to a server with a public address, else through a relay",
    };
    tell("NAT", began.elapsed(), &Ok(words.into()));
}
